//! Evaluating and publishing.

use attest::Role;
use bus::blobs::BlobError;
use bus::journal::JournalError;
use bus::{Fact, Turn, ViewError, subject};
use domain::decision::PolicyId;
use domain::trace::TraceId;
use domain::{Decision, Digest, Outcome};
use hub::{HubError, LedgerState};
use jiff::{SignedDuration, Timestamp};
use policy::evaluate::{ALLOW_LIFETIME, Ledger};
use policy::{Evaluation, Inputs, Verified};
use serde_json::json;
use wire::policy::v1;

use crate::Engine;
use crate::gather::{InUse, Release};
use crate::texts::{InForce, TextError};

/// An ALLOW is renewed when less than this is left of it.
const RENEW_WITHIN: SignedDuration = SignedDuration::from_hours(12);

/// Why a decision was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecideError {
    #[error("reading the view")]
    View(#[from] ViewError),
    #[error("reading the policies")]
    Texts(#[from] TextError),
    #[error("asking whether the ledger confirms")]
    Ledger(#[source] HubError),
    #[error("storing the inputs of a decision about {0}")]
    Blob(domain::ReleaseKey, #[source] BlobError),
    #[error("publishing a decision about {0}")]
    Journal(domain::ReleaseKey, #[source] JournalError),
}

/// What one decision is about.
struct Case<'a> {
    policy: &'a InForce,
    release: &'a Release,
    baseline: &'a InUse,
    ledger: &'a Ledger,
    verified: &'a [Verified],
    /// The sequence that was folded when gathering began: nothing newer is sure to be among the inputs.
    as_of: u64,
}

/// When a decision was made, and under what.
struct At {
    now: Timestamp,
    demo: bool,
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
        let (policies, releases, baselines) = (
            self.in_force().await?,
            self.releases().await?,
            self.in_use().await?,
        );
        let ledger = match self.hub.ledger().await.map_err(DecideError::Ledger)? {
            LedgerState::Confirmed => Ledger::Confirmed,
            LedgerState::Unconfirmed(why) => Ledger::Unconfirmed { why },
        };
        for release in &releases {
            // Where the release runs already, or something newer does, there is nothing to decide.
            let below: Vec<_> = baselines
                .values()
                .filter(|baseline| baseline.is_below(&release.key))
                .collect();
            if below.is_empty() {
                continue;
            }
            let contents = release.contents.as_ref().map(|(_, contents)| contents);
            let verified = self.verify(&release.key, contents, &release.evidence, self.hub.clock.now());
            for policy in policies.values() {
                for baseline in &below {
                    let case = Case {
                        policy,
                        release,
                        baseline,
                        ledger: &ledger,
                        verified: &verified,
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
        let newest = self.hub.view.latest(series.series()).await?;
        let orphaned = |fact: &Fact| self.hub.journal.is_orphaned(fact, Role::Policy);
        let differs =
            |newest: Option<&Fact>| differs(&evaluation, &case.policy.policy.id, newest, now, orphaned);
        if !differs(newest.as_ref()) {
            return Ok(());
        }
        // Stored before it is named: a decision never rests on bytes that nobody has.
        let at = At {
            now,
            demo: self.is_demo(),
        };
        let inputs = case.document(&at);
        let digest = self
            .hub
            .blobs
            .put(&inputs)
            .await
            .map_err(|error| DecideError::Blob(release.clone(), error))?;
        let evaluate = |turn: Turn<'_>| {
            differs(turn.newest).then(|| v1::Decision::from(&case.decision(&evaluation, digest, &at, turn)))
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
            let reason = leading(&evaluation)
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

/// Whether the answer is another one than the newest, or has to be renewed: its time runs out, or its key
/// does not act any more (`orphaned`).
fn differs(
    evaluation: &Evaluation,
    policy: &PolicyId,
    newest: Option<&Fact>,
    now: Timestamp,
    orphaned: impl Fn(&Fact) -> bool,
) -> bool {
    let Some(fact) = newest else { return true };
    let Ok(newest) = wire::decode::<v1::Decision, Decision>(&fact.statement) else {
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
        let evidence: Vec<_> = self
            .release
            .evidence
            .iter()
            .map(|(_, evidence)| evidence.clone())
            .collect();
        policy::evaluate(&Inputs {
            policy: &self.policy.policy,
            release: &self.release.key,
            contents: self.release.contents.as_ref().map(|(_, contents)| contents),
            summary: Some(&self.release.summary.1),
            verified: self.verified,
            evidence: &evidence,
            baseline: &self.baseline.baseline,
            ledger: self.ledger,
            tag_moved: self.release.tag_moved,
            now,
        })
    }

    /// The stored input document: every statement by name and digest, and what no statement says.
    fn document(&self, at: &At) -> Vec<u8> {
        let named = |statement: &domain::assignment::StatementRef| json!({"subject": statement.subject, "digest": statement.digest});
        let evidence: Vec<_> = self.release.evidence.iter().map(|(digest, _)| digest).collect();
        let verified: Vec<_> = self
            .verified
            .iter()
            .map(|v| {
                json!({"artifact": v.artifact, "digest": v.digest, "result": v.result.to_string(),
                    "reason": v.reason.map(|reason| reason.code()), "detail": v.detail,
                    "integratedTime": v.integrated_time})
            })
            .collect();
        let ledger = match self.ledger {
            Ledger::Confirmed => None,
            Ledger::Unconfirmed { why } => Some(why),
        };
        let document = json!({
            "policy": {"name": self.policy.policy.id.name, "digest": self.policy.policy.id.digest,
                "text": self.policy.text, "sequence": self.policy.sequence},
            "release": self.release.key.to_string(),
            "tagMoved": self.release.tag_moved,
            "summary": named(&self.release.summary.0),
            "contents": self.release.contents.as_ref().map(|(statement, _)| named(statement)),
            "evidence": evidence,
            "verified": verified,
            "baseline": named(&self.baseline.statement),
            "ledgerUnconfirmed": ledger,
            "now": at.now,
            "asOf": self.as_of,
        });
        document.to_string().into_bytes()
    }

    fn decision(&self, evaluation: &Evaluation, inputs: Digest, at: &At, turn: Turn<'_>) -> Decision {
        Decision {
            release: self.release.key.clone(),
            policy: self.policy.policy.id.clone(),
            baseline: self.baseline.baseline.key(),
            outcome: evaluation.outcome,
            rules: evaluation.rules.clone(),
            inputs,
            decided: at.now,
            valid_until: evaluation.valid_until,
            wait_until: evaluation.wait_until,
            as_of: self.as_of,
            supersedes: turn.newest.map(|fact| fact.subject.to_string()),
            demo: at.demo,
        }
    }
}

#[cfg(test)]
mod tests;
