use super::*;

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
