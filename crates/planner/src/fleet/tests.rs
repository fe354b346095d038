use super::*;
use crate::Strategy;

fn key(n: u8) -> String {
    format!("SHA256:{}", char::from(b'A' + n).to_string().repeat(43))
}

fn fleet(clusters: &str) -> Result<Fleet, LoadError> {
    let text = format!("apiVersion: fleet.fluxgate.dev/v1alpha1\nkind: Fleet\nclusters:\n{clusters}");
    Fleet::parse("fleet.yaml", &text)
}

fn refused(cluster: &str) -> LoadError {
    let key = key(0);
    fleet(&format!("  - {}\n", cluster.replace("KEY", &key))).unwrap_err()
}

#[test]
fn reads_clusters_sorted_by_name_with_the_protocols_defaults() {
    let (a, b) = (key(0), key(1));
    let text = format!(
        "  - name: prod-eu-7\n    labels: {{fluxgate.dev/wave: main, region: eu}}\n    agentKey: {a}\n    maxMode: Observe\n    images: {{registry: \"mirror.local:5000/flux\"}}\n    method: Detect\n  - {{name: dev, agentKey: \"{b}\"}}\n"
    );
    let clusters = fleet(&text).unwrap().clusters;
    let labels = [("fluxgate.dev/wave", "main"), ("region", "eu")];
    assert_eq!(
        clusters,
        [
            ClusterMember {
                cluster: "dev".parse().unwrap(),
                labels: BTreeMap::new(),
                agent_key: b,
                max_mode: Mode::Enforce,
                image_registry: "ghcr.io".to_owned(),
                removed: false,
            },
            ClusterMember {
                cluster: "prod-eu-7".parse().unwrap(),
                labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
                agent_key: a,
                max_mode: Mode::Observe,
                image_registry: "mirror.local:5000/flux".to_owned(),
                removed: false,
            },
        ]
    );
    assert_eq!(fleet("  []\n").unwrap().clusters, []);
}

#[test]
fn a_cluster_or_an_agents_key_that_is_there_twice_is_refused() {
    let (a, b) = (key(0), key(1));
    let error = fleet(&format!(
        "  - {{name: x, agentKey: \"{a}\"}}\n  - {{name: x, agentKey: \"{b}\"}}\n"
    ))
    .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("fleet.yaml:5:12: cluster \"x\" is there twice, first in line 4"),
        "{text}"
    );
    let error = fleet(&format!(
        "  - {{name: x, agentKey: \"{a}\"}}\n  - {{name: y, agentKey: \"{a}\"}}\n"
    ))
    .unwrap_err();
    assert!(
        matches!(
            error.problem,
            Problem::Doubled {
                what: "agentKey",
                first: 4,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    let error = refused("{name: x, agentkey: KEY}");
    assert!(
        matches!(
            error.problem,
            Problem::UnknownKey {
                nearest: Some("agentKey"),
                ..
            }
        ),
        "{error}"
    );
    assert_eq!((error.line, error.column), (4, 15));
    let error = refused("{name: x, agentKey: \"KEY\", maxMode: enforce}");
    assert!(
        matches!(
            error.problem,
            Problem::UnknownValue {
                nearest: Some("Enforce"),
                ..
            }
        ),
        "{error}"
    );
    let error = refused("{name: x, agentKey: \"KEY\", images: {registri: ghcr.io}}");
    assert!(
        matches!(
            error.problem,
            Problem::UnknownKey {
                nearest: Some("registry"),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn what_is_not_implemented_is_refused_with_what_to_write_instead() {
    for method in ["Git", "OCI", "FluxInstance", "Helm", "Direct", "Terraform"] {
        let error = refused(&format!("{{name: x, agentKey: \"KEY\", method: {method}}}"));
        assert!(error.to_string().contains("write `method: Detect`"), "{error}");
        assert!(matches!(error.problem, Problem::NotImplemented { .. }), "{error}");
    }
    let error = refused("{name: x, agentKey: \"KEY\", timeZone: Europe/Berlin}");
    assert!(
        matches!(error.problem, Problem::NotImplemented { key: "timeZone", .. }),
        "{error}"
    );
}

#[test]
fn bad_names_keys_and_registries_are_refused() {
    for (cluster, key) in [
        ("{name: Prod.EU, agentKey: \"KEY\"}", "name"),
        ("{name: x, agentKey: SHA256:abc}", "agentKey"),
        ("{name: x, agentKey: \"KEY=\"}", "agentKey"),
        (
            "{name: x, agentKey: \"KEY\", images: {registry: \"https://ghcr.io\"}}",
            "images.registry",
        ),
        (
            "{name: x, agentKey: \"KEY\", images: {registry: \"\"}}",
            "images.registry",
        ),
    ] {
        let error = refused(cluster);
        assert!(
            matches!(error.problem, Problem::WrongValue { key: found, .. } if found == key),
            "{error}"
        );
        assert_eq!(error.line, 4);
    }
    assert_eq!(
        refused("{name: x}").problem,
        Problem::MissingKey { key: "agentKey" }
    );
}

#[test]
fn the_shipped_example_loads() {
    let text = include_str!("../../../../deploy/examples/fleet.yaml");
    let fleet = Fleet::parse("fleet.yaml", text).unwrap();
    assert_eq!(fleet.clusters.len(), 1);
    assert_eq!(fleet.clusters[0].max_mode, domain::Mode::Observe);
}

#[test]
fn bad_labels_are_refused_and_several_findings_come_in_order() {
    for (labels, found) in [
        ("{-wave: a}", "-wave"),
        ("{wave/: a}", "wave/"),
        ("{Fluxgate.dev/wave: a}", "Fluxgate.dev/wave"),
        ("{wave: a b}", "a b"),
        ("{wave: -a}", "-a"),
    ] {
        let error = refused(&format!("{{name: x, agentKey: \"KEY\", labels: {labels}}}"));
        assert!(
            matches!(&error.problem, Problem::WrongValue { key: "label", found: f, .. } if f == found),
            "{error}"
        );
    }
    let (a, b) = (key(0), key(1));
    let good = fleet(&format!(
        "  - {{name: x, agentKey: \"{a}\", labels: {{a: 5, b.c/d_e: \"\", f: true}}}}\n"
    ))
    .unwrap();
    let labels = [("a", "5"), ("b.c/d_e", ""), ("f", "true")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(good.clusters[0].labels, labels.into());
    let text = format!(
        "apiVersion: fleet.fluxgate.dev/v2\nkind: Fleet\nclusters:\n  - {{name: X, agentKey: \"{a}\"}}\n  - {{name: y, agentKey: short}}\n  - {{name: y, agentKey: \"{b}\"}}\n"
    );
    let findings = Fleet::read(&Document::new("fleet.yaml", &text)).unwrap_err();
    let places: Vec<_> = findings.iter().map(|error| (error.line, error.column)).collect();
    assert_eq!(places, [(1, 13), (4, 12), (5, 25), (6, 12)], "{findings:?}");
}

#[test]
fn an_alias_may_repeat_labels_and_a_bomb_is_refused() {
    let (a, b) = (key(0), key(1));
    let text = format!(
        "  - {{name: x, agentKey: \"{a}\", labels: &eu {{r: eu}}}}\n  - {{name: y, agentKey: \"{b}\", labels: *eu}}\n"
    );
    assert_eq!(fleet(&text).unwrap().clusters[1].labels.get("r").unwrap(), "eu");
    let row = |from: &str| vec![format!("*{from}"); 9].join(", ");
    let mut bomb = "&a0 [x, x, x, x, x, x, x, x, x]".to_owned();
    for n in 1..9 {
        bomb.push_str(&format!(", &a{n} [{}]", row(&format!("a{}", n - 1))));
    }
    let error = refused(&format!("{{name: x, agentKey: \"KEY\", timeZone: [{bomb}]}}"));
    assert!(error.to_string().contains("more aliases"), "{error}");
}

fn strategy(more: &str) -> Strategy {
    let text = format!(
        "apiVersion: rollout.fluxgate.dev/v1alpha1\nkind: Strategy\nmetadata: {{name: s}}\nspec:\n  waves:\n    - {{name: a, selector: {{matchLabels: {{wave: a}}}}, minClusters: 2}}\n    - {{name: b, selector: {{matchLabels: {{region: eu}}}}}}\n{more}"
    );
    Strategy::parse("s.yaml", &text).unwrap()
}

#[test]
fn a_fleet_is_held_against_a_strategy_at_the_places_of_its_labels() {
    let keys: Vec<String> = (0..4).map(key).collect();
    let text = format!(
        "apiVersion: fleet.fluxgate.dev/v1alpha1\nkind: Fleet\nclusters:\n  - {{name: one, agentKey: \"{}\", labels: {{wave: a}}}}\n  - {{name: both, agentKey: \"{}\", labels: {{wave: a, region: eu}}}}\n  - {{name: none, agentKey: \"{}\"}}\n",
        keys[0], keys[1], keys[2]
    );
    let document = Document::new("fleet.yaml", &text);
    let fleet = Fleet::read(&document).unwrap();
    let placed = fleet.place(&strategy(""), &document);
    assert_eq!(placed.unlabelled, ["none".parse().unwrap()]);
    let waves: Vec<_> = placed
        .waves
        .iter()
        .map(|(name, clusters)| (name.as_str(), clusters.len()))
        .collect();
    assert_eq!(waves, [("a", 2), ("b", 1)]);
    let said: Vec<_> = placed
        .findings
        .iter()
        .map(|e| (e.line, e.problem.code()))
        .collect();
    assert_eq!(said, [(5, "OVERLAP"), (6, "IN_NO_WAVE")]);
    let refused = Fleet::fitting("fleet.yaml", &text, &strategy("")).unwrap_err();
    assert_eq!((refused.line, refused.problem.code()), (5, "OVERLAP"));
    let ignoring = fleet.place(&strategy("  unlabelled: Ignore\n"), &document);
    assert_eq!(ignoring.findings.len(), 1, "{:?}", ignoring.findings);
    assert_eq!(ignoring.unlabelled.len(), 1);
}

#[test]
fn a_cluster_in_no_wave_is_refused_unless_the_strategy_leaves_it_alone() {
    let text = format!(
        "apiVersion: fleet.fluxgate.dev/v1alpha1\nkind: Fleet\nclusters:\n  - {{name: none, agentKey: \"{}\"}}\n",
        key(0)
    );
    let refused = Fleet::fitting("fleet.yaml", &text, &strategy("")).unwrap_err();
    assert!(
        refused.to_string().starts_with(
            "fleet.yaml:4:12: cluster \"none\" is in no wave; label it, or write `unlabelled: Ignore`"
        ),
        "{refused}"
    );
    let ignoring = strategy("  unlabelled: Ignore\n");
    let fleet = Fleet::fitting("fleet.yaml", &text, &ignoring).unwrap();
    // Too small waves keep no fleet from being taken: it grows.
    let placed = fleet.place(&ignoring, &Document::new("fleet.yaml", &text));
    let said: Vec<_> = placed.findings.iter().map(|e| e.problem.code()).collect();
    assert_eq!(said, ["TOO_FEW", "TOO_FEW"]);
    assert_eq!(placed.refusal(), None);
}
