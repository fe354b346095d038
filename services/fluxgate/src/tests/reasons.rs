//! Every reason code has its page under `docs/reasons/`. `FLUXGATE_WRITE_DOCS=1` writes them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use domain::Reason;

use crate::words::page;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reasons")
}

#[test]
fn reasons_have_pages() {
    let write = std::env::var_os("FLUXGATE_WRITE_DOCS").is_some_and(|value| value == "1");
    let mut names = BTreeSet::new();
    for reason in Reason::all() {
        let path = folder().join(format!("{reason}.md"));
        names.insert(path.file_name().unwrap().to_owned());
        if write {
            fs::write(&path, page(reason)).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            found,
            page(reason),
            "{}: write it with FLUXGATE_WRITE_DOCS=1",
            path.display()
        );
    }
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name();
        let page = name.to_string_lossy().ends_with(".md") && name != "README.md";
        assert!(
            !page || names.contains(&name),
            "{name:?} is the page of no reason"
        );
    }
}

/// Files of Rust below a folder, without tests.
fn sources(folder: &std::path::Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["tests", "target", "benches"].contains(&name.as_str()) {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// The source without its tests and comments.
fn code(path: &std::path::Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The reasons that a source gives to `runtime::grpc::status`: variants of [`Reason`], or words.
fn given(code: &str) -> Vec<String> {
    let calls = code
        .match_indices("grpc::status(")
        .map(|(at, word)| &code[at + word.len()..]);
    calls
        .map(|arguments| {
            // The second of the arguments, of which neither of the first two holds a comma.
            let reason = arguments.split(',').nth(1).unwrap_or_default();
            reason.trim().trim_matches('"').to_owned()
        })
        .collect()
}

#[test]
fn errors_of_the_api_have_pages() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    sources(&root.join("services"), &mut files);
    sources(&root.join("crates"), &mut files);
    let (mut found, mut wrong) = (0, Vec::new());
    for path in files {
        let code = code(&path);
        let shown = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        for reason in given(&code) {
            found += 1;
            let variant = reason
                .strip_suffix(".code()")
                .map(|from| from.trim_start_matches("domain::"));
            let known = match variant.and_then(|from| from.strip_prefix("Reason::")) {
                Some(variant) => Reason::all().any(|reason| format!("{reason:?}") == variant),
                // A variable of the type, which has only codes with pages.
                None if variant.is_some() => true,
                None => reason.parse::<Reason>().is_ok(),
            };
            if !known {
                wrong.push(format!("{shown}: {reason} is no reason code with a page"));
            }
        }
        // The one place that makes a status, and the one that answers before any service is asked.
        let makes = shown.starts_with("crates/runtime/src/grpc/");
        for word in [
            "Status::new(",
            "Status::unimplemented(",
            "Status::unavailable(",
            "Status::internal(",
            "Status::invalid_argument(",
            "Status::not_found(",
            "Status::permission_denied(",
            "Status::failed_precondition(",
            "Status::aborted(",
            "Status::out_of_range(",
            "Status::resource_exhausted(",
            "Status::already_exists(",
            "Status::unauthenticated(",
            "Status::deadline_exceeded(",
            "Status::unknown(",
            "Status::data_loss(",
        ] {
            // What the CLI says to itself about a broken connection is no answer of the API.
            if code.contains(word) && !makes && !shown.starts_with("services/fluxgate/") {
                wrong.push(format!(
                    "{shown}: {word}...) has no ErrorInfo: use runtime::grpc::status"
                ));
            }
        }
    }
    assert!(found >= 3, "{found} errors were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_reason_without_a_page_is_found() {
    let code = "runtime::grpc::status(\n    Code::NotFound,\n    Reason::ResourceNotFound.code(),\n    text)";
    assert_eq!(given(code), ["Reason::ResourceNotFound.code()"]);
    assert_eq!(given("grpc::status(Code::Ok, \"NO_SUCH\", x, [])"), ["NO_SUCH"]);
}
