use domain::rollout::Superseding;

use super::*;

/// Canary has baked, main was not opened yet.
fn between(superseding: Superseding) -> Lab {
    let mut lab = Lab::running();
    lab.snapshot().superseding = superseding;
    lab.modes.waves.remove("main");
    lab.upgrade("c1");
    lab.settle();
    lab.upgrade("c2");
    lab.settle();
    lab.decide("v2.9.5", "v2.9.3", Outcome::Allow);
    assert_eq!(lab.settle(), [], "a newer release never starves a bake");
    lab.pass(hours(1));
    lab.beat_all();
    lab
}

#[test]
fn finish_wave_gives_way_to_a_newer_release_between_two_waves() {
    let mut lab = between(Superseding::FinishWave);
    assert_eq!(
        words(&lab.settle())[..3],
        ["bake canary", "finish SUPERSEDED", "start flux-v2.9.5-1"]
    );
    assert_eq!(lab.previous[&version("v2.9.4")].end, RolloutEnd::Superseded);
}

#[test]
fn finish_rollout_finishes_every_wave_first() {
    let mut lab = between(Superseding::FinishRollout);
    assert_eq!(words(&lab.settle()), ["bake canary"]);
    lab.enforce_all();
    assert_eq!(words(&lab.settle()), ["open main", "Enforce m1", "Enforce m2"]);
}

#[test]
fn a_superseded_rollout_says_by_what() {
    let mut lab = between(Superseding::FinishWave);
    let plan = lab.plan();
    lab.fold(&plan.steps[0]);
    let Step::Finish(finished) = &lab.plan().steps[0] else {
        panic!()
    };
    assert_eq!(finished.detail, "v2.9.5 is allowed and wave canary has baked");
}

#[test]
fn a_rollout_does_not_give_way_to_one_that_could_not_begin() {
    let obstacles: [fn(&mut Lab); 4] = [
        |lab| lab.stop("version/v2.9.5", true),
        |lab| lab.stop("rollout/flux-v2.9.4-1", true),
        |lab| lab.ledger_ok = false,
        |lab| {
            let halted = PreviousRollout {
                ordinal: 1,
                end: RolloutEnd::Halted,
                reason: None,
            };
            lab.previous.insert(version("v2.9.5"), halted);
        },
    ];
    for (n, obstacle) in obstacles.into_iter().enumerate() {
        let mut lab = between(Superseding::FinishWave);
        obstacle(&mut lab);
        let steps = words(&lab.settle());
        assert!(!steps.contains(&"finish SUPERSEDED".to_owned()), "{n}: {steps:?}");
        // Neither while it has changed nothing.
        let mut lab = Lab::new();
        lab.settle();
        lab.decide("v2.9.5", "v2.9.3", Outcome::Allow);
        obstacle(&mut lab);
        let steps = words(&lab.settle());
        assert!(!steps.contains(&"finish SUPERSEDED".to_owned()), "{n}: {steps:?}");
    }
}
