//! One function for each row of the protocol's table of names (protocol, section 3).

use domain::{Artifact, BaselineKey, CheckKind, ClusterName, Digest, Epoch, ReleaseKey, RolloutKey};

use super::{Area, Series, Subject, step_part, workflow};

/// What contents are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// A release.
    Release(&'a ReleaseKey),
    /// What clusters run.
    Baseline(&'a BaselineKey),
}

fn subject(area: Area, canonical: &str, step: impl Into<String>, n: u64) -> Subject {
    Series {
        area,
        workflow: workflow(canonical),
        step: step.into(),
    }
    .at(n)
}

/// A release was noticed: a hint.
#[must_use]
pub fn release_discovered(release: &ReleaseKey) -> Subject {
    subject(Area::Release, &release.to_string(), "discovered", 1)
}

/// ReleaseContents or BaselineContents.
#[must_use]
pub fn verification_contents(scope: Scope<'_>, attempt: u64) -> Subject {
    let canonical = match scope {
        Scope::Release(release) => release.to_string(),
        Scope::Baseline(baseline) => baseline.to_string(),
    };
    subject(Area::Verification, &canonical, "contents", attempt)
}

/// Whether a workflow of [`Area::Verification`] is a baseline's; all others are releases'.
pub(super) fn is_baseline(token: &str) -> bool {
    let key = token
        .split_once('-')
        .and_then(|(key, _)| key.parse::<BaselineKey>().ok());
    key.is_some_and(|key| workflow(&key.to_string()) == token)
}

/// Evidence of signature-verifier about one artifact.
#[must_use]
pub fn verification_evidence(
    release: &ReleaseKey,
    artifact: Artifact,
    check: CheckKind,
    attempt: u64,
) -> Subject {
    subject(
        Area::Verification,
        &release.to_string(),
        format!("{artifact}-{check}"),
        attempt,
    )
}

/// RoleSummary of signature-verifier.
#[must_use]
pub fn verification_summary(release: &ReleaseKey, attempt: u64) -> Subject {
    subject(Area::Verification, &release.to_string(), "summary", attempt)
}

/// Evidence of sbom-scanner about one artifact.
#[must_use]
pub fn scan_evidence(release: &ReleaseKey, artifact: Artifact, check: CheckKind, attempt: u64) -> Subject {
    subject(
        Area::Scan,
        &release.to_string(),
        format!("{artifact}-{check}"),
        attempt,
    )
}

/// RoleSummary of sbom-scanner.
#[must_use]
pub fn scan_summary(release: &ReleaseKey, attempt: u64) -> Subject {
    subject(Area::Scan, &release.to_string(), "summary", attempt)
}

fn decision_key(release: &ReleaseKey, policy: &str, baseline: &BaselineKey) -> String {
    format!("{release}\n{policy}\n{baseline}")
}

/// A decision of one policy for one release on one baseline.
#[must_use]
pub fn decision(release: &ReleaseKey, policy: &str, baseline: &BaselineKey, n: u64) -> Subject {
    subject(
        Area::Policy,
        &decision_key(release, policy, baseline),
        "decision",
        n,
    )
}

/// An approval: one for each principal and request id. `request` is SHA-256 over both.
#[must_use]
pub fn approval(release: &ReleaseKey, policy: &str, baseline: &BaselineKey, request: Digest) -> Subject {
    let step = format!("approval-{}", request.hex());
    subject(Area::Policy, &decision_key(release, policy, baseline), step, 1)
}

/// The text of a policy.
#[must_use]
pub fn policy_text(policy: &str, n: u64) -> Subject {
    subject(Area::Policy, policy, "text", n)
}

/// A version of an advisory database.
#[must_use]
pub fn advisory_database(name: &str, n: u64) -> Subject {
    subject(Area::Scan, name, "version", n)
}

/// The workflow of a cluster, to compare a header's cluster with.
#[must_use]
pub fn cluster_workflow(cluster: &ClusterName) -> String {
    workflow(cluster.as_str())
}

/// Membership of a cluster.
#[must_use]
pub fn member(cluster: &ClusterName, n: u64) -> Subject {
    subject(Area::Cluster, cluster.as_str(), "member", n)
}

/// Facts about a cluster.
#[must_use]
pub fn facts(cluster: &ClusterName, n: u64) -> Subject {
    subject(Area::Cluster, cluster.as_str(), "facts", n)
}

/// Health of a cluster.
#[must_use]
pub fn health(cluster: &ClusterName, n: u64) -> Subject {
    subject(Area::Cluster, cluster.as_str(), "health", n)
}

/// What a cluster should be.
#[must_use]
pub fn assignment(cluster: &ClusterName, epoch: Epoch) -> Subject {
    subject(Area::Cluster, cluster.as_str(), "assignment", epoch.0)
}

/// The agent took the assignment.
#[must_use]
pub fn accepted(cluster: &ClusterName, epoch: Epoch) -> Subject {
    subject(Area::Cluster, cluster.as_str(), "accepted", epoch.0)
}

/// The agent refused the assignment.
#[must_use]
pub fn refused(cluster: &ClusterName, epoch: Epoch) -> Subject {
    subject(Area::Cluster, cluster.as_str(), "refused", epoch.0)
}

/// The agent wrote everything.
#[must_use]
pub fn applied(cluster: &ClusterName, epoch: Epoch) -> Subject {
    subject(Area::Cluster, cluster.as_str(), "applied", epoch.0)
}

/// How it went.
#[must_use]
pub fn result(cluster: &ClusterName, epoch: Epoch) -> Subject {
    subject(Area::Cluster, cluster.as_str(), "result", epoch.0)
}

/// A rollout began.
#[must_use]
pub fn rollout_started(rollout: &RolloutKey) -> Subject {
    subject(Area::Rollout, &rollout.to_string(), "started", 1)
}

/// A wave was opened.
#[must_use]
pub fn rollout_opened(rollout: &RolloutKey, wave: &str) -> Subject {
    subject(
        Area::Rollout,
        &rollout.to_string(),
        format!("opened-{}", step_part(wave)),
        1,
    )
}

/// A wave has baked.
#[must_use]
pub fn rollout_baked(rollout: &RolloutKey, wave: &str) -> Subject {
    subject(
        Area::Rollout,
        &rollout.to_string(),
        format!("baked-{}", step_part(wave)),
        1,
    )
}

/// A rollout ended.
#[must_use]
pub fn rollout_finished(rollout: &RolloutKey) -> Subject {
    subject(Area::Rollout, &rollout.to_string(), "finished", 1)
}

/// A person asked for another attempt after this rollout was halted.
#[must_use]
pub fn rollout_retried(rollout: &RolloutKey) -> Subject {
    subject(Area::Rollout, &rollout.to_string(), "retried", 1)
}

/// The mode of a scope.
#[must_use]
pub fn mode(scope: &str, n: u64) -> Subject {
    subject(Area::Rollout, scope, "mode", n)
}

/// A stop, or its end, of a scope.
#[must_use]
pub fn stop(scope: &str, n: u64) -> Subject {
    subject(Area::Rollout, scope, "stop", n)
}

/// Every version of the trust bundle, as a filter.
#[must_use]
pub fn trust_bundles() -> String {
    format!("{}.*", trust_bundle(1).series())
}

/// A version of the trust bundle.
#[must_use]
pub fn trust_bundle(version: u64) -> Subject {
    Series {
        area: Area::Trust,
        workflow: "bundle".to_owned(),
        step: "bundle".to_owned(),
    }
    .at(version)
}
