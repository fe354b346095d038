use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy;

use super::*;

/// Something that happens to a fleet. Clusters are numbered.
#[derive(Debug, Clone)]
enum Happening {
    Accept(usize),
    Apply(usize),
    Finish(usize, Health),
    Refuse(usize),
    WouldUpgrade(usize),
    Cap(usize),
    Leave(usize),
    Facts(usize, bool),
    Health(usize, Health),
    Beat,
    Time(i64),
    Mode(bool, Mode),
    OwnMode(usize, Mode),
    Decide(Outcome),
    Newer(Outcome),
    Ledger(bool),
    Restart,
    BeatOne(usize),
    Stop(usize, bool),
}

/// What a person may stop.
const SCOPES: [&str; 9] = [
    "fleet",
    "wave/canary",
    "wave/main",
    "label/wave=main",
    "cluster/c0",
    "cluster/m0",
    "cluster/m1",
    "rollout/flux-v2.9.4-1",
    "version/v2.9.4",
];

fn health() -> impl Strategy<Value = Health> {
    prop_oneof![12 => Just(Health::Healthy), 1 => Just(Health::Unhealthy), 1 => Just(Health::Inconclusive)]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        5 => Just(Outcome::Allow),
        1 => Just(Outcome::Deny),
        1 => Just(Outcome::Wait),
        1 => Just(Outcome::NeedsApproval)
    ]
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![4 => Just(Mode::Enforce), 1 => Just(Mode::Observe)]
}

fn happening() -> impl Strategy<Value = Happening> {
    let n = || 0..8_usize;
    prop_oneof![
        4 => n().prop_map(Happening::Accept),
        2 => n().prop_map(Happening::Apply),
        4 => (n(), health()).prop_map(|(n, h)| Happening::Finish(n, h)),
        1 => n().prop_map(Happening::Refuse),
        1 => n().prop_map(Happening::WouldUpgrade),
        1 => n().prop_map(Happening::Cap),
        1 => n().prop_map(Happening::Leave),
        1 => (n(), mode()).prop_map(|(n, mode)| Happening::OwnMode(n, mode)),
        2 => (n(), any::<bool>()).prop_map(|(n, target)| Happening::Facts(n, target)),
        1 => (n(), health()).prop_map(|(n, h)| Happening::Health(n, h)),
        4 => Just(Happening::Beat),
        4 => (1..1600_i64).prop_map(Happening::Time),
        2 => (any::<bool>(), mode()).prop_map(|(canary, mode)| Happening::Mode(canary, mode)),
        3 => outcome().prop_map(Happening::Decide),
        1 => outcome().prop_map(Happening::Newer),
        1 => any::<bool>().prop_map(Happening::Ledger),
        1 => Just(Happening::Restart),
        2 => n().prop_map(Happening::BeatOne),
        1 => (0..SCOPES.len()).prop_map(|n| Happening::Stop(n, true)),
        2 => (0..SCOPES.len()).prop_map(|n| Happening::Stop(n, false)),
    ]
}

/// What a strategy says besides its waves.
#[derive(Debug, Clone)]
struct Rules {
    at_once: u32,
    min_clusters: u32,
    bake: crate::strategy::Bake,
    wave_budget: u32,
    failure_budget: Option<u32>,
    unreachable_budget: Option<u32>,
    finish_wave: bool,
}

fn rules() -> impl Strategy<Value = Rules> {
    let budget = || proptest::option::of(0..3_u32);
    let counts = (1..4_u32, 0..3_u32, 0..3_u32, 0..3_u64, 0..3_u32);
    (counts, budget(), budget(), any::<bool>()).prop_map(|(counts, failure, unreachable, finish_wave)| {
        let (at_once, min_clusters, clusters, reconciles, wave_budget) = counts;
        Rules {
            at_once,
            min_clusters,
            bake: crate::strategy::Bake {
                duration: hours(1),
                clusters,
                reconciles,
            },
            wave_budget,
            failure_budget: failure,
            unreachable_budget: unreachable,
            finish_wave,
        }
    })
}

impl Lab {
    fn under(mut self, rules: &Rules) -> Self {
        use crate::strategy::{Budget, Concurrency};
        for wave in &mut self.strategy.waves {
            wave.min_clusters = rules.min_clusters;
            wave.max_concurrency = Concurrency::Count(rules.at_once);
            wave.failure_budget = Budget::Count(rules.wave_budget);
            wave.bake = rules.bake;
        }
        self.strategy.failure_budget = rules.failure_budget.map(Budget::Count);
        self.strategy.unreachable_budget = rules.unreachable_budget.map(Budget::Count);
        if rules.finish_wave {
            self.strategy.superseding = domain::rollout::Superseding::FinishWave;
        }
        self.reconciles = 2;
        self
    }

    /// Every fault is over and no stop is active: agents are there and do what they are asked, until nothing
    /// is left to do.
    fn heal(&mut self) {
        self.stops.clear();
        self.ledger_ok = true;
        self.modes.clusters.clear();
        self.enforce_all();
        for _ in 0..120 {
            for (to, from) in [("v2.9.4", "v2.9.3"), ("v2.9.5", "v2.9.3"), ("v2.9.5", "v2.9.4")] {
                if self.decisions.iter().any(|d| d.release == release(to)) {
                    self.decide(to, from, Outcome::Allow);
                }
            }
            self.beat_all();
            self.settle();
            let busy = self.in_work().first().map(ToString::to_string);
            match busy {
                Some(cluster) if self.assignments[&name(&cluster)].reports.accepted => self.upgrade(&cluster),
                Some(cluster) if self.assignments[&name(&cluster)].action == Action::Stop => {
                    self.report(&cluster, ReportKind::Accepted);
                }
                Some(cluster) => self.upgrade(&cluster),
                None if self.rollout.is_none() || self.end().is_some() => return,
                None => self.pass(hours(1)),
            }
        }
    }

    /// Failed clusters of the rollout by wave, counted from what their agents said about its tasks alone.
    fn failed_by_wave(&self) -> Vec<(usize, u32)> {
        let started = &self.rollout.as_ref().unwrap().started;
        let bad = |kind: &ReportKind| match kind {
            ReportKind::Finished(health) => *health != Health::Healthy,
            ReportKind::Refused(reason) => *reason != Reason::ModeObserve,
            ReportKind::Accepted | ReportKind::Applied | ReportKind::WouldUpgrade => false,
        };
        let failed = |cluster: &&ClusterName| {
            self.log.iter().any(|logged| match logged {
                Logged::Said(report) => report.cluster == **cluster && bad(&report.kind),
                Logged::Assigned(..) => false,
            })
        };
        let waves = started.waves.iter();
        waves
            .map(|wave| (wave.clusters.iter().filter(failed).count(), wave.failure_budget))
            .collect()
    }
}

/// A fleet with so many canaries and other clusters, and what may be in work at once.
fn lab(canaries: usize, others: usize, at_once: u32) -> Lab {
    let mut strategy = crate::Strategy::parse("s.yaml", STRATEGY).unwrap();
    for wave in &mut strategy.waves {
        wave.min_clusters = 0;
        wave.max_concurrency = crate::strategy::Concurrency::Count(at_once);
    }
    let canaries = (0..canaries).map(|n| member(&format!("c{n}"), "canary"));
    let members = canaries
        .chain((0..others).map(|n| member(&format!("m{n}"), "main")))
        .collect();
    let mut lab = Lab::of(strategy, members);
    lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
    lab
}

impl Lab {
    fn happens(&mut self, happening: &Happening) {
        let clusters: Vec<String> = self.members.iter().map(|m| m.cluster.to_string()).collect();
        let cluster = |n: &usize| clusters[n % clusters.len()].clone();
        match happening {
            Happening::Accept(n) => self.says(&cluster(n), ReportKind::Accepted),
            Happening::Apply(n) => self.says(&cluster(n), ReportKind::Applied),
            Happening::Finish(n, health) => self.says(&cluster(n), ReportKind::Finished(*health)),
            Happening::Refuse(n) => self.says(&cluster(n), ReportKind::Refused(Reason::Customised)),
            Happening::WouldUpgrade(n) => self.says(&cluster(n), ReportKind::WouldUpgrade),
            Happening::Cap(n) => self.says(&cluster(n), ReportKind::Refused(Reason::ModeObserve)),
            Happening::Leave(n) => {
                let n = n % self.members.len();
                self.members[n].removed = true;
            }
            Happening::OwnMode(n, mode) => {
                self.modes.clusters.insert(name(&cluster(n)), *mode);
            }
            Happening::Facts(n, target) => {
                self.runs(&cluster(n), if *target { "v2.9.4" } else { "v2.9.3" });
            }
            Happening::Health(n, health) => self.judge(&cluster(n), *health),
            Happening::Beat => self.beat_all(),
            Happening::Time(minutes) => self.pass(SignedDuration::from_mins(*minutes)),
            Happening::Mode(canary, mode) => {
                let wave = if *canary { "canary" } else { "main" };
                self.modes.waves.insert(wave.to_owned(), *mode);
            }
            Happening::Decide(outcome) => self.decide("v2.9.4", "v2.9.3", *outcome),
            Happening::Newer(outcome) => {
                self.decide("v2.9.5", "v2.9.3", *outcome);
                self.decide("v2.9.5", "v2.9.4", *outcome);
            }
            Happening::Ledger(ok) => self.ledger_ok = *ok,
            Happening::BeatOne(n) => self.beat(&cluster(n), Health::Healthy),
            Happening::Stop(n, active) => self.stop(SCOPES[*n], *active),
            Happening::Restart => {
                self.restarts.extend(
                    self.rollout
                        .as_ref()
                        .map(|rollout| rollout.started.rollout.clone()),
                );
            }
        }
    }

    /// Nothing lies with an agent that it could still begin and must not.
    fn nothing_forbidden_lies_there(&self) {
        let world = self.world();
        for (cluster, task) in &self.assignments {
            if !task.may_still_begin(self.now) {
                continue;
            }
            let rollout = world.active().filter(|rollout| *rollout.key() == task.rollout);
            let wave = rollout.and_then(|rollout| wave_of(rollout, cluster)).unwrap();
            let member = self.members.iter().find(|m| m.cluster == *cluster).unwrap();
            assert!(!member.removed);
            let touches = |stop: &domain::StopSetting| {
                stop.scope.touches(member, Some(&wave.name), Some(&task.rollout))
            };
            assert!(
                !self.stops.iter().any(touches),
                "{cluster} may begin under a stop"
            );
            assert_eq!(world.mode(&wave.name, member), Mode::Enforce);
            assert_eq!(self.facts[cluster].baseline.as_ref(), Some(&task.baseline));
            assert!(
                world
                    .allowed(&task.target, &wave.policy, &task.baseline)
                    .is_some()
            );
        }
    }

    fn says(&mut self, cluster: &str, kind: ReportKind) {
        if self.assignments.contains_key(&name(cluster)) {
            self.report(cluster, kind);
        }
    }
}

proptest! {
    /// `Lab::fold` checks at each step that no assignment is without ALLOW and Enforce, no wave opens early,
    /// never too many are in work, and nothing is done twice.
    #[test]
    fn whatever_happens_nothing_forbidden_is_planned(
        canaries in 0..3_usize,
        others in 1..5_usize,
        rules in rules(),
        happenings in proptest::collection::vec(happening(), 1..60),
    ) {
        let mut lab = lab(canaries, others, 1).under(&rules);
        lab.settle();
        for happening in &happenings {
            lab.happens(happening);
            lab.settle();
            lab.nothing_forbidden_lies_there();
        }
    }

    #[test]
    fn every_rollout_of_healthy_clusters_completes_in_any_order_of_work(
        canaries in 0..3_usize,
        others in 1..5_usize,
        at_once in 1..4_u32,
        order in proptest::collection::vec(0..8_usize, 60),
    ) {
        let mut lab = lab(canaries, others, at_once);
        lab.enforce_all();
        for pick in order {
            lab.settle();
            let in_work: Vec<String> = lab.in_work().iter().map(ToString::to_string).collect();
            if in_work.is_empty() {
                lab.pass(hours(1));
                lab.beat_all();
                lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
            } else {
                lab.upgrade(&in_work[pick % in_work.len()]);
            }
        }
        prop_assert_eq!(lab.end(), Some(RolloutEnd::Completed));
        let target = version("v2.9.4");
        prop_assert!(lab.facts.values().all(|facts| facts.version.as_ref() == Some(&target)));
    }

    /// A controller that dies after any step and begins again with what was folded plans the rest alike.
    #[test]
    fn folding_one_step_at_a_time_ends_where_folding_all_does(
        canaries in 0..3_usize,
        others in 1..5_usize,
        rules in rules(),
        happenings in proptest::collection::vec(happening(), 1..25),
    ) {
        let begin = || lab(canaries, others, 2).under(&rules);
        let (mut all, mut one) = (begin(), begin());
        for happening in &happenings {
            all.happens(happening);
            one.happens(happening);
            all.settle();
            for _ in 0..200 {
                let Some(step) = one.plan().steps.into_iter().next() else { break };
                one.fold(&step);
            }
            prop_assert_eq!(&one.assignments, &all.assignments);
            prop_assert_eq!(&one.rollout, &all.rollout);
            prop_assert_eq!(one.plan(), all.plan());
        }
    }

    #[test]
    fn replay_changes_nothing(
        canaries in 0..3_usize,
        others in 1..5_usize,
        rules in rules(),
        happenings in proptest::collection::vec(happening(), 1..40),
    ) {
        let mut lab = lab(canaries, others, 1).under(&rules);
        for happening in &happenings {
            lab.happens(happening);
            lab.settle();
        }
        prop_assert_eq!(&lab.replayed(), &lab.assignments);
        let plan = lab.plan();
        lab.assignments = lab.replayed();
        prop_assert_eq!(lab.plan(), plan);
    }

    #[test]
    fn the_order_of_evidence_changes_nothing(
        canaries in 0..3_usize,
        others in 1..5_usize,
        rules in rules(),
        happenings in proptest::collection::vec(happening(), 1..30),
    ) {
        let (mut lab, mut other) = (lab(canaries, others, 1).under(&rules), lab(canaries, others, 1).under(&rules));
        for happening in &happenings {
            lab.happens(happening);
            lab.settle();
            other.happens(happening);
            other.decisions.reverse();
            other.stops.reverse();
            other.settle();
            prop_assert_eq!(&lab.assignments, &other.assignments);
            prop_assert_eq!(&lab.rollout, &other.rollout);
            prop_assert_eq!(lab.plan(), other.plan());
        }
    }

    #[test]
    fn every_run_finishes_when_faults_stop_and_no_stop_is_active(
        canaries in 0..3_usize,
        others in 1..5_usize,
        rules in rules(),
        happenings in proptest::collection::vec(happening(), 1..40),
    ) {
        let mut lab = lab(canaries, others, 1).under(&rules);
        for happening in &happenings {
            lab.happens(happening);
            lab.settle();
        }
        lab.heal();
        prop_assert!(
            lab.rollout.is_none() || lab.end().is_some(),
            "{:?} of {:?}",
            lab.plan(),
            lab.rollout
        );
        prop_assert_eq!(lab.in_work(), Vec::<&str>::new());
        // A rollout that was completed left nobody behind who was well and allowed all along.
        if lab.end() == Some(RolloutEnd::Completed) {
            let rollout = lab.rollout.clone().unwrap();
            for (cluster, facts) in &lab.facts {
                let member = lab.members.iter().find(|m| m.cluster == *cluster).unwrap();
                let left = lab.end_detail().contains(cluster.as_str());
                let at_target = facts.version.as_ref() >= Some(&rollout.started.release.version);
                let moved = happenings
                    .iter()
                    .any(|h| matches!(h, Happening::Facts(..) | Happening::Finish(..)));
                prop_assert!(member.removed || left || at_target || moved, "{} of {:?}", cluster, rollout);
            }
        }
    }

    /// One task for each cluster, and whatever its agent makes of it.
    #[test]
    fn failures_above_a_budget_always_halt_and_within_it_never_do(
        canaries in 0..4_usize,
        others in 1..6_usize,
        rules in rules(),
        ends in proptest::collection::vec(0..4_u8, 10),
    ) {
        let mut lab = lab(canaries, others, 1).under(&rules);
        // Otherwise a wave may halt because too few are left for its bake, or silence may.
        lab.strategy.waves.iter_mut().for_each(|wave| wave.bake.clusters = 0);
        lab.strategy.unreachable_budget = None;
        lab.enforce_all();
        let mut ends = ends.into_iter();
        for _ in 0..40 {
            lab.settle();
            if lab.rollout.is_none() {
                return Ok(());
            }
            let failed = lab.failed_by_wave();
            let total: usize = failed.iter().map(|(failed, _)| failed).sum();
            let over = failed.iter().any(|(failed, budget)| *failed > *budget as usize);
            let over = over || lab.snapshot().failure_budget.is_some_and(|budget| total > budget as usize);
            let waves = &lab.rollout.as_ref().unwrap().started.waves;
            let nobody = waves.iter().zip(&failed).any(|(wave, (failed, _))| {
                *failed > 0 && *failed == wave.clusters.len()
            });
            match lab.end() {
                Some(RolloutEnd::Halted) => {
                    prop_assert!(over || nobody, "{} within {failed:?}", lab.end_detail());
                    return Ok(());
                }
                Some(end) => {
                    prop_assert!(!over, "{end} beyond {failed:?}");
                    return Ok(());
                }
                None => prop_assert!(!over, "goes on beyond {failed:?}"),
            }
            let Some(cluster) = lab.in_work().first().map(ToString::to_string) else {
                lab.pass(hours(1));
                lab.beat_all();
                lab.decide("v2.9.4", "v2.9.3", Outcome::Allow);
                continue;
            };
            match ends.next() {
                Some(0) => lab.report(&cluster, ReportKind::Refused(Reason::Customised)),
                Some(1) => {
                    lab.report(&cluster, ReportKind::Accepted);
                    lab.report(&cluster, ReportKind::Finished(Health::Inconclusive));
                }
                Some(_) | None => lab.upgrade(&cluster),
            }
        }
        prop_assert!(false, "never ends: {:?}", lab.plan());
    }
}
