use domain::rollout::{StrategyId, Superseding, WaveSnapshot};
use jiff::SignedDuration;

use super::*;

#[test]
fn agents_at_work_are_counted_whatever_the_log_says() {
    let names: [ClusterName; 3] = ["c1", "m1", "m2"].map(|name| name.parse().unwrap());
    let wave = |name: &str, clusters: &[ClusterName]| WaveSnapshot {
        name: name.to_owned(),
        policy: "default".to_owned(),
        clusters: clusters.to_vec(),
        max_concurrency: 1,
        bake: SignedDuration::ZERO,
        bake_clusters: 1,
        bake_reconciles: 0,
        failure_budget: 0,
        min_clusters: 1,
    };
    let rollout: RolloutKey = "flux-v2.9.4-1".parse().unwrap();
    let started = RolloutStarted {
        release: Fixture::get().releases[1].key.clone(),
        strategy: StrategyId {
            name: "s".to_owned(),
            digest: Digest::of(b"s"),
        },
        waves: vec![wave("canary", &names[..1]), wave("main", &names[1..])],
        failure_budget: None,
        unreachable_budget: None,
        superseding: Superseding::FinishRollout,
        rollout: rollout.clone(),
    };
    let course = Course {
        started,
        begun_at: 1,
        opened: BTreeSet::new(),
        baked: BTreeSet::new(),
        finished: None,
        over_at: None,
        recalled: false,
    };
    let mut referee = Referee::new();
    referee.rollouts.push((rollout, course));
    // One of each wave may be, all of one may not.
    assert_eq!(referee.at_work(&names[..2].iter().collect()), Ok(()));
    let objection = referee.at_work(&names[1..].iter().collect()).unwrap_err();
    assert!(objection.contains("wave main of flux-v2.9.4-1"), "{objection}");
}
