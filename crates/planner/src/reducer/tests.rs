//! A small lab: it folds what the reducer plans, as a controller would, and checks at each step what must
//! never happen.

use std::collections::{BTreeMap, BTreeSet};

use domain::baseline::key_of;
use domain::fleet::{HealthReport, Heartbeat, Report, ReportKind};
use domain::rollout::RolloutEnd;
use domain::{
    Action, Assignment, BaselineKey, ClusterMember, ClusterName, Digest, Epoch, Health, Mode, Outcome,
    Reason, ReleaseKey, Version,
};
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::Strategy;

mod beginning;
mod budgets;
mod folding;
mod gates;
mod properties;
mod scenarios;
mod semantics;
mod stops;
mod superseding;
mod tasks;
mod waves;

const STRATEGY: &str = "\
apiVersion: rollout.fluxgate.dev/v1alpha1
kind: Strategy
metadata: {name: s}
spec:
  waves:
    - {name: canary, selector: {matchLabels: {wave: canary}}, maxConcurrency: 1, bake: {duration: 1h}}
    - {name: main, selector: {matchLabels: {wave: main}}, maxConcurrency: 2}
";

struct Lab {
    now: Timestamp,
    strategy: Strategy,
    members: Vec<ClusterMember>,
    facts: BTreeMap<ClusterName, FactsView>,
    decisions: Vec<DecisionView>,
    modes: Modes,
    rollout: Option<RolloutView>,
    previous: BTreeMap<Version, PreviousRollout>,
    restarts: BTreeSet<domain::RolloutKey>,
    stops: Vec<domain::StopSetting>,
    assignments: BTreeMap<ClusterName, AssignmentView>,
    orphans: BTreeSet<ClusterName>,
    heartbeats: BTreeMap<ClusterName, Heartbeat>,
    health: BTreeMap<ClusterName, HealthReport>,
    ledger_ok: bool,
    listening_since: Timestamp,
    /// What each heartbeat says that Flux did.
    reconciles: u64,
    /// What stood on the log about tasks, in order.
    log: Vec<Logged>,
}

/// An event about a task.
#[derive(Debug, Clone)]
enum Logged {
    Assigned(ClusterName, Box<Assignment>),
    Said(Report),
}

fn name(text: &str) -> ClusterName {
    text.parse().unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn release(text: &str) -> ReleaseKey {
    ReleaseKey {
        version: version(text),
        manifests: Digest::of(text.as_bytes()),
    }
}

fn baseline(text: &str) -> BaselineKey {
    key_of(std::iter::once(Digest::of(text.as_bytes())), &BTreeMap::new())
}

fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

fn member(cluster: &str, wave: &str) -> ClusterMember {
    ClusterMember {
        cluster: name(cluster),
        labels: [("wave".to_owned(), wave.to_owned())].into(),
        agent_key: String::new(),
        max_mode: Mode::Enforce,
        image_registry: "ghcr.io".to_owned(),
        removed: false,
    }
}

impl Lab {
    /// Canaries c1, c2 and main clusters m1, m2, m3 at v2.9.3; v2.9.4 is allowed; nothing is enforced.
    fn new() -> Self {
        let members = ["c1", "c2"].map(|c| member(c, "canary")).into_iter();
        let members = members.chain(["m1", "m2", "m3"].map(|c| member(c, "main")));
        let mut lab = Self::of(Strategy::parse("s.yaml", STRATEGY).unwrap(), members.collect());
        lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
        lab
    }

    /// The same with Enforce everywhere and the rollout under way: canary is open, c1 has its assignment.
    fn running() -> Self {
        let mut lab = Self::new();
        lab.enforce_all();
        lab.settle();
        assert_eq!(lab.in_work(), ["c1"]);
        lab
    }

    fn of(strategy: Strategy, members: Vec<ClusterMember>) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut lab = Self {
            now,
            strategy,
            facts: BTreeMap::new(),
            decisions: Vec::new(),
            modes: Modes::default(),
            rollout: None,
            previous: BTreeMap::new(),
            restarts: BTreeSet::new(),
            stops: Vec::new(),
            assignments: BTreeMap::new(),
            heartbeats: BTreeMap::new(),
            health: BTreeMap::new(),
            orphans: BTreeSet::new(),
            ledger_ok: true,
            listening_since: now,
            reconciles: 0,
            log: Vec::new(),
            members,
        };
        for member in lab.members.clone() {
            lab.runs(member.cluster.as_str(), "v2.9.3");
        }
        lab.beat_all();
        lab
    }

    fn world(&self) -> World<'_> {
        World {
            now: self.now,
            strategy: &self.strategy,
            members: &self.members,
            facts: self.facts.clone(),
            decisions: self.decisions.clone(),
            modes: self.modes.clone(),
            rollout: self.rollout.clone(),
            previous: self.previous.clone(),
            restarts: self.restarts.clone(),
            stops: self.stops.clone(),
            assignments: self.assignments.clone(),
            heartbeats: self.heartbeats.clone(),
            health: self.health.clone(),
            orphans: self.orphans.clone(),
            ledger_ok: self.ledger_ok,
            listening_since: self.listening_since,
        }
    }

    fn plan(&self) -> Plan {
        let plan = plan(&self.world());
        assert_eq!(
            super::plan(&self.world()),
            plan,
            "the same world gives the same plan"
        );
        plan
    }

    fn runs(&mut self, cluster: &str, text: &str) {
        let facts = FactsView {
            baseline: Some(baseline(text)),
            version: Some(version(text)),
            observed: self.now,
        };
        self.facts.insert(name(cluster), facts);
    }

    /// The newest decision of policy `default` about a release on a baseline.
    fn decide(&mut self, to: &str, from: &str, outcome: Outcome) {
        let (release, baseline) = (release(to), baseline(from));
        self.decisions
            .retain(|d| d.release != release || d.baseline != baseline);
        let (reason, wait_until) = match outcome {
            Outcome::Allow => (Reason::StepAllowed, None),
            Outcome::Wait => (Reason::ReleaseTooYoung, Some(self.now + hours(5))),
            Outcome::NeedsApproval => (Reason::MinorsSkipped, None),
            Outcome::Deny => (Reason::IdentityMismatch, None),
        };
        let valid_until = (outcome == Outcome::Allow).then(|| self.now + hours(24));
        let policy = "default".to_owned();
        self.decisions.push(DecisionView {
            release,
            policy,
            baseline,
            outcome,
            reason,
            valid_until,
            wait_until,
        });
    }

    fn enforce_all(&mut self) {
        let waves = self
            .strategy
            .waves
            .iter()
            .map(|wave| (wave.name.clone(), Mode::Enforce));
        self.modes.waves = waves.collect();
    }

    fn beat(&mut self, cluster: &str, health: Health) {
        let cluster = name(cluster);
        let epoch = self.assignments.get(&cluster).map_or(Epoch(0), |task| task.epoch);
        let heartbeat = Heartbeat {
            cluster: cluster.clone(),
            sent: self.now,
            epoch,
            health,
            observations: 1,
            reconciles: self.reconciles,
            alarm: None,
        };
        self.heartbeats.insert(cluster, heartbeat);
    }

    fn beat_all(&mut self) {
        for member in self.members.clone() {
            self.beat(member.cluster.as_str(), Health::Healthy);
        }
    }

    fn judge(&mut self, cluster: &str, health: Health) {
        let epoch = Epoch(0);
        let report = HealthReport {
            cluster: name(cluster),
            observed: self.now,
            epoch,
            health,
            symptoms: Vec::new(),
        };
        self.health.insert(name(cluster), report);
    }

    /// A person stops a scope, or lifts its stop.
    fn stop(&mut self, scope: &str, active: bool) {
        let scope = scope.parse().unwrap();
        self.stops.retain(|stop| stop.scope != scope);
        if active {
            self.stops.push(domain::StopSetting {
                scope,
                active,
                reason: "incident".to_owned(),
                principal: "alice".to_owned(),
                request_id: String::new(),
            });
        }
    }

    /// What the running rollout was begun with, to change it.
    fn snapshot(&mut self) -> &mut domain::rollout::RolloutStarted {
        &mut self.rollout.as_mut().unwrap().started
    }

    /// What is told about a cluster, a wave or the rollout.
    fn told(&self, scope: &str) -> Vec<String> {
        let named = |found: &Scope| match found {
            Scope::Rollout => scope == "rollout",
            Scope::Wave(wave) => scope == wave,
            Scope::Cluster(cluster) => scope == cluster.as_str(),
        };
        let waits = self.plan().waits.into_iter().filter(|wait| named(&wait.scope));
        waits
            .map(|wait| format!("{}: {}", wait.reason, wait.detail))
            .collect()
    }

    fn pass(&mut self, time: SignedDuration) {
        self.now += time;
    }

    fn report(&mut self, cluster: &str, kind: ReportKind) {
        let epoch = self.assignments[&name(cluster)].epoch;
        self.report_about(cluster, epoch, kind);
    }

    fn report_about(&mut self, cluster: &str, epoch: Epoch, kind: ReportKind) {
        let cluster = name(cluster);
        let report = Report {
            cluster: cluster.clone(),
            sent: self.now,
            epoch,
            assignment: Digest::of(b"assignment"),
            kind,
            detail: String::new(),
        };
        self.assignments.get_mut(&cluster).unwrap().report(&report);
        self.log.push(Logged::Said(report));
    }

    /// An agent carries out its task and finds its cluster well.
    fn upgrade(&mut self, cluster: &str) {
        let target = self.assignments[&name(cluster)].target.version.to_string();
        self.report(cluster, ReportKind::Accepted);
        self.report(cluster, ReportKind::Applied);
        self.pass(SignedDuration::from_secs(60));
        self.report(cluster, ReportKind::Finished(Health::Healthy));
        self.pass(SignedDuration::from_secs(1));
        self.runs(cluster, &target);
        self.beat_all();
    }

    fn in_work(&self) -> Vec<&str> {
        let tasks = self.assignments.iter().filter(|(_, task)| task.in_work(self.now));
        tasks.map(|(cluster, _)| cluster.as_str()).collect()
    }

    /// What a wave or cluster waits for.
    fn waits_for(&self, scope: &str) -> Vec<Reason> {
        let named = |found: &Scope| match found {
            Scope::Rollout => scope == "rollout",
            Scope::Wave(wave) => scope == wave,
            Scope::Cluster(cluster) => scope == cluster.as_str(),
        };
        self.plan()
            .waits
            .iter()
            .filter(|wait| named(&wait.scope))
            .map(|wait| wait.reason)
            .collect()
    }

    fn end(&self) -> Option<RolloutEnd> {
        self.rollout
            .as_ref()?
            .finished
            .as_ref()
            .map(|finished| finished.end)
    }

    fn end_detail(&self) -> &str {
        &self.rollout.as_ref().unwrap().finished.as_ref().unwrap().detail
    }
}

/// The wave that a cluster is in.
fn wave_of<'r>(rollout: &'r RolloutView, cluster: &ClusterName) -> Option<&'r domain::rollout::WaveSnapshot> {
    let mut waves = rollout.started.waves.iter();
    waves.find(|wave| wave.clusters.contains(cluster))
}

/// Short words for steps, to compare with.
fn words(steps: &[Step]) -> Vec<String> {
    let word = |step: &Step| match step {
        Step::Start(started) => format!("start {}", started.rollout),
        Step::OpenWave(opened) => format!("open {}", opened.wave),
        Step::Assign(draft) if draft.renews.is_some() => format!("renew {}", draft.cluster),
        Step::Assign(draft) => format!("{} {}", draft.mode, draft.cluster),
        Step::Stop(stop) => format!("stop {} {}", stop.cluster, stop.reason),
        Step::BakeWave(baked) => format!("bake {}", baked.wave),
        Step::Finish(finished) => format!("finish {}", finished.end),
    };
    steps.iter().map(word).collect()
}
