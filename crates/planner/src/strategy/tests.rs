use domain::{Digest, Mode};
use policy::load::Problem;

use super::*;

const SHIPPED: &str = include_str!("../../../../deploy/strategy-default.yaml");

fn strategy(spec: &str) -> Result<Strategy, LoadError> {
    let head = "apiVersion: rollout.fluxgate.dev/v1alpha1\nkind: Strategy\nmetadata: {name: s}\nspec:\n";
    Strategy::parse("s.yaml", &format!("{head}{spec}"))
}

fn waves(more: &str) -> String {
    format!("  waves: [{{name: w, selector: {{matchLabels: {{wave: w}}}}{more}}}]\n")
}

fn member(name: &str, labels: &[(&str, &str)]) -> ClusterMember {
    ClusterMember {
        cluster: name.parse().unwrap(),
        labels: labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        agent_key: "SHA256:x".to_owned(),
        max_mode: Mode::Enforce,
        image_registry: "ghcr.io".to_owned(),
        removed: false,
    }
}

#[test]
fn the_shipped_strategy_loads() {
    let shipped = Strategy::parse("deploy/strategy-default.yaml", SHIPPED).unwrap();
    assert_eq!(
        shipped.id,
        StrategyId {
            name: "default".to_owned(),
            digest: Digest::of(SHIPPED.as_bytes())
        }
    );
    let bake = |clusters| Bake {
        duration: SignedDuration::from_hours(24),
        clusters,
        reconciles: 0,
    };
    let read: Vec<_> = shipped
        .waves
        .iter()
        .map(|wave| {
            (
                wave.name.as_str(),
                wave.min_clusters,
                wave.max_concurrency,
                wave.failure_budget,
                wave.bake,
            )
        })
        .collect();
    let none = Budget::Count(0);
    assert_eq!(
        read,
        [
            ("canary", 2, Concurrency::Count(1), none, bake(2)),
            ("early", 1, Concurrency::Percent(25), none, bake(3)),
            (
                "main",
                1,
                Concurrency::Percent(10),
                Budget::Percent(2),
                Bake::default()
            ),
        ]
    );
    assert_eq!(
        (
            shipped.failure_budget,
            shipped.unreachable_budget,
            shipped.superseding
        ),
        (
            Some(Budget::Count(3)),
            Some(Budget::Percent(10)),
            Superseding::FinishWave
        )
    );
    assert!(shipped.waves.iter().all(|wave| wave.policy == "default"));
    assert_eq!(
        (shipped.stable_for, shipped.success_deadline),
        (STABLE_FOR, SUCCESS_DEADLINE)
    );
}

#[test]
fn what_is_not_implemented_is_refused_with_its_place() {
    for (spec, key) in [
        (waves(", gateAfter: {manual: {count: 1}}"), "gateAfter"),
        (
            format!("{}  irreversible: NeedsApproval\n", waves("")),
            "irreversible",
        ),
        (format!("{}  windows: []\n", waves("")), "windows"),
        (format!("{}  freezes:\n", waves("")), "freezes"),
        (
            format!("{}  method: {{none: DirectApply}}\n", waves("")),
            "method",
        ),
    ] {
        let error = strategy(&spec).unwrap_err();
        assert!(
            matches!(error.problem, Problem::NotImplemented { key: found, .. } if found == key),
            "{error}"
        );
        assert!(error.line >= 5, "{error}");
    }
}

#[test]
fn impossible_values_are_refused() {
    for (spec, key) in [
        (waves(", maxConcurrency: 0"), "maxConcurrency"),
        (waves(", maxConcurrency: 101%"), "maxConcurrency"),
        (waves(", maxConcurrency: many"), "maxConcurrency"),
        (waves(", failureBudget: some"), "failureBudget"),
        (waves(", failureBudget: 101%"), "failureBudget"),
        (
            format!("{}  overall: {{failureBudget: -1}}\n", waves("")),
            "overall.failureBudget",
        ),
        (
            format!("{}  overall: {{unreachableBudget: 10 %}}\n", waves("")),
            "overall.unreachableBudget",
        ),
        (waves(", policy: No Name"), "policy"),
        (waves(", bake: {duration: long}"), "bake.duration"),
        (
            format!("{}  health: {{stableFor: 1h, successDeadline: 30m}}\n", waves("")),
            "successDeadline",
        ),
        (
            format!("{}  health: {{stableFor: 1 min}}\n", waves("")),
            "stableFor",
        ),
        ("  waves: []\n".to_owned(), "waves"),
        (
            "  waves: [{name: w, selector: {matchLabels: {}}}]\n".to_owned(),
            "matchLabels",
        ),
    ] {
        let error = strategy(&spec).unwrap_err();
        assert!(
            matches!(error.problem, Problem::WrongValue { key: found, .. } if found == key),
            "{error}"
        );
    }
    let wave = "    - {name: w, selector: {matchLabels: {wave: w}}}\n";
    let doubled = strategy(&format!("  waves:\n{wave}{wave}")).unwrap_err();
    assert!(
        matches!(
            doubled.problem,
            Problem::Doubled {
                what: "wave",
                first: 6,
                ..
            }
        ),
        "{doubled}"
    );
    for (key, value) in [
        ("unlabelled", "Upgrade"),
        ("inconclusive", "Go"),
        ("onBreach", "Rollback"),
        ("superseding", "FinishFleet"),
    ] {
        let error = strategy(&format!("{}  {key}: {value}\n", waves(""))).unwrap_err();
        assert!(matches!(error.problem, Problem::UnknownValue { .. }), "{error}");
    }
    let error = strategy(&waves(", maxConcurency: 1")).unwrap_err();
    assert!(
        matches!(
            error.problem,
            Problem::UnknownKey {
                nearest: Some("maxConcurrency"),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_snapshot_has_each_wave_with_its_clusters_sorted() {
    let strategy = Strategy::parse("s", SHIPPED).unwrap();
    let label = "fluxgate.dev/wave";
    let mut members = vec![
        member("z", &[(label, "canary")]),
        member("a", &[(label, "canary")]),
        member("e", &[(label, "early")]),
        member("f", &[(label, "early")]),
        member("g", &[(label, "early")]),
        member("unlabelled", &[]),
        ClusterMember {
            removed: true,
            ..member("gone", &[(label, "early")])
        },
    ];
    members.extend((0..50).map(|n| member(&format!("m{n:02}"), &[(label, "main")])));
    let snapshot = strategy.snapshot(&members).unwrap();
    let clusters: Vec<_> = snapshot[0].clusters.iter().map(ClusterName::as_str).collect();
    assert_eq!(clusters, ["a", "z"]);
    assert_eq!(snapshot[1].clusters.len(), 3);
    assert_eq!(snapshot[1].max_concurrency, 1);
    assert_eq!((snapshot[1].bake_clusters, snapshot[1].bake_reconciles), (3, 0));
    assert_eq!((snapshot[2].clusters.len(), snapshot[2].max_concurrency), (50, 5));
    let budgets: Vec<_> = snapshot.iter().map(|wave| wave.failure_budget).collect();
    assert_eq!((budgets, snapshot[0].min_clusters), (vec![0, 0, 1], 2));
    assert_eq!(
        (snapshot[0].bake, snapshot[2].bake),
        (SignedDuration::from_hours(24), SignedDuration::ZERO)
    );
}

#[test]
fn overlapping_waves_and_too_few_clusters_start_nothing() {
    let text = "  waves:\n    - {name: a, selector: {matchLabels: {x: y}}}\n    - {name: b, selector: {matchLabels: {p: q}}, minClusters: 2}\n";
    let strategy = strategy(text).unwrap();
    let both = member("both", &[("x", "y"), ("p", "q")]);
    assert_eq!(
        strategy
            .snapshot(&[member("one", &[("x", "y")]), both.clone()])
            .unwrap_err(),
        SnapshotError::Overlap {
            cluster: both.cluster,
            first: "a".to_owned(),
            second: "b".to_owned()
        }
    );
    assert_eq!(
        strategy
            .snapshot(&[member("one", &[("x", "y")]), member("two", &[("p", "q")])])
            .unwrap_err(),
        SnapshotError::TooFew {
            wave: "b".to_owned(),
            found: 1,
            wanted: 2
        }
    );
}

#[test]
fn a_bake_that_wants_more_clusters_than_its_wave_has_starts_nothing() {
    let strategy = strategy(&waves(", bake: {duration: 1h, clusters: 2, reconciles: 7}")).unwrap();
    let (one, two) = (member("one", &[("wave", "w")]), member("two", &[("wave", "w")]));
    let error = strategy.snapshot(std::slice::from_ref(&one)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the bake of wave w wants 2 healthy clusters, the wave has 1; label more, or lower bake.clusters"
    );
    let snapshot = strategy.snapshot(&[one, two]).unwrap();
    assert_eq!((snapshot[0].bake_clusters, snapshot[0].bake_reconciles), (2, 7));
}

#[test]
fn budgets_round_down_and_may_be_none() {
    assert_eq!(Budget::Percent(2).of(49), 0);
    assert_eq!(Budget::Percent(2).of(50), 1);
    assert_eq!(Budget::Percent(100).of(7), 7);
    assert_eq!((Budget::Count(0).of(9), Budget::Count(3).of(2)), (0, 3));
    let silent = strategy(&waves("")).unwrap();
    assert_eq!((silent.failure_budget, silent.unreachable_budget), (None, None));
    assert_eq!(silent.superseding, Superseding::FinishRollout);
    assert_eq!(silent.waves[0].failure_budget, Budget::Count(0));
    let half = strategy(&format!("{}  overall: {{unreachableBudget: 50%}}\n", waves(""))).unwrap();
    assert_eq!(
        (half.failure_budget, half.unreachable_budget),
        (None, Some(Budget::Percent(50)))
    );
}

#[test]
fn a_wrong_budget_is_pointed_at_with_line_and_column() {
    let error = strategy(&format!(
        "{}  overall: {{failureBudget: 3, unreachableBudget: all}}\n",
        waves("")
    ))
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "s.yaml:6:50: overall.unreachableBudget: found \"all\"; expected a number of clusters, or 0% to 100%, \
         rounded down\n    overall: {failureBudget: 3, unreachableBudget: all}\n                                                   ^"
    );
    let error = strategy(&format!("{}  overall: {{failBudget: 3}}\n", waves(""))).unwrap_err();
    assert_eq!((error.line, error.column), (6, 13), "{error}");
}

#[test]
fn percentages_round_down_but_never_to_none() {
    assert_eq!(Concurrency::Percent(25).of(7), 1);
    assert_eq!(Concurrency::Percent(25).of(8), 2);
    assert_eq!(Concurrency::Percent(10).of(3), 1);
    assert_eq!(Concurrency::Percent(100).of(3), 3);
    assert_eq!(Concurrency::Count(5).of(2), 5);
}

#[test]
fn every_finding_is_told_in_the_order_of_the_file() {
    let text = "apiVersion: rollout.fluxgate.dev/v2\nkind: Strategy\nmetadata: {name: s}\nspec:\n  waves:\n    - {name: a, \
                selector: {matchLabels: {x: y}}, maxConcurrency: 0}\n    - {name: b, selector: {matchLabels: {p: q}}, \
                failureBudget: +1}\n  windows: []\n  overall: {failureBudget: many}\n";
    let findings = Strategy::read(&Document::new("s.yaml", text)).unwrap_err();
    let lines: Vec<u64> = findings.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [1, 6, 7, 8, 9], "{findings:?}");
    assert_eq!(Strategy::parse("s.yaml", text).unwrap_err(), findings[0]);
}

#[test]
fn waves_of_which_one_is_within_the_other_are_refused_at_load() {
    let within = |first: &str, second: &str| {
        let spec = format!(
            "  waves:\n    - {{name: a, selector: {{matchLabels: {{{first}}}}}}}\n    - {{name: b, selector: \
             {{matchLabels: {{{second}}}}}}}\n"
        );
        strategy(&spec).map_err(|error| (error.line, error.problem))
    };
    for (first, second) in [("x: y", "x: y"), ("x: y", "x: y, p: q"), ("x: y, p: q", "x: y")] {
        let (line, problem) = within(first, second).unwrap_err();
        assert!(
            matches!(
                problem,
                Problem::WrongValue {
                    key: "matchLabels",
                    ..
                }
            ),
            "{problem}"
        );
        assert_eq!(line, 7);
    }
    assert!(within("x: y", "x: z").is_ok());
    assert!(
        within("x: y", "p: q").is_ok(),
        "whether they overlap depends on the fleet"
    );
}

#[test]
fn a_label_that_kubernetes_would_not_take_is_refused() {
    let error = strategy("  waves: [{name: w, selector: {matchLabels: {wave: w/1}}}]\n").unwrap_err();
    assert!(
        matches!(error.problem, Problem::WrongValue { key: "label", .. }),
        "{error}"
    );
    assert!(!strategy(&waves("")).unwrap().ignores_unlabelled);
    assert!(
        strategy(&format!("{}  unlabelled: Ignore\n", waves("")))
            .unwrap()
            .ignores_unlabelled
    );
}
