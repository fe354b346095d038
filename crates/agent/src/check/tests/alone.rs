//! Checks of which another one would find the same world at fault: each for itself.

use super::*;

#[test]
fn a_demo_bundle_is_refused_though_the_decision_was_made_under_real_trust() {
    let mut world = world();
    world.demands.accept_demo = false;
    world.decision.demo = false;
    assert_eq!(world.refused(), Reason::DemoTrustRefused);
}

#[test]
fn an_assignment_of_a_clock_that_is_ahead_is_refused() {
    let mut world = world();
    world.assignment.issued = NOW + SignedDuration::from_mins(6);
    assert_eq!(world.refused(), Reason::ClockSkew);
    world.assignment.issued = NOW + SignedDuration::from_mins(4);
    assert!(world.check().is_ok());
}

#[test]
fn the_last_word_about_an_earlier_assignment_is_none_about_a_later_one() {
    let (first, second) = (Digest::of(b"first"), Digest::of(b"second"));
    let mut memory = Memory::default().having_seen(Epoch(3), first, 1);
    memory.answered = true;
    assert!(memory.having_seen(Epoch(3), first, 1).answered);
    let later = memory.having_seen(Epoch(4), second, 1);
    assert!(!later.answered);
    assert_eq!((later.epoch, later.assignment), (Epoch(4), Some(second)));
}
