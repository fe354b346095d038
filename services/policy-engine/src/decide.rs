//! Evaluating and publishing.

use std::collections::BTreeMap;

use attest::Role;
use bus::blobs::BlobError;
use bus::journal::JournalError;
use bus::{Fact, Turn, ViewError, subject};
use domain::assignment::StatementRef;
use domain::decision::PolicyId;
use domain::trace::TraceId;
use domain::{Digest, Evidence, Outcome, ReleaseKey};
use hub::{HubError, LedgerState};
use jiff::{SignedDuration, Timestamp};
use policy::evaluate::{ALLOW_LIFETIME, Ledger};
use policy::stored::{Named, StoredError};
use policy::{Evaluation, Inputs, StoredInputs};
use tracing::Instrument as _;
use wire::policy::v1;

use crate::Engine;
use crate::gather::{Found, InUse, Release};
use crate::statements::Decided;
use crate::texts::InForce;

/// An ALLOW is renewed when less than this is left of it.
const RENEW_WITHIN: SignedDuration = SignedDuration::from_hours(12);

/// Why a decision was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecideError {
    #[error("reading the view")]
    View(#[from] ViewError),
    #[error("asking whether the ledger confirms")]
    Ledger(#[source] HubError),
    #[error("reading back the inputs of a decision")]
    Inputs(#[source] StoredError),
    #[error(
        "the stored inputs about {0} give another answer than the evaluation: a defect, nothing is decided"
    )]
    Unfaithful(ReleaseKey),
    #[error("storing the inputs of a decision about {0}")]
    Blob(ReleaseKey, #[source] BlobError),
    #[error("publishing a decision about {0}")]
    Journal(ReleaseKey, #[source] JournalError),
}

/// What one decision is about.
struct Case<'a> {
    policy: &'a InForce,
    release: &'a Release,
    tag_moved: bool,
    baseline: &'a InUse,
    ledger: &'a Ledger,
    newest: Option<&'a Decided>,
    /// The sequence that was folded when gathering began: nothing newer is sure to be among the inputs.
    as_of: u64,
}

/// When a decision was made, and under what.
struct At {
    now: Timestamp,
    demo: bool,
    trust_root: Digest,
}

impl Engine {
    /// Decides about every release for every policy and every baseline in use. A decision that can't be made
    /// is logged and keeps none of the others from being made.
    ///
    /// # Errors
    /// If what the decisions rest on can't be read.
    pub(crate) async fn decide_all(&self) -> Result<(), DecideError> {
        // Before anything is read: what is folded later may be among the inputs or not.
        let as_of = self.hub.view.cursor();
        let (policies, baselines) = (self.in_force().await?, self.in_use().await?);
        // Where a release runs already, or something newer does, there is nothing to decide.
        let is_above = |release: &ReleaseKey| baselines.values().any(|baseline| baseline.is_below(release));
        let releases = self.releases(is_above).await?;
        let ledger = match self.hub.ledger().await.map_err(DecideError::Ledger)? {
            LedgerState::Confirmed => Ledger::Confirmed,
            LedgerState::Unconfirmed(why) => Ledger::Unconfirmed { why },
        };
        let decisions = self.statements.decisions.of(&self.hub.view).await?;
        let newest: BTreeMap<_, _> = decisions
            .iter()
            .map(|decided| (decided.about(), decided.as_ref()))
            .collect();
        for Found { release, tag_moved } in &releases {
            let below = baselines
                .values()
                .filter(|baseline| baseline.is_below(&release.key));
            let below: Vec<_> = below.collect();
            for policy in &policies {
                for baseline in &below {
                    let key = baseline.baseline.key();
                    let about = (&release.key, policy.policy.id.name.as_str(), &key);
                    let case = Case {
                        policy,
                        release,
                        tag_moved: *tag_moved,
                        baseline,
                        ledger: &ledger,
                        newest: newest.get(&about).copied(),
                        as_of,
                    };
                    if let Err(error) = self.decide(&case).await {
                        case.warn(&error);
                    }
                }
            }
        }
        Ok(())
    }

    async fn decide(&self, case: &Case<'_>) -> Result<(), DecideError> {
        let release = &case.release.key;
        let name = &case.policy.policy.id.name;
        let now = self.hub.clock.now();
        let evaluation = case.evaluate(now);
        let series = subject::decision(release, name, &case.baseline.baseline.key(), 1);
        if !self.differs(case, (&evaluation, now), case.newest) {
            return Ok(());
        }
        let newest = self.hub.view.latest(series.series()).await?;
        let span = runtime::telemetry::work_span(TraceId::of_release(release), "decide");
        self.publish(case, (&evaluation, now), newest)
            .instrument(span)
            .await
    }

    /// Whether the answer is another one than the newest, or has to be renewed.
    fn differs(
        &self,
        case: &Case<'_>,
        (evaluation, now): (&Evaluation, Timestamp),
        newest: Option<&Decided>,
    ) -> bool {
        let orphaned = |fact: &Fact| self.hub.journal.is_orphaned(fact, Role::Policy);
        differs(evaluation, &case.policy.policy.id, newest, now, orphaned)
    }

    async fn publish(
        &self,
        case: &Case<'_>,
        (evaluation, now): (&Evaluation, Timestamp),
        newest: Option<Fact>,
    ) -> Result<(), DecideError> {
        let release = &case.release.key;
        let name = &case.policy.policy.id.name;
        let series = subject::decision(release, name, &case.baseline.baseline.key(), 1);
        let at = At {
            now,
            demo: self.is_demo(),
            trust_root: self.trust.digest(),
        };
        let supersedes = newest.map(|fact| fact.subject.to_string());
        // The decision is made from the very bytes that are stored, so that it follows from them for good.
        let inputs = case.stored(&at, supersedes).to_bytes();
        let decision = policy::replay(&inputs).map_err(DecideError::Inputs)?;
        if decision.outcome != evaluation.outcome || decision.rules != evaluation.rules {
            return Err(DecideError::Unfaithful(release.clone()));
        }
        // Stored before it is named: a decision never rests on bytes that nobody has.
        self.hub
            .blobs
            .put(&inputs)
            .await
            .map_err(|error| DecideError::Blob(release.clone(), error))?;
        let evaluate = |turn: Turn<'_>| {
            // Where somebody else has decided meanwhile, the inputs name the wrong predecessor: next time.
            let follows = turn.newest.map(|fact| fact.subject.to_string()) == decision.supersedes;
            let newest = turn.newest.and_then(Decided::read);
            (follows && self.differs(case, (evaluation, now), newest.as_ref()))
                .then(|| v1::Decision::from(&decision))
        };
        let traceparent = TraceId::of_release(release).traceparent();
        let written = self
            .hub
            .journal
            .series_as_of(series.series(), &traceparent, case.as_of, evaluate)
            .await;
        if let Some(bus::Written::Ours(fact)) =
            written.map_err(|error| DecideError::Journal(release.clone(), error))?
        {
            let reason = leading(evaluation)
                .map(|rule| rule.reason.code())
                .unwrap_or_default();
            tracing::info!(%release, policy = name, baseline = %case.baseline.baseline.key(),
                outcome = %evaluation.outcome, reason, decision_id = subject::decision_id(&fact.subject),
                "decided");
        }
        Ok(())
    }

    fn is_demo(&self) -> bool {
        self.trust.is_demo() || self.hub.view.trust().bundle().demo
    }
}

/// The rule that made the outcome what it is.
fn leading(evaluation: &Evaluation) -> Option<&domain::RuleResult> {
    evaluation
        .rules
        .iter()
        .find(|rule| rule.outcome == evaluation.outcome)
}

/// Whether the answer is another one than the newest (one that can't be read is), or has to be renewed: its time runs
/// out, or its key does not act any more (`orphaned`).
fn differs(
    evaluation: &Evaluation,
    policy: &PolicyId,
    newest: Option<&Decided>,
    now: Timestamp,
    orphaned: impl Fn(&Fact) -> bool,
) -> bool {
    let Some(Decided {
        fact,
        decision: newest,
    }) = newest
    else {
        return true;
    };
    let reasons = |rules: &[domain::RuleResult]| -> Vec<_> {
        rules
            .iter()
            .map(|rule| (rule.rule.clone(), rule.outcome, rule.reason))
            .collect()
    };
    let ends = || {
        newest
            .valid_until
            .is_none_or(|until| until < now + RENEW_WITHIN.min(ALLOW_LIFETIME))
    };
    newest.outcome != evaluation.outcome
        || newest.policy != *policy
        || reasons(&newest.rules) != reasons(&evaluation.rules)
        || (evaluation.outcome == Outcome::Allow && (ends() || orphaned(fact)))
}

impl Case<'_> {
    fn warn(&self, error: &DecideError) {
        tracing::warn!(
            release = %self.release.key,
            policy = self.policy.policy.id.name,
            baseline = %self.baseline.baseline.key(),
            error = %runtime::errors::chain(error),
            "a decision could not be made"
        );
    }

    fn evaluate(&self, now: Timestamp) -> Evaluation {
        policy::evaluate(&Inputs {
            policy: &self.policy.policy,
            release: &self.release.key,
            contents: self.release.contents.as_ref().map(|(_, contents)| contents),
            summary: Some(&self.release.summary.1),
            verified: &self.release.verified,
            evidence: &self.release.evidence,
            baseline: &self.baseline.baseline,
            ledger: self.ledger,
            tag_moved: self.tag_moved,
            now,
        })
    }

    /// Everything that the decision rests on.
    fn stored(&self, at: &At, supersedes: Option<String>) -> StoredInputs {
        let release = self.release;
        let named = |(statement, evidence): (&StatementRef, &Evidence)| Named {
            statement: statement.clone(),
            value: evidence.clone(),
        };
        StoredInputs {
            policy: self.policy.policy.id.clone(),
            text: self.policy.text.clone(),
            sequence: self.policy.sequence,
            release: release.key.clone(),
            tag_moved: self.tag_moved,
            summary: Some(Named {
                statement: release.summary.0.clone(),
                value: release.summary.1.clone(),
            }),
            contents: release.contents.as_ref().map(|(statement, contents)| Named {
                statement: statement.clone(),
                value: contents.clone(),
            }),
            evidence: release
                .statements
                .iter()
                .zip(&release.evidence)
                .map(named)
                .collect(),
            trust_root: at.trust_root,
            verified: release.verified.clone(),
            baseline: Named {
                statement: self.baseline.statement.clone(),
                value: self.baseline.baseline.clone(),
            },
            ledger: self.ledger.clone(),
            supersedes,
            demo: at.demo,
            now: at.now,
            as_of: self.as_of,
        }
    }
}

#[cfg(test)]
mod tests;
