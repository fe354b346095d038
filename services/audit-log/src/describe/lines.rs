//! One line for each kind of statement.

use std::collections::BTreeSet;

use attest::TrustBundle;
use domain::fleet::{HealthReport, Report, ReportKind};
use domain::rollout::{RolloutFinished, RolloutRetried, RolloutStarted, WaveBaked, WaveOpened};
use domain::{
    Action, Assignment, Baseline, ClusterFacts, ClusterMember, Decision, Epoch, Evidence, Outcome,
    ReleaseContents, ReleaseKey, RoleSummary, StopScope, StopSetting,
};
use wire::{Discovered, ModeSetting, PolicyDocument, Scope};

use super::Describe;
use super::decision_name;
use crate::ledger::About;

/// `flux/v2.9.4`: the digest stands in the payload.
fn short(release: &ReleaseKey) -> String {
    format!("{}/{}", domain::release::PRODUCT, release.version)
}

impl About {
    fn of_release(&mut self, release: &ReleaseKey, summary: String) {
        self.release = release.to_string();
        self.summary = summary;
    }

    fn of_cluster(&mut self, cluster: &domain::ClusterName, summary: String) {
        cluster.as_str().clone_into(&mut self.cluster);
        self.summary = summary;
    }

    fn of_rollout(&mut self, rollout: &domain::RolloutKey, summary: String) {
        self.rollout = rollout.to_string();
        self.summary = summary;
    }
}

impl Describe for Discovered {
    fn describe(&self, about: &mut About) {
        let line = format!("seen: {} in {} (a hint)", short(&self.release), self.repository);
        about.of_release(&self.release, line);
    }
}

impl Describe for ReleaseContents {
    fn describe(&self, about: &mut About) {
        let line = format!("{} contains {} images", short(&self.release), self.images.len());
        about.of_release(&self.release, line);
        about.blobs.push(self.layer);
    }
}

impl Describe for Baseline {
    fn describe(&self, about: &mut About) {
        let version = self
            .version
            .as_ref()
            .map_or_else(|| "mixed or unknown".to_owned(), ToString::to_string);
        about.summary = format!("baseline {}: {version}, {} images", self.key(), self.images.len());
        about.blobs.extend(self.layer);
    }
}

impl Describe for Evidence {
    fn describe(&self, about: &mut About) {
        let reason = self
            .reason
            .map(|reason| format!(" ({reason})"))
            .unwrap_or_default();
        let line = format!(
            "{} {} of {} in {}{reason}",
            self.result,
            self.check,
            self.artifact,
            short(&self.release)
        );
        about.of_release(&self.release, line);
    }
}

impl Describe for RoleSummary {
    fn describe(&self, about: &mut About) {
        let line = format!(
            "{} {}: {} checks, attempt {}",
            self.worst(),
            short(&self.release),
            self.checks.len(),
            self.attempt
        );
        about.of_release(&self.release, line);
    }
}

impl Describe for PolicyDocument {
    fn describe(&self, about: &mut About) {
        about.summary = format!(
            "policy {} is now {}",
            self.policy.name,
            self.policy.digest.short()
        );
    }
}

impl Describe for Decision {
    fn describe(&self, about: &mut About) {
        let worst = self.rules.iter().filter(|rule| rule.outcome == self.outcome);
        let reasons: BTreeSet<String> = match self.outcome {
            Outcome::Allow => BTreeSet::new(),
            Outcome::Wait | Outcome::NeedsApproval | Outcome::Deny => {
                worst.map(|rule| rule.reason.to_string()).collect()
            }
        };
        let because = if reasons.is_empty() {
            String::new()
        } else {
            format!(": {}", join(&reasons))
        };
        let line = format!(
            "{} {} under {} for baseline {} ({} rules){because}{}",
            self.outcome,
            short(&self.release),
            self.policy.name,
            self.baseline,
            self.rules.len(),
            if self.demo { " DEMO" } else { "" },
        );
        about.of_release(&self.release, line);
        about.blobs.push(self.inputs);
    }
}

fn join(texts: &BTreeSet<String>) -> String {
    texts.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl Describe for ClusterMember {
    fn describe(&self, about: &mut About) {
        let line = if self.removed {
            format!("{}: no longer in the fleet", self.cluster)
        } else {
            format!("{}: member, at most {}", self.cluster, self.max_mode)
        };
        about.of_cluster(&self.cluster, line);
    }
}

impl Describe for ClusterFacts {
    fn describe(&self, about: &mut About) {
        let line = format!(
            "{}: {} components, installed by {}, Kubernetes {}",
            self.cluster,
            self.components.len(),
            self.installer,
            self.kubernetes
        );
        about.of_cluster(&self.cluster, line);
    }
}

impl Describe for HealthReport {
    fn describe(&self, about: &mut About) {
        let reasons: BTreeSet<String> = self.symptoms.iter().map(|s| s.reason.to_string()).collect();
        let because = if reasons.is_empty() {
            String::new()
        } else {
            format!(": {}", join(&reasons))
        };
        let line = format!("{}: {}, epoch {}{because}", self.cluster, self.health, self.epoch);
        about.of_cluster(&self.cluster, line);
    }
}

impl Describe for Assignment {
    fn describe(&self, about: &mut About) {
        let Epoch(epoch) = self.epoch;
        let line = match self.action {
            Action::Upgrade => format!(
                "{}: UPGRADE to {}, epoch {epoch}, {}",
                self.cluster, self.target.version, self.mode
            ),
            Action::Stop => format!("{}: STOP, epoch {epoch}", self.cluster),
        };
        about.of_cluster(&self.cluster, line);
        about.release = self.target.to_string();
        about.rollout = self.rollout.to_string();
        about.decision = decision_name(&self.decision.subject);
    }
}

impl Describe for Report {
    fn describe(&self, about: &mut About) {
        let what = match &self.kind {
            ReportKind::Accepted => "ACCEPTED".to_owned(),
            ReportKind::Refused(reason) => format!("REFUSED ({reason})"),
            ReportKind::Applied => "APPLIED".to_owned(),
            ReportKind::WouldUpgrade => "WOULD_UPGRADE".to_owned(),
            ReportKind::Finished(health) => format!("FINISHED, {health}"),
        };
        about.of_cluster(
            &self.cluster,
            format!("{}: {what}, epoch {}", self.cluster, self.epoch),
        );
    }
}

impl Describe for ModeSetting {
    fn describe(&self, about: &mut About) {
        let line = format!("{} for {} by {}", self.mode, self.scope, self.principal);
        match &self.scope {
            Scope::Cluster(cluster) => about.of_cluster(cluster, line),
            Scope::Wave(_) => about.summary = line,
        }
    }
}

impl Describe for RolloutStarted {
    fn describe(&self, about: &mut About) {
        let line = format!(
            "rollout {} of {} started: {} waves, strategy {}",
            self.rollout,
            short(&self.release),
            self.waves.len(),
            self.strategy.name
        );
        about.of_release(&self.release, line);
        about.rollout = self.rollout.to_string();
    }
}

impl Describe for WaveOpened {
    fn describe(&self, about: &mut About) {
        let mut line = format!("rollout {}: wave {} opened", self.rollout, self.wave);
        if !self.detail.is_empty() {
            line.push_str(&format!(": {}", self.detail));
        }
        about.of_rollout(&self.rollout, line);
    }
}

impl Describe for WaveBaked {
    fn describe(&self, about: &mut About) {
        let line = format!(
            "rollout {}: wave {} baked, {} clusters",
            self.rollout,
            self.wave,
            self.heartbeats.len()
        );
        about.of_rollout(&self.rollout, line);
    }
}

impl Describe for RolloutFinished {
    fn describe(&self, about: &mut About) {
        about.of_rollout(
            &self.rollout,
            format!("rollout {} {}: {}", self.rollout, self.end, self.detail),
        );
    }
}

impl Describe for StopSetting {
    fn describe(&self, about: &mut About) {
        let word = if self.active { "set" } else { "lifted" };
        let line = format!(
            "{} of {} {word} by {}: {}",
            self.scope.kind(),
            self.scope,
            self.principal,
            self.reason
        );
        match &self.scope {
            StopScope::Cluster(cluster) => about.of_cluster(cluster, line),
            StopScope::Rollout(rollout) => about.of_rollout(rollout, line),
            StopScope::Fleet | StopScope::Wave(_) | StopScope::Label { .. } | StopScope::Version(_) => {
                about.summary = line;
            }
        }
    }
}

impl Describe for RolloutRetried {
    fn describe(&self, about: &mut About) {
        let line = format!(
            "another attempt after rollout {} wished by {}: {}",
            self.rollout, self.principal, self.reason
        );
        about.of_rollout(&self.rollout, line);
    }
}

impl Describe for TrustBundle {
    fn describe(&self, about: &mut About) {
        let demo = if self.demo { " DEMO" } else { "" };
        about.summary = format!(
            "trust bundle version {} with {} keys{demo}",
            self.version,
            self.keys.len()
        );
    }
}
