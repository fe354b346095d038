use super::*;

fn duration(text: &str) -> Result<SignedDuration, LoadError> {
    let value = Spanned::new(text.to_owned(), Location::UNKNOWN, Location::UNKNOWN);
    Document::new("f.yaml", "").duration("age", &value)
}

#[test]
fn durations_are_a_number_and_a_unit() {
    for (text, seconds) in [
        ("10s", 10),
        ("30m", 1800),
        ("72h", 259_200),
        ("14d", 1_209_600),
        ("0s", 0),
    ] {
        assert_eq!(duration(text).unwrap().as_secs(), seconds, "{text}");
    }
    for bad in [
        "",
        "h",
        "72",
        "-1h",
        "+1h",
        "1.5h",
        "1h30m",
        "72 h",
        "72H",
        "1w",
        "99999999999999999d",
        "4000d",
    ] {
        assert!(duration(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_error_shows_the_line_and_points_at_the_place() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default, rename = "first")]
        _first: String,
    }
    let error = Document::new("f.yaml", "first: a\nfirts: b\n")
        .read::<File>()
        .unwrap_err();
    assert_eq!((error.line, error.column), (2, 1));
    let text = error.to_string();
    assert_eq!(
        text,
        "f.yaml:2:1: unknown key \"firts\"; expected first; did you mean \"first\"?\n  firts: b\n  ^"
    );
    assert!(!error.retryable());
}
