use domain::Mode;
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
    let day = SignedDuration::from_hours(24);
    let read: Vec<_> = shipped
        .waves
        .iter()
        .map(|wave| {
            (
                wave.name.as_str(),
                wave.min_clusters,
                wave.max_concurrency,
                wave.bake,
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            ("canary", 2, Concurrency::Count(1), day),
            ("early", 1, Concurrency::Percent(25), day),
            ("main", 1, Concurrency::Percent(10), SignedDuration::ZERO),
        ]
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
        (waves(", bake: {duration: 1h, clusters: 2}"), "bake.clusters"),
        (waves(", bake: {duration: 1h, reconciles: 2}"), "bake.reconciles"),
        (
            format!("{}  overall: {{failureBudget: 3}}\n", waves("")),
            "overall",
        ),
        (
            format!("{}  irreversible: NeedsApproval\n", waves("")),
            "irreversible",
        ),
        (format!("{}  superseding: FinishWave\n", waves("")), "superseding"),
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
        (waves(", failureBudget: 2%"), "failureBudget"),
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
        member("unlabelled", &[]),
        ClusterMember {
            removed: true,
            ..member("gone", &[(label, "early")])
        },
    ];
    members.extend((0..25).map(|n| member(&format!("m{n:02}"), &[(label, "main")])));
    let snapshot = strategy.snapshot(&members).unwrap();
    let clusters: Vec<_> = snapshot[0].clusters.iter().map(ClusterName::as_str).collect();
    assert_eq!(clusters, ["a", "z"]);
    assert_eq!(snapshot[1].clusters.len(), 1);
    assert_eq!(snapshot[1].max_concurrency, 1);
    assert_eq!((snapshot[2].clusters.len(), snapshot[2].max_concurrency), (25, 2));
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
fn percentages_round_down_but_never_to_none() {
    assert_eq!(Concurrency::Percent(25).of(7), 1);
    assert_eq!(Concurrency::Percent(25).of(8), 2);
    assert_eq!(Concurrency::Percent(10).of(3), 1);
    assert_eq!(Concurrency::Percent(100).of(3), 3);
    assert_eq!(Concurrency::Count(5).of(2), 5);
}
