//! `audit verify`: no server is asked.

use audit_log::export::{self, Report};
use serde_json::json;

use super::args::VerifyArgs;
use super::{AuditError, demands, failed, read};
use crate::cli::Format;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Screen, Sign};

/// Void leaves that are named one by one.
const NAMED: usize = 10;

pub(super) fn run(args: &VerifyArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let mut demands = demands(&args.key, args.root.as_ref()).map_err(failed)?;
    for path in &args.checkpoint {
        demands.older.push((path.clone(), read(path).map_err(failed)?));
    }
    let report = export::verify(&args.dir, &demands);
    let report = report.map_err(|error| failed(AuditError::Read(error)))?;
    tell(&report, context.screen)?;
    Ok(if report.is_good() { Exit::Done } else { Exit::No })
}

/// Prints what was found.
pub(super) fn tell(report: &Report, screen: &Screen) -> Result<(), Failure> {
    match screen.format() {
        Format::Json => screen.json(&to_json(report)),
        Format::Table | Format::Wide => {
            for (sign, text) in lines(report) {
                screen.data(&screen.signed(sign, &text));
            }
            Ok(())
        }
    }
}

fn lines(report: &Report) -> Vec<(Sign, String)> {
    let mut lines: Vec<(Sign, String)> = report
        .faults
        .iter()
        .map(|fault| (Sign::Bad, crate::table::clean(&fault.to_string())))
        .collect();
    if !report.is_good() {
        let text = "this export is not what the ledger made, or not all of it: do not rely on it";
        lines.push((Sign::Bad, text.to_owned()));
        return lines;
    }
    let mut good = |text: String| lines.push((Sign::Good, text));
    good(format!(
        "checkpoint: {} of {} leaves, root {}",
        report.origin, report.size, report.root_hash
    ));
    good(if report.complete {
        format!("leaves: all {} are there and make this root", report.leaves)
    } else {
        let chosen = crate::table::clean(&report.chosen_by);
        format!(
            "leaves: {} are there, chosen by {chosen}, each in this tree",
            report.leaves
        )
    });
    let signed: Vec<String> = report
        .signed
        .iter()
        .map(|(by, count)| format!("{by} {count}"))
        .collect();
    good(format!(
        "statements: signed by {}; {} hints, which nobody signs",
        signed.join(", "),
        report.hints
    ));
    good(format!("blobs: {}, each with its digest", report.blobs));
    good("files: each is what it has to be, none is missing, none was added".to_owned());
    for size in &report.continues {
        good(format!(
            "history: continues the older checkpoint of {size} leaves"
        ));
    }
    lines.extend(trust_lines(report));
    lines
}

fn trust_lines(report: &Report) -> Vec<(Sign, String)> {
    let mut lines = Vec::new();
    if !report.complete {
        let text = "part: leaves may have been left out, also some that it was chosen by; nobody signs the choice, \
                    and only a whole export shows that nothing is missing";
        lines.push((Sign::Warning, text.to_owned()));
    }
    let key = report.root_key.clone().unwrap_or_default();
    let (version, demo) = report.bundle.unwrap_or_default();
    let bundle = format!("trust bundle {version} is signed by the root key {key}");
    if report.root_pinned {
        lines.push((Sign::Good, bundle));
    } else {
        let text = format!("{bundle}, which is the export's own: compare it, or give --root");
        lines.push((Sign::Warning, text));
    }
    if demo {
        lines.push((
            Sign::Warning,
            "DEMO: the keys in this bundle are for trying out".to_owned(),
        ));
    }
    for (index, void) in report.void.iter().take(NAMED) {
        let text = format!("leaf {index}: {void}; somebody put it on the bus, and it counts for nothing");
        lines.push((Sign::Warning, text));
    }
    if let Some(more) = report.void.len().checked_sub(NAMED).filter(|more| *more > 0) {
        lines.push((
            Sign::Warning,
            format!("{more} more leaves that count for nothing"),
        ));
    }
    lines
}

fn to_json(report: &Report) -> serde_json::Value {
    let faults = report
        .faults
        .iter()
        .map(|fault| json!({ "path": fault.path, "problem": fault.what.to_string() }));
    let void = report
        .void
        .iter()
        .map(|(index, void)| json!({ "index": index, "problem": void.to_string() }));
    json!({
        "good": report.is_good(),
        "origin": report.origin,
        "treeSize": report.size,
        "rootHash": report.root_hash,
        "complete": report.complete,
        "chosenBy": report.chosen_by,
        "leaves": report.leaves,
        "signed": report.signed,
        "hints": report.hints,
        "void": void.collect::<Vec<_>>(),
        "blobs": report.blobs,
        "rootKey": report.root_key,
        "rootKeyGiven": report.root_pinned,
        "bundleVersion": report.bundle.map(|(version, _)| version),
        "demo": report.bundle.map(|(_, demo)| demo),
        "continues": report.continues,
        "faults": faults.collect::<Vec<_>>(),
    })
}
