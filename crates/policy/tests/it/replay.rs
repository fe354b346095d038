//! Decisions made again: from the same bytes the same decision, from other bytes never the same one.

use std::sync::LazyLock;

use domain::{CheckResult, Component, Digest, Outcome, Reason};
use jiff::SignedDuration;
use policy::{Ledger, StoredInputs, replay};
use proptest::prelude::*;
use serde_json::Value;

use crate::scenario::play_all;
use crate::world::{Voice, World};

/// The stored inputs of every decision that the scenarios make.
static STORED: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| play_all().into_iter().flat_map(|played| played.decided).collect());

/// Those of the last decision of each scenario.
static LAST: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    play_all()
        .into_iter()
        .filter_map(|mut played| played.decided.pop())
        .collect()
});

/// A place in a JSON document that holds a single value.
fn leaves(value: &Value, path: &str, into: &mut Vec<String>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| leaves(value, &format!("{path}/{}", escaped(key)), into)),
        Value::Array(items) if !items.is_empty() => items
            .iter()
            .enumerate()
            .for_each(|(n, value)| leaves(value, &format!("{path}/{n}"), into)),
        _ => into.push(path.to_owned()),
    }
}

/// Another value of the same kind, as near as can be.
fn changed(value: &Value) -> Value {
    match value {
        Value::Null => Value::from("v1.2.3"),
        Value::Bool(truth) => Value::from(!truth),
        Value::Number(number) => Value::from(number.as_u64().unwrap() + 1),
        Value::String(text) if text.parse::<Digest>().is_ok() => {
            Value::from(Digest::of(text.as_bytes()).to_string())
        }
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => Value::from((time + SignedDuration::from_secs(1)).to_string()),
            Err(_) => Value::from(format!("{text}x")),
        },
        Value::Array(_) => Value::from(vec!["x"]),
        Value::Object(_) => Value::Null,
    }
}

#[test]
fn what_is_read_back_is_what_was_stored() {
    for bytes in STORED.iter() {
        let read = StoredInputs::parse(bytes).unwrap();
        assert_eq!(&read.to_bytes(), bytes);
        assert_eq!(replay(bytes).unwrap(), replay(&read.to_bytes()).unwrap());
    }
}

#[test]
fn each_single_field_that_changes_changes_the_decision() {
    let mut seen = 0;
    for bytes in LAST.iter() {
        let (document, decision) = (
            serde_json::from_slice::<Value>(bytes).unwrap(),
            replay(bytes).unwrap(),
        );
        let mut paths = Vec::new();
        leaves(&document, "", &mut paths);
        for path in paths {
            let mut other = document.clone();
            let leaf = other.pointer_mut(&path).unwrap();
            *leaf = changed(leaf);
            let other = serde_json::to_vec(&other).unwrap();
            seen += 1;
            match StoredInputs::parse(&other) {
                Err(_) => assert!(replay(&other).is_err(), "{path}"),
                Ok(inputs) => {
                    // The field is read, not skipped: it is there again when it is written again.
                    assert_ne!(inputs.to_bytes(), *bytes, "{path} is not read");
                    assert!(replay(&other).map_or(true, |new| new != decision), "{path}");
                }
            }
        }
    }
    assert!(seen > 1000, "only {seen} fields were tried");
}

#[test]
fn a_field_that_is_missing_or_too_many_is_refused() {
    let document: Value = serde_json::from_slice(&STORED[0]).unwrap();
    let map = document.as_object().unwrap();
    for key in map.keys() {
        let mut without = map.clone();
        without.remove(key);
        // serde takes an absent optional field for null: that is another document all the same.
        let bytes = serde_json::to_vec(&without).unwrap();
        let same = replay(&bytes).is_ok_and(|new| new == replay(&STORED[0]).unwrap());
        assert!(!same, "{key}");
    }
    let mut more = map.clone();
    more.insert("extra".to_owned(), Value::Null);
    assert!(replay(&serde_json::to_vec(&more).unwrap()).is_err());
    let mut approved = map.clone();
    approved.insert("approvals".to_owned(), Value::from(vec!["somebody"]));
    let error = replay(&serde_json::to_vec(&approved).unwrap()).unwrap_err();
    assert!(
        matches!(error, policy::stored::StoredError::Approvals { count: 1 }),
        "{error}"
    );
}

#[test]
fn one_changed_input_gives_another_answer() {
    let allowed = || {
        let mut world = World::new();
        world.0.now += SignedDuration::from_hours(80);
        world
    };
    assert_eq!(replay(&allowed().0.to_bytes()).unwrap().outcome, Outcome::Allow);
    let source = domain::Artifact::Image(Component::SourceController);
    let failed =
        |voice, world: &mut World| world.spoil(voice, source, CheckResult::Failed, Reason::SignatureInvalid);
    type Change<'a> = (&'a str, Outcome, Box<dyn Fn(&mut World) + 'a>);
    let changes: Vec<Change<'_>> = vec![
        (
            "now",
            Outcome::Wait,
            Box::new(|w| w.0.now -= SignedDuration::from_hours(9)),
        ),
        (
            "ledger",
            Outcome::Wait,
            Box::new(|w| {
                w.0.ledger = Ledger::Unconfirmed {
                    why: "gap".to_owned(),
                }
            }),
        ),
        ("tag moved", Outcome::Deny, Box::new(|w| w.0.tag_moved = true)),
        (
            "release",
            Outcome::Deny,
            Box::new(|w| w.0.release.manifests = Digest::of(b"x")),
        ),
        ("contents", Outcome::Deny, Box::new(|w| w.0.contents = None)),
        ("summary", Outcome::Deny, Box::new(|w| w.0.summary = None)),
        ("evidence", Outcome::Deny, Box::new(|w| w.0.evidence.truncate(1))),
        (
            "own result",
            Outcome::Deny,
            Box::new(|w| failed(Voice::Engine, w)),
        ),
        (
            "their result",
            Outcome::Deny,
            Box::new(|w| failed(Voice::Verifier, w)),
        ),
        (
            "baseline",
            Outcome::NeedsApproval,
            Box::new(|w| w.run_baseline(Some("v2.6.0".parse().unwrap()))),
        ),
        (
            "policy",
            Outcome::Wait,
            Box::new(|w| w.policy(&crate::world::SHIPPED.replace("72h", "700h").replace("14d", "70d"))),
        ),
    ];
    for (what, outcome, change) in changes {
        let mut world = allowed();
        change(&mut world);
        assert_eq!(replay(&world.0.to_bytes()).unwrap().outcome, outcome, "{what}");
    }
}

proptest! {
    #[test]
    fn one_changed_byte_never_gives_the_same_decision(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let bytes = which.get(&STORED);
        let mut other = bytes.clone();
        let place = at.index(other.len());
        other[place] ^= flip;
        let decision = replay(bytes).unwrap();
        prop_assert!(replay(&other).map_or(true, |new| new != decision && new.inputs != decision.inputs));
    }
}
