use flux::subset;

use super::*;

/// The versions that the data has; says so where it has none.
fn versions() -> Vec<Version> {
    let folder = data().join("flux-manifests");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!(
            "no test data at {}: real manifests are not compared",
            folder.display()
        );
        assert!(std::env::var_os("FLUXGATE_REQUIRE_TEST_DATA").is_none_or(|value| value != "1"));
        return Vec::new();
    };
    entries
        .filter_map(|entry| format!("v{}", entry.ok()?.file_name().to_str()?).parse().ok())
        .collect()
}

fn parsed(text: &str) -> Vec<Object> {
    manifest::parse(text).unwrap()
}

fn names(objects: &[Object]) -> Vec<String> {
    objects.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_written_here_equals_upstream_but_for_schemas() {
    for version in versions() {
        let ours = parsed(&synthetic(&version));
        let (Source::Real(path) | Source::WithSourceWatcher(path)) = source(&version) else {
            panic!("{version}")
        };
        let real = parsed(&read(&path));
        let ours = subset::render(&ours, &manifest::components(&real)).unwrap();
        assert_eq!(names(&ours), names(&real), "{version}");
        assert_eq!(
            manifest::crd_set(&ours).unwrap(),
            manifest::crd_set(&real).unwrap(),
            "{version}"
        );
        assert_eq!(
            manifest::images(&ours).unwrap(),
            manifest::images(&real).unwrap(),
            "{version}"
        );
        for (ours, real) in ours.iter().zip(&real).filter(|(ours, _)| !ours.is_crd()) {
            assert_eq!(ours, real, "{version} {real}");
        }
        for (ours, real) in ours.iter().zip(&real).filter(|(ours, _)| ours.is_crd()) {
            let labels = |crd: &Object| crd.value.pointer("/metadata/labels").cloned();
            assert_eq!(labels(ours), labels(real), "{version} {real}");
            for name in ["kind", "listKind", "plural", "singular"] {
                let pointer = format!("/spec/names/{name}");
                assert_eq!(
                    ours.value.pointer(&pointer),
                    real.value.pointer(&pointer),
                    "{version} {real}"
                );
            }
        }
    }
}

#[test]
fn every_document_has_all_components_of_its_release() {
    for version in versions() {
        let objects = parsed(&document(&version));
        let ours = parsed(&synthetic(&version));
        assert_eq!(names(&objects), names(&ours), "{version}");
        assert_eq!(
            manifest::images(&objects).unwrap(),
            manifest::images(&ours).unwrap(),
            "{version}"
        );
        for (object, ours) in objects.iter().zip(&ours).filter(|(object, _)| !object.is_crd()) {
            assert_eq!(object, ours, "{version}");
        }
    }
}

#[test]
fn every_known_release_can_be_written_and_read() {
    for version in tables::releases() {
        let objects = parsed(&synthetic(&version));
        let tags: BTreeMap<Component, String> = manifest::images(&objects)
            .unwrap()
            .into_iter()
            .map(|(component, image)| (component, image.tag().unwrap().to_owned()))
            .collect();
        let expected = tables::tags(&version).unwrap();
        assert_eq!(
            tags,
            expected.iter().map(|(c, tag)| (*c, tag.to_string())).collect(),
            "{version}"
        );
        let components = expected.keys().copied().collect();
        assert_eq!(
            Some(manifest::crd_set(&objects).unwrap()),
            tables::crd_set(&version, &components)
        );
        assert_eq!(manifest::version(&objects), Some(version));
    }
}

#[test]
fn a_release_to_come_is_like_the_newest_with_raised_tags() {
    let tag = |version: Version| {
        let images = manifest::images(&parsed(&synthetic(&version))).unwrap();
        (
            images.len(),
            images[&Component::SourceController].tag().unwrap().to_owned(),
        )
    };
    assert_eq!(tag(Version::new(2, 9, 4)), (7, "v1.9.4".to_owned()));
    assert_eq!(tag(Version::new(2, 9, 6)), (7, "v1.9.6".to_owned()));
    assert_eq!(tag(Version::new(2, 10, 1)), (7, "v1.10.1".to_owned()));
    assert_eq!(tag("v2.9.5-rc.1".parse().unwrap()), (7, "v1.9.5".to_owned()));
    assert_eq!(tag(Version::new(2, 6, 5)), (6, "v1.6.3".to_owned()));
    let next = parsed(&synthetic(&Version::new(2, 9, 6)));
    assert_eq!(manifest::version(&next), Some(Version::new(2, 9, 6)));
}

#[test]
fn yaml_says_what_was_meant() {
    let value = serde_json::json!({
        "a": "yes", "b": "1000", "c": "plain/text", "d": [], "e": {}, "f": [["x", 1], {"y": [true, null]}],
        "g": "a: b # c", "h": "", "i": "line\nbreak", "k.l/m": "*", "n": "- x", "o": "Null", "p": 1.5,
    });
    let text = yaml::stream(
        "# header\n",
        &[serde_json::json!({
            "apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "value": value,
        })],
    );
    assert_eq!(parsed(&text)[0].value["value"], value, "{text}");
}
