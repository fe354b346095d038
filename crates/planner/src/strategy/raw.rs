//! The file as it is written, key by key, and its way into waves.

use std::collections::BTreeMap;

use domain::rollout;
use jiff::SignedDuration;
use policy::load::{Document, LoadError, Problem, Refused, Spanned, present, schema};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{API_VERSION, Bake, Budget, Concurrency, KIND, STABLE_FOR, SUCCESS_DEADLINE, Wave};

const DEFAULT_POLICY: &str = "default";

/// When, where and how fast clusters are upgraded.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct File {
    /// The format and its version.
    #[schemars(with = "String", extend("const" = API_VERSION))]
    pub(super) api_version: Spanned<String>,
    /// The kind of file.
    #[schemars(with = "String", extend("const" = KIND))]
    pub(super) kind: Spanned<String>,
    /// Its name.
    pub(super) metadata: Metadata,
    /// What it says.
    pub(super) spec: Spec,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Metadata {
    /// Name of the strategy.
    #[schemars(with = "schema::Name")]
    pub(super) name: Spanned<String>,
}

/// What a strategy says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Spec {
    /// The waves, in order; names are unique.
    #[schemars(with = "Vec<RawWave>", length(min = 1))]
    waves: Spanned<Vec<RawWave>>,
    /// What becomes of clusters in no wave: they are listed and never touched.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Unlabelled")]
    unlabelled: Option<Unlabelled>,
    /// A cluster that can't be judged never counts as healthy.
    // Read so that another word is refused; there is only one.
    #[serde(default, rename = "inconclusive", deserialize_with = "present")]
    #[schemars(with = "Inconclusive")]
    _inconclusive: Option<Inconclusive>,
    /// What happens when a budget is exceeded.
    #[serde(default, rename = "onBreach", deserialize_with = "present")]
    #[schemars(with = "OnBreach")]
    _on_breach: Option<OnBreach>,
    /// How a cluster is judged after its upgrade.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Health")]
    health: Option<Health>,
    /// Budgets of all waves together.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Overall")]
    overall: Option<Overall>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(skip)]
    irreversible: Refused,
    /// What becomes of a rollout when a newer release is allowed. FinishRollout where nothing is said.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Superseding")]
    superseding: Option<Superseding>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(skip)]
    windows: Refused,
    #[serde(default, deserialize_with = "present")]
    #[schemars(skip)]
    freezes: Refused,
    #[serde(default, deserialize_with = "present")]
    #[schemars(skip)]
    method: Refused,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Unlabelled {
    Ignore,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Inconclusive {
    Stop,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
enum OnBreach {
    Halt,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Superseding {
    FinishWave,
    FinishRollout,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Overall {
    /// Failed clusters that are tolerated in all waves together; one more halts.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::Budget")]
    failure_budget: Option<Spanned<String>>,
    /// Clusters of opened waves whose agents may be silent for fifteen minutes; one more halts.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::Budget")]
    unreachable_budget: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Health {
    /// How long a cluster must be well without a break. 60s where nothing is said.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::Duration")]
    stable_for: Option<Spanned<String>>,
    /// How long after the writing it may take to get there. 30m where nothing is said.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::Duration")]
    success_deadline: Option<Spanned<String>>,
}

/// Clusters that are upgraded together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "Wave")]
pub(super) struct RawWave {
    /// Unique in the strategy.
    #[schemars(with = "schema::Name")]
    name: Spanned<String>,
    /// Which clusters.
    selector: Selector,
    /// Name of the policy that must allow each of them. "default" where nothing is said.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::Name")]
    policy: Option<Spanned<String>>,
    /// With fewer clusters nothing begins. 1 where nothing is said.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "u32")]
    min_clusters: Option<u32>,
    /// How many may be in work at once. 1 where nothing is said.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::Share")]
    max_concurrency: Option<Spanned<String>>,
    /// Failed clusters that are tolerated; one more halts. 0 where nothing is said.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::Budget")]
    failure_budget: Option<Spanned<String>>,
    /// What the wave must have shown before the next one is opened.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "RawBake")]
    bake: Option<RawBake>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(skip)]
    gate_after: Refused,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
struct Selector {
    /// Labels that a cluster must have, all of them.
    #[schemars(with = "schema::Selection")]
    match_labels: Spanned<BTreeMap<String, Spanned<String>>>,
}

/// All that is said must be reached.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Bake")]
struct RawBake {
    /// How long the wave must stay healthy after its last cluster was upgraded.
    #[schemars(with = "schema::Duration")]
    duration: Spanned<String>,
    /// How many of its clusters must run the release and be healthy at the end.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "u32")]
    clusters: Option<u32>,
    /// How many reconciliations by Flux must have been seen on them. Only Flux 2.7 and later reports them.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "u64")]
    reconciles: Option<u64>,
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

    /// Failure budget and unreachable budget of all waves together.
    pub(super) fn overall(
        &self,
        document: &Document<'_>,
    ) -> Result<(Option<Budget>, Option<Budget>), LoadError> {
        let Some(overall) = &self.overall else {
            return Ok((None, None));
        };
        let read = |key, text: &Option<Spanned<String>>| match text {
            Some(text) => budget(document, key, text).map(Some),
            None => Ok(None),
        };
        Ok((
            read("overall.failureBudget", &overall.failure_budget)?,
            read("overall.unreachableBudget", &overall.unreachable_budget)?,
        ))
    }

    pub(super) fn superseding(&self) -> rollout::Superseding {
        match self.superseding {
            Some(Superseding::FinishWave) => rollout::Superseding::FinishWave,
            Some(Superseding::FinishRollout) | None => rollout::Superseding::FinishRollout,
        }
    }

    /// Whether the file says that clusters in no wave are left alone.
    pub(super) const fn ignores_unlabelled(&self) -> bool {
        match self.unlabelled {
            Some(Unlabelled::Ignore) => true,
            None => false,
        }
    }

    /// The waves, with everything that is wrong in them or not implemented.
    pub(super) fn waves(self, document: &Document<'_>, findings: &mut Vec<LoadError>) -> Vec<Wave> {
        findings.extend(self.not_implemented(document));
        if self.waves.value.is_empty() {
            let expected = "at least one wave";
            let problem = Problem::WrongValue {
                key: "waves",
                found: "[]".to_owned(),
                expected,
            };
            findings.push(document.error(self.waves.referenced, problem));
        }
        let mut lines = BTreeMap::new();
        let mut waves: Vec<Wave> = Vec::new();
        for wave in self.waves.value {
            let labels = wave.selector.match_labels.referenced;
            match wave.check(document, &mut lines) {
                Ok(wave) => {
                    if let Some(problem) = waves.iter().find_map(|earlier| overlap(earlier, &wave)) {
                        findings.push(document.error(labels, problem));
                    }
                    waves.push(wave);
                }
                Err(error) => findings.push(error),
            }
        }
        waves
    }

    fn not_implemented(&self, document: &Document<'_>) -> Vec<LoadError> {
        let unknown =
            "take it out: what can't be undone is not told apart; Enforce is given for each wave anyway";
        let any_hour = "take it out: waves open at any hour; freeze the fleet outside of your hours";
        let by_hand = "take it out, and freeze fleet, wave or label when the time comes";
        let no_owner = "take it out: only installs without an owner are upgraded";
        let refused = [
            document.refuse("irreversible", &self.irreversible, unknown),
            document.refuse("windows", &self.windows, any_hour),
            document.refuse("freezes", &self.freezes, by_hand),
            document.refuse("method", &self.method, no_owner),
        ];
        refused.into_iter().filter_map(Result::err).collect()
    }
}

/// Two waves of which one selects whatever the other does. Waves that may overlap, but need not, are found when
/// they are held against a fleet.
fn overlap(earlier: &Wave, later: &Wave) -> Option<Problem> {
    let within = |outer: &Wave, inner: &Wave| {
        let mut labels = outer.match_labels.iter();
        labels.all(|(key, value)| inner.match_labels.get(key) == Some(value))
    };
    (within(earlier, later) || within(later, earlier)).then(|| {
        let labels = later.match_labels.iter();
        let labels: Vec<String> = labels.map(|(key, value)| format!("{key}: {value}")).collect();
        Problem::WrongValue {
            key: "matchLabels",
            found: format!("{{{}}}", labels.join(", ")),
            expected: "labels that do not put every cluster of one wave into another as well; give the waves \
                       different values of one label",
        }
    })
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
        let mut match_labels = BTreeMap::new();
        for (label, value) in labels.value {
            document.label(&label, &value)?;
            match_labels.insert(label, value.value);
        }
        Ok(Wave {
            name,
            match_labels,
            policy: match &self.policy {
                Some(policy) => document.name("policy", policy)?,
                None => DEFAULT_POLICY.to_owned(),
            },
            min_clusters: self.min_clusters.unwrap_or(1),
            max_concurrency: match &self.max_concurrency {
                Some(text) => concurrency(document, text)?,
                None => Concurrency::Count(1),
            },
            failure_budget: match &self.failure_budget {
                Some(text) => budget(document, "failureBudget", text)?,
                None => Budget::Count(0),
            },
            bake: self
                .bake
                .map_or(Ok(Bake::default()), |bake| bake.check(document))?,
        })
    }
}

impl RawBake {
    fn check(&self, document: &Document<'_>) -> Result<Bake, LoadError> {
        Ok(Bake {
            duration: document.duration("bake.duration", &self.duration)?,
            clusters: self.clusters.unwrap_or(0),
            reconciles: self.reconciles.unwrap_or(0),
        })
    }
}

fn budget(document: &Document<'_>, key: &'static str, text: &Spanned<String>) -> Result<Budget, LoadError> {
    let parsed = match text.value.strip_suffix('%') {
        Some(percent) => number(percent).filter(|n| *n <= 100).map(Budget::Percent),
        None => number(&text.value).map(Budget::Count),
    };
    parsed.ok_or_else(|| document.wrong(key, text, "a number of clusters, or 0% to 100%, rounded down"))
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn concurrency(document: &Document<'_>, text: &Spanned<String>) -> Result<Concurrency, LoadError> {
    let some = |text| number(text).filter(|n| *n > 0);
    let parsed = match text.value.strip_suffix('%') {
        Some(percent) => some(percent).filter(|n| *n <= 100).map(Concurrency::Percent),
        None => some(&text.value).map(Concurrency::Count),
    };
    parsed.ok_or_else(|| {
        document.wrong(
            "maxConcurrency",
            text,
            "a number of clusters above 0, or 1% to 100% of the wave",
        )
    })
}
