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
}

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
    ]
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
            let wave = rollout.and_then(|rollout| rollout.wave_of(cluster)).unwrap();
            let member = self.members.iter().find(|m| m.cluster == *cluster).unwrap();
            assert!(!member.removed);
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
        at_once in 1..4_u32,
        happenings in proptest::collection::vec(happening(), 1..60),
    ) {
        let mut lab = lab(canaries, others, at_once);
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
        happenings in proptest::collection::vec(happening(), 1..25),
    ) {
        let (mut all, mut one) = (lab(canaries, others, 2), lab(canaries, others, 2));
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
}
