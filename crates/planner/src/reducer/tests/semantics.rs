//! `docs/rollout-semantics.md` names a test for each rule: each of them must be there.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_rule_of_the_page_names_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../../docs/rollout-semantics.md")).unwrap();
    let mut found = Vec::new();
    sources(&root.join("src"), &mut found);
    let code: String = found
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut rules = 0;
    for row in page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| rule "))
    {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [rule, tests] = cells[..] else {
            panic!("a row has a rule and its tests: {row}")
        };
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test for: {rule}");
        for test in tests {
            assert!(
                code.contains(&format!("fn {test}(")) || code.contains(&format!("    {test}\n")),
                "no test {test} for: {rule}"
            );
        }
        rules += 1;
    }
    assert!(rules > 50, "only {rules} rules were read");
}
