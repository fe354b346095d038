//! The table of the protocol's rules names only tests that exist, and says of each rule how it was tried without it.

#![allow(clippy::expect_used, clippy::panic, reason = "a test: it asserts")]

use std::collections::BTreeSet;
use std::path::Path;

/// Fewer rules than this, and something has cut the table.
const RULES: usize = 70;

#[test]
fn every_test_in_the_table_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = std::fs::read_to_string(root.join("docs/protocol-tests.md")).expect("the table");
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| section"))
        .collect();
    assert!(rows.len() >= RULES, "{} rules", rows.len());
    let mut missing = Vec::new();
    let mut sections = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, section, rule, tests, _level, red, _] = cells.as_slice() else {
            panic!("a row with other columns: {row}");
        };
        sections.insert((*section).to_owned());
        let tried = ["red: ", "held twice: "].iter().any(|word| red.starts_with(word));
        assert!(
            tried,
            "{rule}: say how its test went red with the rule taken out, not {red:?}"
        );
        let named: Vec<&str> = tests.split("<br>").map(|test| test.trim_matches('`')).collect();
        assert!(!named.is_empty(), "{rule} has no test");
        missing.extend(
            named
                .into_iter()
                .filter(|test| !exists(&root, test))
                .map(|test| format!("{rule}: {test}")),
        );
    }
    assert!(missing.is_empty(), "no such test:\n{}", missing.join("\n"));
    let expected: BTreeSet<String> = (1..=7).map(|section: u32| section.to_string()).collect();
    assert_eq!(sections, expected);
}

/// Whether the file has a function of this name, or a macro that makes one of it (`name: ...`).
fn exists(root: &Path, test: &str) -> bool {
    let Some((file, name)) = test.split_once("::") else {
        return false;
    };
    let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
    text.contains(&format!("fn {name}(")) || text.contains(&format!("    {name}: "))
}
