use super::*;

/// The gates of a cluster, one line each: `+` where it holds, the reason where it does not.
fn lines(lab: &Lab, cluster: &str) -> Vec<String> {
    let world = lab.world();
    let line = |line: GateLine| {
        let state = line
            .reason
            .map_or_else(|| "+".to_owned(), |reason| reason.to_string());
        assert_eq!(line.open, line.reason.is_none(), "{line:?}");
        format!("{} {state}: {}", line.gate, line.detail)
    };
    super::gates(&world, &name(cluster))
        .into_iter()
        .map(line)
        .collect()
}

fn until(lab: &Lab, cluster: &str, gate: &str) -> Option<Timestamp> {
    let world = lab.world();
    let lines = super::gates(&world, &name(cluster));
    lines.into_iter().find(|line| line.gate == gate).unwrap().until
}

#[test]
fn a_cluster_whose_turn_has_not_come_is_told_everything_that_is_fine_and_what_it_waits_for() {
    let mut lab = Lab::running();
    lab.upgrade("c1");
    lab.settle();
    lab.upgrade("c2");
    lab.settle();
    let done = lab.assignments[&name("c2")].reports.result.unwrap().at;
    assert_eq!(
        lines(&lab, "m1"),
        [
            "agent +: facts of 2027-01-15T08:00:00Z, heartbeat of 2027-01-15T08:02:02Z: HEALTHY",
            "baseline +: runs v2.9.3",
            "decision +: policy default says ALLOW about v2.9.4, valid until 2027-01-16T08:00:00Z",
            "mode +: Enforce",
            "stops +: none touches it",
            "rollout +: flux-v2.9.4-1 is under way",
            "wave WAITING_FOR_WAVE: main comes after canary: all clusters are done since 2027-01-15T08:02:01Z \
             (WAITING_FOR_BAKE)",
            "ledger +: audit-log confirms",
        ]
    );
    assert_eq!(until(&lab, "m1", "wave"), Some(done + hours(1)));
    assert_eq!(
        lines(&lab, "c1")[6..8],
        [
            "wave +: canary is open since 2027-01-15T08:00:00Z: it is the first wave; 2 of 2 clusters are allowed and \
             enforced, 0 run the release already",
            "place +: done since 2027-01-15T08:01:00Z"
        ]
    );
}

#[test]
fn a_cluster_without_a_place_is_told_who_has_them() {
    let lab = Lab::running();
    assert_eq!(
        lines(&lab, "c2")[7],
        "place WAITING_FOR_CLUSTERS: 1 of 1 places are taken: c1"
    );
    assert_eq!(lines(&lab, "c1")[7], "place +: in work");
}

#[test]
fn each_condition_that_does_not_hold_says_what_is_missing() {
    let closed = |change: fn(&mut Lab), gate: usize| {
        let mut lab = Lab::running();
        lab.upgrade("c1");
        lab.beat_all();
        change(&mut lab);
        lines(&lab, "c2")[gate].clone()
    };
    assert_eq!(
        closed(|lab| drop(lab.facts.remove(&name("c2"))), 0),
        "agent WAITING_FOR_AGENT: it has sent no facts yet"
    );
    assert_eq!(
        closed(|lab| lab.pass(FRESH), 0),
        "agent WAITING_FOR_AGENT: its last heartbeat is of 2027-01-15T08:01:01Z, more than 5 minutes ago"
    );
    assert_eq!(
        closed(|lab| lab.now -= hours(1), 0),
        "agent CLOCK_SKEW: its heartbeat is of 2027-01-15T08:01:01Z: its clock is ahead"
    );
    assert_eq!(
        closed(|lab| lab.facts.get_mut(&name("c2")).unwrap().version = None, 1),
        "baseline BASELINE_VERSION_UNKNOWN: what runs is no single known version"
    );
    assert_eq!(
        closed(|lab| lab.facts.get_mut(&name("c2")).unwrap().baseline = None, 1),
        "baseline WAITING_FOR_DECISION: what runs is not mapped to verified images yet"
    );
    let wait = closed(|lab| lab.decide("v2.9.4", "v2.9.3", Outcome::Wait), 2);
    assert!(
        wait.starts_with("decision RELEASE_TOO_YOUNG: policy default says WAIT about v2.9.4 on "),
        "{wait}"
    );
    assert_eq!(
        closed(|lab| lab.modes = Modes::default(), 3),
        "mode WAITING_FOR_ENFORCE: Observe: nobody has given Enforce to wave canary or to the cluster"
    );
    assert_eq!(
        closed(|lab| lab.members[1].max_mode = Mode::Observe, 3),
        "mode WAITING_FOR_ENFORCE: Observe: maxMode in the fleet's file caps it"
    );
    assert_eq!(
        closed(|lab| lab.stop("wave/canary", true), 4),
        "stops STOPPED: freeze of wave/canary by alice: incident"
    );
    assert_eq!(
        closed(|lab| lab.ledger_ok = false, 8),
        "ledger LEDGER_UNCONFIRMED: audit-log does not confirm; nothing new is begun"
    );
}

#[test]
fn the_cap_of_its_own_agent_is_told_with_the_time_at_which_it_is_asked_again() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Refused(Reason::ModeObserve));
    lab.settle();
    assert_eq!(
        lines(&lab, "c1")[3],
        "mode MODE_OBSERVE: Observe: the agent's own maxMode caps it; it is asked again then"
    );
    assert_eq!(until(&lab, "c1", "mode"), Some(lab.now + hours(24)));
}

#[test]
fn a_cluster_that_was_left_behind_is_told_why() {
    let mut lab = Lab::running();
    lab.snapshot().waves[0].failure_budget = 1;
    lab.report("c1", ReportKind::Refused(Reason::Customised));
    lab.settle();
    assert_eq!(
        lines(&lab, "c1")[7],
        "place CLUSTER_REFUSED: left behind: epoch 1 was refused: CUSTOMISED (tolerated in wave canary: 1)"
    );
}

#[test]
fn a_cluster_in_no_wave_is_told_so_in_one_line() {
    let mut lab = Lab::running();
    lab.members.push(member("x", "none"));
    assert_eq!(
        lines(&lab, "x"),
        ["wave NO_WAVE: no wave of strategy s selects its labels: it is never touched"]
    );
    assert_eq!(lines(&lab, "nobody"), Vec::<String>::new());
}

#[test]
fn a_cluster_that_joined_later_is_told_that_the_next_rollout_takes_it() {
    let mut lab = Lab::running();
    lab.members.push(member("c3", "canary"));
    lab.runs("c3", "v2.9.3");
    assert_eq!(
        lines(&lab, "c3")[5],
        "rollout WAITING_FOR_WAVE: flux-v2.9.4-1 is under way, and the cluster is not in it: the next rollout \
         takes it"
    );
}

#[test]
fn clusters_that_run_a_recalled_version_are_named() {
    let mut lab = Lab::new();
    lab.stop("version/v2.9.3", true);
    assert_eq!(
        lines(&lab, "c1")[1],
        "baseline +: runs v2.9.3, which must not run: recall of version/v2.9.3 by alice: incident"
    );
    lab.stop("version/v2.9.4", true);
    assert_eq!(
        lines(&lab, "c1")[5],
        "rollout STOPPED: recall of version/v2.9.4 by alice: incident"
    );
}

#[test]
fn with_nothing_newer_there_is_nothing_to_wait_for() {
    let mut lab = Lab::new();
    lab.runs("c1", "v2.9.4");
    assert_eq!(
        lines(&lab, "c1"),
        [
            "agent +: facts of 2027-01-15T08:00:00Z, heartbeat of 2027-01-15T08:00:00Z: HEALTHY",
            "baseline +: runs v2.9.4",
            "decision +: nothing newer than v2.9.4 is decided about",
        ]
    );
}

#[test]
fn times_are_told_in_whole_seconds() {
    let mut lab = Lab::new();
    lab.pass(SignedDuration::from_nanos(123_456_789));
    lab.beat_all();
    lab.enforce_all();
    lab.settle();
    let told = lines(&lab, "c1").join("\n");
    assert!(
        told.contains("canary is open since 2027-01-15T08:00:00Z"),
        "{told}"
    );
    assert!(!told.contains("00.1234"), "{told}");
}

#[test]
fn a_halted_version_is_told_with_the_way_on() {
    let mut lab = Lab::running();
    lab.report("c1", ReportKind::Finished(Health::Unhealthy));
    lab.settle();
    assert_eq!(
        lines(&lab, "m1")[5],
        "rollout CLUSTER_UNHEALTHY: flux-v2.9.4-1 was halted: it is begun again when a person retries it, a newer \
         version by itself"
    );
}
