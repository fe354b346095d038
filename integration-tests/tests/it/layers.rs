//! Who may depend on whom, and what the pure crates may not do (architecture section 4).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use libtest_mimic::Trial;

use crate::trial::plain;

/// Crates that decide: no IO, no clock, no environment, no randomness.
const PURE: [&str; 5] = ["domain", "flux", "evidence", "policy", "planner"];

/// What IO is done with. A pure crate has none of them, however far away.
const IO: [&str; 12] = [
    "tokio",
    "hyper",
    "reqwest",
    "tonic",
    "kube",
    "kube-client",
    "async-nats",
    "rustls",
    "h2",
    "axum",
    "sqlx",
    "async-std",
];

/// Where the environment is read beside `crates/runtime/src/config*`, and why.
const ENVIRONMENT: [(&str, &str); 6] = [
    (
        "crates/runtime/src/process.rs",
        "arguments of a process, for every `main`",
    ),
    (
        "crates/testkit/src/manifests.rs",
        "where the test data lies; for tests and the lab alone",
    ),
    ("services/fluxgate/src/main.rs", "its arguments"),
    (
        "services/fluxgate/src/lib.rs",
        "how a mistake in the command line is written, before clap has read its variables",
    ),
    (
        "services/fluxgate/src/commands/complete.rs",
        "completion takes the variables of the flags, as the command itself does",
    ),
    (
        "services/fluxgate/src/dev/nats.rs",
        "its own path, to be the tether of nats-server",
    ),
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        plain("layers::crates_do_not_depend_on_services", crates_and_services),
        plain("layers::domain_depends_on_no_crate_of_ours", domain_stands_alone),
        plain("layers::pure_crates_have_no_io_in_their_tree", purity),
        plain("layers::only_evidence_names_sigstore", sigstore),
        plain("layers::only_configuration_reads_the_environment", environment),
        plain("layers::pure_crates_read_no_clock", clocks),
    ]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn metadata() -> anyhow::Result<Metadata> {
    let mut command = MetadataCommand::new();
    command
        .manifest_path(root().join("Cargo.toml"))
        .other_options(vec!["--locked".to_owned(), "--offline".to_owned()]);
    Ok(command.features(CargoOpt::SomeFeatures(Vec::new())).exec()?)
}

/// The folder of a package below the workspace, like `crates/domain`.
fn place(metadata: &Metadata, package: &Package) -> String {
    let folder = package.manifest_path.parent().unwrap_or(&package.manifest_path);
    let below = folder.strip_prefix(&metadata.workspace_root).unwrap_or(folder);
    below.to_string()
}

/// Workspace package to the workspace packages that it names, of any kind.
fn named(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let ours: BTreeMap<&str, String> = metadata
        .workspace_packages()
        .iter()
        .map(|p| (p.name.as_str(), place(metadata, p)))
        .collect();
    let own = |package: &Package| {
        let names = package
            .dependencies
            .iter()
            .filter_map(|d| ours.get(d.name.as_str()).cloned())
            .collect();
        (place(metadata, package), names)
    };
    metadata.workspace_packages().into_iter().map(own).collect()
}

fn crates_and_services() -> anyhow::Result<()> {
    let named = named(&metadata()?);
    ensure!(
        named.keys().filter(|place| place.starts_with("crates/")).count() > 10,
        "{named:?}"
    );
    for (place, names) in &named {
        let services: Vec<_> = names
            .iter()
            .filter(|name| name.starts_with("services/"))
            .collect();
        let may = [
            "services/fluxgate",
            "integration-tests",
            "integration-tests/simulation",
        ]
        .contains(&place.as_str());
        ensure!(may || services.is_empty(), "{place} depends on {services:?}");
        ensure!(
            !names.contains("integration-tests"),
            "{place} depends on the tests"
        );
    }
    Ok(())
}

fn domain_stands_alone() -> anyhow::Result<()> {
    let named = named(&metadata()?);
    let names = named.get("crates/domain").context("there is a domain")?;
    ensure!(names.is_empty(), "{names:?}");
    Ok(())
}

/// Names of everything in the tree of a package that is built into it.
fn tree(metadata: &Metadata, name: &str) -> anyhow::Result<BTreeSet<String>> {
    let resolve = metadata.resolve.as_ref().context("a resolved graph")?;
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let packages = metadata.workspace_packages();
    let package = packages
        .iter()
        .find(|p| p.name.as_str() == name)
        .with_context(|| format!("no {name}"))?;
    let (mut todo, mut seen) = (vec![&package.id], BTreeSet::new());
    while let Some(id) = todo.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = nodes.get(id).context("each package has a node")?;
        let normal = node
            .deps
            .iter()
            .filter(|d| d.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal));
        todo.extend(normal.map(|dependency| &dependency.pkg));
    }
    Ok(seen.into_iter().map(|id| metadata[id].name.to_string()).collect())
}

fn purity() -> anyhow::Result<()> {
    let metadata = metadata()?;
    // The way of looking sees what there is to see.
    ensure!(
        tree(&metadata, "bus")?.contains("tokio"),
        "the tree of bus has no tokio"
    );
    for name in PURE {
        let tree = tree(&metadata, name)?;
        let found: Vec<_> = IO.iter().filter(|io| tree.contains(**io)).collect();
        ensure!(found.is_empty(), "{name} has {found:?} in its tree");
    }
    Ok(())
}

fn sigstore() -> anyhow::Result<()> {
    let metadata = metadata()?;
    for package in metadata.workspace_packages() {
        let names: Vec<_> = package
            .dependencies
            .iter()
            .filter(|d| d.name.starts_with("sigstore"))
            .collect();
        let evidence = package.name.as_str() == "evidence";
        ensure!(evidence != names.is_empty(), "{} names {names:?}", package.name);
    }
    Ok(())
}

/// What a file says outside its unit tests.
fn product(text: &str) -> &str {
    text.split_once("#[cfg(test)]")
        .map_or(text, |(product, _tests)| product)
}

/// Every source below a folder of the workspace, by its path from there.
fn sources(folder: &str) -> anyhow::Result<Vec<(String, String)>> {
    let (mut todo, mut found) = (vec![root().join(folder)], Vec::new());
    while let Some(path) = todo.pop() {
        for entry in std::fs::read_dir(&path).with_context(|| path.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root())?.display().to_string();
                found.push((name, std::fs::read_to_string(&path)?));
            }
        }
    }
    Ok(found)
}

fn environment() -> anyhow::Result<()> {
    let (mut readers, mut used) = (Vec::new(), BTreeSet::new());
    for folder in ["crates", "services"] {
        for (name, text) in sources(folder)? {
            let (own, text) = (name.contains("/src/") && !name.contains("/tests"), product(&text));
            let reads = own && (text.contains("std::env") || text.contains("env::var"));
            if !reads || name.starts_with("crates/runtime/src/config") {
                continue;
            }
            match ENVIRONMENT.iter().find(|(path, _why)| name.starts_with(path)) {
                Some((path, _why)) => drop(used.insert(*path)),
                None => readers.push(name),
            }
        }
    }
    ensure!(readers.is_empty(), "the environment is read in {readers:?}");
    let unused: Vec<_> = ENVIRONMENT
        .iter()
        .filter(|(path, _why)| !used.contains(path))
        .collect();
    ensure!(
        unused.is_empty(),
        "exceptions that nobody needs any more: {unused:?}"
    );
    Ok(())
}

fn clocks() -> anyhow::Result<()> {
    let clocks = ["Timestamp::now", "Zoned::now", "SystemTime", "Instant::now"];
    for name in PURE {
        let sources = sources(&format!("crates/{name}/src"))?;
        ensure!(!sources.is_empty(), "{name} has no sources");
        for (path, text) in sources {
            let found: Vec<_> = clocks.iter().filter(|clock| text.contains(**clock)).collect();
            ensure!(found.is_empty(), "{path} reads {found:?}");
        }
    }
    Ok(())
}
