use super::*;

fn parsed(text: &str) -> Vec<Object> {
    manifest::parse(text).unwrap()
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
