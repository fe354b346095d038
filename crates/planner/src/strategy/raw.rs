//! The file as it is written, key by key, and its way into waves.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use policy::load::{Document, LoadError, Problem, Refused, Spanned, present};
use serde::Deserialize;

use super::{Concurrency, STABLE_FOR, SUCCESS_DEADLINE, Wave};

const DEFAULT_POLICY: &str = "default";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct File {
    pub(super) api_version: Spanned<String>,
    pub(super) kind: Spanned<String>,
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    pub(super) name: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Spec {
    waves: Spanned<Vec<RawWave>>,
    // Read so that another word is refused; there is only one of each.
    #[serde(default, rename = "unlabelled", deserialize_with = "present")]
    _unlabelled: Option<Unlabelled>,
    #[serde(default, rename = "inconclusive", deserialize_with = "present")]
    _inconclusive: Option<Inconclusive>,
    #[serde(default, rename = "onBreach", deserialize_with = "present")]
    _on_breach: Option<OnBreach>,
    #[serde(default, deserialize_with = "present")]
    health: Option<Health>,
    #[serde(default, deserialize_with = "present")]
    overall: Refused,
    #[serde(default, deserialize_with = "present")]
    irreversible: Refused,
    #[serde(default, deserialize_with = "present")]
    superseding: Refused,
    #[serde(default, deserialize_with = "present")]
    windows: Refused,
    #[serde(default, deserialize_with = "present")]
    freezes: Refused,
    #[serde(default, deserialize_with = "present")]
    method: Refused,
}

#[derive(Debug, Deserialize)]
enum Unlabelled {
    Ignore,
}

#[derive(Debug, Deserialize)]
enum Inconclusive {
    Stop,
}

#[derive(Debug, Deserialize)]
enum OnBreach {
    Halt,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Health {
    #[serde(default, deserialize_with = "present")]
    stable_for: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "present")]
    success_deadline: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawWave {
    name: Spanned<String>,
    selector: Selector,
    #[serde(default, deserialize_with = "present")]
    policy: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "present")]
    min_clusters: Option<u32>,
    #[serde(default, deserialize_with = "present")]
    max_concurrency: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "present")]
    failure_budget: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "present")]
    bake: Option<Bake>,
    #[serde(default, deserialize_with = "present")]
    gate_after: Refused,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Selector {
    match_labels: Spanned<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bake {
    duration: Spanned<String>,
    #[serde(default, deserialize_with = "present")]
    clusters: Refused,
    #[serde(default, deserialize_with = "present")]
    reconciles: Refused,
}

impl Spec {
    /// Stable-for and success deadline.
    pub(super) fn health(
        &self,
        document: &Document<'_>,
    ) -> Result<(SignedDuration, SignedDuration), LoadError> {
        let Some(health) = &self.health else {
            return Ok((STABLE_FOR, SUCCESS_DEADLINE));
        };
        let stable_for = match &health.stable_for {
            Some(text) => document.duration("stableFor", text)?,
            None => STABLE_FOR,
        };
        let Some(text) = &health.success_deadline else {
            return Ok((stable_for, SUCCESS_DEADLINE));
        };
        let success_deadline = document.duration("successDeadline", text)?;
        if success_deadline < stable_for {
            return Err(document.wrong(
                "successDeadline",
                text,
                "at least stableFor, or no cluster could succeed",
            ));
        }
        Ok((stable_for, success_deadline))
    }

    pub(super) fn waves(self, document: &Document<'_>) -> Result<Vec<Wave>, LoadError> {
        self.refuse_what_is_not_implemented(document)?;
        if self.waves.value.is_empty() {
            let expected = "at least one wave";
            let problem = Problem::WrongValue {
                key: "waves",
                found: "[]".to_owned(),
                expected,
            };
            return Err(document.error(self.waves.referenced, problem));
        }
        let mut lines = BTreeMap::new();
        self.waves
            .value
            .into_iter()
            .map(|wave| wave.check(document, &mut lines))
            .collect()
    }

    fn refuse_what_is_not_implemented(&self, document: &Document<'_>) -> Result<(), LoadError> {
        let halts = "take it out: the first failure halts the rollout";
        document.refuse("overall", &self.overall, halts)?;
        document.refuse("irreversible", &self.irreversible, "take it out")?;
        let waits = "take it out: a newer release waits, or replaces a rollout that has changed nothing";
        document.refuse("superseding", &self.superseding, waits)?;
        document.refuse("windows", &self.windows, "take it out: waves open at any hour")?;
        document.refuse(
            "freezes",
            &self.freezes,
            "take it out, and put clusters to Observe in that time",
        )?;
        document.refuse(
            "method",
            &self.method,
            "take it out: only installs without an owner are upgraded",
        )
    }
}

impl RawWave {
    fn check(self, document: &Document<'_>, lines: &mut BTreeMap<String, u64>) -> Result<Wave, LoadError> {
        let name = document.name("name", &self.name)?;
        let at = self.name.referenced;
        if let Some(first) = lines.insert(name.clone(), at.line()) {
            return Err(document.error(
                at,
                Problem::Doubled {
                    what: "wave",
                    name,
                    first,
                },
            ));
        }
        document.refuse(
            "gateAfter",
            &self.gate_after,
            "take it out: Enforce is given for each wave anyway",
        )?;
        if let Some(budget) = self.failure_budget.as_ref().filter(|budget| budget.value != "0") {
            return Err(document.wrong("failureBudget", budget, "0: the first failure halts the rollout"));
        }
        let labels = self.selector.match_labels;
        if labels.value.is_empty() {
            let expected = "at least one label, or the wave would be the whole fleet";
            let problem = Problem::WrongValue {
                key: "matchLabels",
                found: "{}".to_owned(),
                expected,
            };
            return Err(document.error(labels.referenced, problem));
        }
        Ok(Wave {
            name,
            match_labels: labels.value,
            policy: match &self.policy {
                Some(policy) => document.name("policy", policy)?,
                None => DEFAULT_POLICY.to_owned(),
            },
            min_clusters: self.min_clusters.unwrap_or(1),
            max_concurrency: match &self.max_concurrency {
                Some(text) => concurrency(document, text)?,
                None => Concurrency::Count(1),
            },
            bake: self
                .bake
                .map_or(Ok(SignedDuration::ZERO), |bake| bake.check(document))?,
        })
    }
}

impl Bake {
    fn check(&self, document: &Document<'_>) -> Result<SignedDuration, LoadError> {
        let all = "take it out: every cluster of the wave must be healthy for the whole duration";
        document.refuse("bake.clusters", &self.clusters, all)?;
        document.refuse("bake.reconciles", &self.reconciles, all)?;
        document.duration("bake.duration", &self.duration)
    }
}

fn concurrency(document: &Document<'_>, text: &Spanned<String>) -> Result<Concurrency, LoadError> {
    let number = |digits: &str| digits.parse().ok().filter(|n: &u32| *n > 0);
    let parsed = match text.value.strip_suffix('%') {
        Some(percent) => number(percent).filter(|n| *n <= 100).map(Concurrency::Percent),
        None => number(&text.value).map(Concurrency::Count),
    };
    parsed.ok_or_else(|| {
        document.wrong(
            "maxConcurrency",
            text,
            "a number of clusters above 0, or 1% to 100% of the wave",
        )
    })
}
