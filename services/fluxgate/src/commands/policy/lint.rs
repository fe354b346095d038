//! `policy lint`.

use std::path::Path;

use planner::fleet::Placement;
use planner::{Fleet, Strategy, fleet, strategy};
use policy::load::{Document, LoadError, Problem};
use policy::{Policy, document};
use serde_json::{Value, json};

use super::{PolicyError, read_text};
use crate::cli::{Format, LintArgs};
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Sign;
use crate::table::Table;

/// The kinds of files there are, as they call themselves.
const KINDS: [&str; 3] = [document::KIND, strategy::KIND, fleet::KIND];

/// A file that was looked at.
struct Linted {
    file: String,
    /// What it is; nothing where that could not be read.
    kind: Option<&'static str>,
    findings: Vec<LoadError>,
}

pub(super) fn run(args: &LintArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let mut linted = Vec::with_capacity(args.file.len());
    for path in &args.file {
        linted.push(lint(path)?);
    }
    let placement = match (&args.fleet, &args.strategy) {
        (Some(fleet), Some(strategy)) => place(fleet, strategy, &mut linted)?,
        _ => None,
    };
    for file in &mut linted {
        file.findings
            .sort_by_key(|finding| (finding.line, finding.column));
    }
    let found: usize = linted.iter().map(|file| file.findings.len()).sum();
    if context.screen.format() == Format::Json {
        show_json(&linted, placement.as_ref(), context)?;
    } else {
        show(&linted, placement.as_ref(), found, context);
    }
    Ok(if found == 0 { Exit::Done } else { Exit::No })
}

/// Looks at one file, whatever kind it says that it is.
fn lint(path: &Path) -> Result<Linted, PolicyError> {
    let (file, text) = (path.display().to_string(), read_text(path)?);
    let document = Document::new(&file, &text);
    let kind = document.head().and_then(|head| {
        let known = KINDS.into_iter().find(|kind| *kind == head.kind.value);
        known.ok_or_else(|| {
            let problem = Problem::unknown_value(&head.kind.value, &KINDS);
            document.error(head.kind.referenced, problem)
        })
    });
    let findings = match &kind {
        Err(error) => vec![error.clone()],
        Ok(document::KIND) => Policy::read(&document).err().unwrap_or_default(),
        Ok(fleet::KIND) => Fleet::read(&document).err().unwrap_or_default(),
        Ok(_) => Strategy::read(&document).err().unwrap_or_default(),
    };
    let kind = kind.ok();
    Ok(Linted { file, kind, findings })
}

/// Holds a fleet against a strategy, where both can be read.
fn place(fleet: &Path, strategy: &Path, linted: &mut Vec<Linted>) -> Result<Option<Placement>, PolicyError> {
    let (fleet_name, strategy_name) = (fleet.display().to_string(), strategy.display().to_string());
    let (fleet_text, strategy_text) = (read_text(fleet)?, read_text(strategy)?);
    let document = Document::new(&fleet_name, &fleet_text);
    let strategy = Strategy::read(&Document::new(&strategy_name, &strategy_text));
    let fleet = Fleet::read(&document);
    let (placement, findings) = match (&fleet, &strategy) {
        (Ok(fleet), Ok(strategy)) => {
            let mut placement = fleet.place(strategy, &document);
            let findings = std::mem::take(&mut placement.findings);
            (Some(placement), findings)
        }
        (fleet, _) => (None, fleet.as_ref().err().cloned().unwrap_or_default()),
    };
    let mut add =
        |file, kind, findings: Vec<LoadError>| match linted.iter_mut().find(|known| known.file == file) {
            // Named twice on the command line: shown once.
            Some(known) => {
                let new: Vec<_> = findings
                    .into_iter()
                    .filter(|finding| !known.findings.contains(finding))
                    .collect();
                known.findings.extend(new);
            }
            None => linted.push(Linted {
                file,
                kind: Some(kind),
                findings,
            }),
        };
    add(strategy_name, strategy::KIND, strategy.err().unwrap_or_default());
    add(fleet_name, fleet::KIND, findings);
    Ok(placement)
}

fn show(linted: &[Linted], placement: Option<&Placement>, found: usize, context: &Context<'_>) {
    let screen = context.screen;
    for finding in linted.iter().flat_map(|file| &file.findings) {
        screen.data(&finding.to_string());
    }
    if let Some(placement) = placement {
        let mut table = Table::new(&["WAVE", "CLUSTERS", "NAMES"]);
        let mut row = |wave: &str, clusters: &[domain::ClusterName]| {
            let names: Vec<&str> = clusters.iter().map(domain::ClusterName::as_str).collect();
            let names = if names.is_empty() {
                "-".to_owned()
            } else {
                names.join(", ")
            };
            table.row([wave.to_owned(), clusters.len().to_string(), names]);
        };
        for (wave, clusters) in &placement.waves {
            row(wave, clusters);
        }
        row("(no wave)", &placement.unlabelled);
        screen.data(&table.render(screen.header(), ""));
    }
    let files = linted.len();
    if found == 0 {
        let what: Vec<String> = linted
            .iter()
            .map(|file| format!("{} ({})", file.file, file.kind.unwrap_or("unknown")))
            .collect();
        screen.hint(Sign::Good, &format!("nothing is wrong in {}", what.join(", ")));
    } else {
        let many = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let sum = format!("{} in {}", many(found, "finding"), many(files, "file"));
        screen.hint(Sign::Bad, &sum);
    }
}

fn show_json(linted: &[Linted], placement: Option<&Placement>, context: &Context<'_>) -> Result<(), Failure> {
    let finding = |finding: &LoadError| {
        json!({"line": finding.line, "column": finding.column, "code": finding.problem.code(),
            "message": finding.problem.to_string(), "excerpt": finding.excerpt})
    };
    let file = |file: &Linted| {
        let findings: Vec<Value> = file.findings.iter().map(finding).collect();
        json!({"file": file.file, "kind": file.kind, "findings": findings})
    };
    let names = |clusters: &[domain::ClusterName]| -> Vec<String> {
        clusters.iter().map(ToString::to_string).collect()
    };
    let placement = placement.map(|placement| {
        let wave = |(name, clusters): &(String, Vec<_>)| json!({"name": name, "clusters": names(clusters)});
        json!({
            "waves": placement.waves.iter().map(wave).collect::<Vec<_>>(),
            "unlabelled": names(&placement.unlabelled),
        })
    });
    context.screen.json(&json!({
        "files": linted.iter().map(file).collect::<Vec<_>>(),
        "placement": placement,
    }))
}
