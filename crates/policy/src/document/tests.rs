use domain::Digest;

use super::*;
use crate::load::Problem;

const SHIPPED: &str = include_str!("../../../../deploy/policy-default.yaml");

fn with(rules: &str) -> String {
    format!(
        "apiVersion: policy.fluxgate.dev/v1alpha1\nkind: UpgradePolicy\nmetadata: {{name: p}}\nspec:\n  rules:\n{rules}"
    )
}

const SIGNED: &str = "    - {name: signed, signature: {profile: flux, artifacts: All}}\n";

fn refused(text: &str) -> LoadError {
    Policy::parse("p.yaml", text).unwrap_err()
}

fn refused_rule(rule: &str) -> LoadError {
    refused(&with(&format!("{SIGNED}    - {rule}\n")))
}

#[test]
fn the_shipped_policy_loads() {
    let policy = Policy::parse("deploy/policy-default.yaml", SHIPPED).unwrap();
    assert_eq!(
        policy.id,
        PolicyId {
            name: "default".to_owned(),
            digest: Digest::of(SHIPPED.as_bytes())
        }
    );
    let hours = SignedDuration::from_hours;
    let expected = [
        ("signed", RuleKind::Signature),
        (
            "step",
            RuleKind::VersionStep(VersionStep {
                allow: [Bump::Patch, Bump::Minor].into(),
                skipped_minors: SkippedMinors::NeedsApproval,
                prerelease: false,
            }),
        ),
        (
            "age",
            RuleKind::ReleaseAge(ReleaseAge {
                patch: hours(72),
                minor: hours(14 * 24),
                dot_zero: hours(720),
            }),
        ),
    ];
    let rules: Vec<_> = policy
        .rules
        .iter()
        .map(|rule| (rule.name.as_str(), rule.kind.clone()))
        .collect();
    assert_eq!(rules, expected);
}

#[test]
fn the_id_changes_with_every_byte_of_the_text() {
    let one = Policy::parse("p", &with(SIGNED)).unwrap();
    let other = Policy::parse("p", &format!("{}# a comment\n", with(SIGNED))).unwrap();
    assert_eq!(one.rules, other.rules);
    assert_ne!(one.id, other.id);
}

#[test]
fn what_is_not_implemented_is_refused_with_its_place() {
    for (rule, key) in [
        (
            "{name: x, provenance: {profile: flux, minBuildLevel: 3}}",
            "provenance",
        ),
        ("{name: x, provenance: }", "provenance"),
        (
            "{name: x, vulnerabilities: {compareTo: baseline}}",
            "vulnerabilities",
        ),
        ("{name: x, posture: {tenancyLockdown: Keep}}", "posture"),
        (
            "{name: x, releaseAge: {patch: 1h, minor: 1h, dotZero: 1h}, acceptMissing: []}",
            "acceptMissing",
        ),
    ] {
        let error = refused_rule(rule);
        assert!(
            matches!(error.problem, Problem::NotImplemented { key: found, .. } if found == key),
            "{error}"
        );
        assert_eq!(error.line, 7, "{error}");
        assert!(error.column > 1, "{error}");
    }
    for (key, body) in [
        ("emergency", "{when: fixesKev}"),
        ("approvals", "[]"),
        ("emergency", ""),
    ] {
        let error = refused(&format!("{}  {key}: {body}\n", with(SIGNED)));
        assert!(
            matches!(error.problem, Problem::NotImplemented { key: found, .. } if found == key),
            "{error}"
        );
        assert_eq!(error.line, 7, "{error}");
    }
}

#[test]
fn the_designs_whole_target_is_refused_at_its_first_unimplemented_rule() {
    let text = with(&format!(
        "{SIGNED}    - name: provenance\n      provenance: {{profile: flux, minBuildLevel: 3}}\n"
    ));
    let error = refused(&text);
    assert_eq!((error.line, &*error.file), (8, "p.yaml"));
    assert!(error.to_string().starts_with("p.yaml:8:"), "{error}");
}

#[test]
fn a_policy_without_a_signature_rule_is_refused() {
    let step = "    - {name: step, versionStep: {allow: [Patch]}}\n";
    for rules in [step, "    []\n"] {
        let error = refused(&with(rules));
        assert_eq!(error.problem, Problem::NoSignatureRule, "{error}");
        assert!(error.line > 0);
    }
}

#[test]
fn a_rule_is_of_exactly_one_kind() {
    let two = "{name: x, signature: {profile: flux, artifacts: All}, versionStep: {allow: [Patch]}}";
    assert!(matches!(
        refused_rule(two).problem,
        Problem::RuleKinds { found: 2, .. }
    ));
    assert!(matches!(
        refused_rule("{name: x}").problem,
        Problem::RuleKinds { found: 0, .. }
    ));
}

#[test]
fn a_misspelt_word_is_refused_with_the_nearest_one() {
    let error = refused_rule("{name: x, versionSteps: {allow: [Patch]}}");
    assert!(
        matches!(
            error.problem,
            Problem::UnknownKey {
                nearest: Some("versionStep"),
                ..
            }
        ),
        "{error}"
    );
    assert_eq!((error.line, error.column), (7, 17), "{error}");
    let error = refused_rule("{name: x, versionStep: {allow: [patch]}}");
    assert!(
        matches!(
            error.problem,
            Problem::UnknownValue {
                nearest: Some("Patch"),
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.line, 7, "{error}");
    let error = refused_rule("{name: x, versionStep: {allow: [Major]}}");
    assert!(matches!(error.problem, Problem::UnknownValue { .. }), "{error}");
    let error = refused_rule("{name: x, signature: {profile: any, artifacts: All}}");
    assert!(matches!(error.problem, Problem::UnknownValue { .. }), "{error}");
}

#[test]
fn missing_repeated_and_impossible_values_are_refused() {
    let missing = refused_rule("{name: x, releaseAge: {patch: 72h, minor: 14d}}");
    assert_eq!(missing.problem, Problem::MissingKey { key: "dotZero" });
    let repeated = refused_rule("{name: x, name: y, versionStep: {allow: [Patch]}}");
    assert_eq!(
        repeated.problem,
        Problem::RepeatedKey {
            key: "name".to_owned()
        }
    );
    for (rule, key) in [
        (
            "{name: x, releaseAge: {patch: soon, minor: 14d, dotZero: 30d}}",
            "patch",
        ),
        (
            "{name: x, versionStep: {allow: [Patch], downgrade: true}}",
            "downgrade",
        ),
        ("{name: ledger, versionStep: {allow: [Patch]}}", "name"),
        ("{name: A b, versionStep: {allow: [Patch]}}", "name"),
    ] {
        let error = refused_rule(rule);
        assert!(
            matches!(error.problem, Problem::WrongValue { key: found, .. } if found == key),
            "{error}"
        );
        assert_eq!(error.line, 7, "{error}");
    }
    let doubled = refused(&with(&format!("{SIGNED}{SIGNED}")));
    assert!(
        matches!(doubled.problem, Problem::Doubled { first: 6, .. }),
        "{doubled}"
    );
}

#[test]
fn another_kind_of_file_and_what_is_no_yaml_are_refused() {
    let text = with(SIGNED).replace("UpgradePolicy", "Strategy");
    assert!(matches!(
        refused(&text).problem,
        Problem::WrongValue { key: "kind", .. }
    ));
    let text = with(SIGNED).replace("v1alpha1", "v2");
    assert!(matches!(
        refused(&text).problem,
        Problem::WrongValue {
            key: "apiVersion",
            ..
        }
    ));
    for text in ["", "[", "a: b: c", "just words", "---\na: 1\n---\nb: 2\n"] {
        assert!(Policy::parse("p", text).is_err(), "{text:?}");
    }
    let error = refused_rule("{name: x, versionStep: {allow: [Patch], prerelease: yes}}");
    assert!(matches!(error.problem, Problem::Malformed { .. }), "{error}");
}

#[test]
fn everything_that_is_wrong_is_found_at_once() {
    let text = with(&format!(
        "{SIGNED}    - {{name: A b, versionStep: {{allow: [Patch]}}}}\n    - {{name: age, releaseAge: {{patch: soon, minor: 14d, dotZero: 30d}}}}\n"
    ));
    let text = text.replace("v1alpha1", "v1") + "  emergency: {when: fixesKev}\n";
    let findings = Policy::read(&Document::new("p.yaml", &text)).unwrap_err();
    let lines: Vec<u64> = findings.iter().map(|error| error.line).collect();
    assert_eq!(lines, [1, 7, 8, 9], "{findings:?}");
    assert_eq!(Policy::parse("p.yaml", &text).unwrap_err().line, 1);
}
