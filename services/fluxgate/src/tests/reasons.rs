//! Every reason code has its page under `docs/reasons/`. `FLUXGATE_WRITE_DOCS=1` writes them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use domain::Reason;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reasons")
}

fn page(reason: Reason) -> String {
    format!(
        "# {}\n\n{}\n\n## What to do\n\n{}\n",
        reason.code(),
        reason.meaning(),
        reason.next_step()
    )
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
