//! `audit rebuild`: made beside its place, put there once it is whole and nothing speaks against it.

use std::path::{Path, PathBuf};

use audit_log::export::{self, Contents, Demands};
use audit_log::ledger::Head;
use audit_log::ledger::note::NoteError;
use audit_log::rebuild::{self, Comparison, RebuildError};
use audit_log::{Ledger, NoteKey, NoteVerifier};
use bus::JetStreamLog;
use serde_json::json;

use super::args::RebuildArgs;
use super::{AuditError, failed, ledger_key, read, restore};
use crate::cli::Format;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Sign;

/// Differing leaves that are named one by one.
const NAMED: usize = 10;

/// What is known of the old ledger.
struct Old {
    checkpoints: Vec<(PathBuf, Head)>,
    export: Option<Contents>,
}

pub(super) async fn run(args: &RebuildArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let note_key = note_key(args).map_err(failed)?;
    let old_key = args.key.as_deref().map(ledger_key).transpose().map_err(failed)?;
    if old_key.as_ref().is_some_and(|key| key.name() == args.origin) {
        return Err(failed(AuditError::SameOrigin(args.origin.clone())));
    }
    if std::fs::symlink_metadata(&args.ledger).is_ok() {
        return Err(failed(AuditError::Occupied(args.ledger.clone())));
    }
    let Some(old) = old(args, old_key.as_ref(), context)? else {
        return Ok(Exit::No);
    };
    let client = bus::connect(&restore::settings(&args.bus)).await;
    let client = client.map_err(|error| failed(AuditError::Connect(error)))?;
    let beside = beside(&args.ledger);
    let made = make(&beside, note_key, &JetStreamLog::new(&client), context).await;
    let found = match made {
        Ok(ledger) => compare(&ledger, &old)
            .await
            .map(|differences| (ledger, differences)),
        Err(error) => Err(error),
    };
    let (head, verifier, differences) = match found {
        Ok((ledger, differences)) => {
            let found = (ledger.head().await, ledger.verifier().to_string(), differences);
            ledger.close().await;
            found
        }
        Err(error) => {
            let _gone = std::fs::remove_dir_all(&beside);
            return Err(failed(error));
        }
    };
    for difference in &differences {
        context.screen.note(&context.screen.signed(Sign::Bad, difference));
    }
    let keep = differences.is_empty() || args.accept_differences;
    if keep {
        put(&beside, args).map_err(failed)?;
    } else {
        let _gone = std::fs::remove_dir_all(&beside);
    }
    tell(args, context, (&head, &verifier), (&differences, keep))?;
    Ok(if keep { Exit::Done } else { Exit::No })
}

fn note_key(args: &RebuildArgs) -> Result<NoteKey, AuditError> {
    NoteKey::from_pem(&args.origin, &read(&args.note_key)?).map_err(|source| AuditError::Key {
        path: args.note_key.clone(),
        source,
    })
}

/// What others hold of the old ledger; nothing where their export is not good, which was told then.
fn old(
    args: &RebuildArgs,
    key: Option<&NoteVerifier>,
    context: &Context<'_>,
) -> Result<Option<Old>, Failure> {
    let mut old = Old {
        checkpoints: Vec::new(),
        export: None,
    };
    let Some(key) = key else { return Ok(Some(old)) };
    for path in &args.checkpoint {
        let head = checkpoint(path, key).map_err(failed)?;
        old.checkpoints.push((path.clone(), head));
    }
    if let Some(dir) = &args.export {
        let demands = Demands {
            key: key.clone(),
            root: None,
            older: Vec::new(),
        };
        let (report, contents) =
            export::open(dir, &demands).map_err(|error| failed(AuditError::Read(error)))?;
        let Some(contents) = contents else {
            super::verify::tell(&report, context.screen)?;
            return Ok(None);
        };
        let path = dir.join("checkpoint");
        let head = checkpoint(&path, key).map_err(failed)?;
        old.checkpoints.push((path, head));
        old.export = Some(contents);
    }
    Ok(Some(old))
}

fn checkpoint(path: &Path, key: &NoteVerifier) -> Result<Head, AuditError> {
    Head::open(&read(path)?, key).map_err(|source: NoteError| AuditError::Key {
        path: path.to_owned(),
        source,
    })
}

fn beside(place: &Path) -> PathBuf {
    // Without a slash at its end, behind which a file would lie inside.
    let place: PathBuf = place.components().collect();
    let mut name = place.into_os_string();
    name.push(format!(".part-{}", std::process::id()));
    PathBuf::from(name)
}

async fn make(
    folder: &Path,
    key: NoteKey,
    log: &JetStreamLog,
    context: &Context<'_>,
) -> Result<Ledger, AuditError> {
    let ledger = Ledger::open(folder, key).await.map_err(AuditError::Ledger)?;
    let mut told = 0;
    let tell = |held: u64, last: u64| {
        let tenth = held.saturating_mul(10).checked_div(last).unwrap_or(10);
        if tenth > told {
            told = tenth;
            context
                .screen
                .hint(Sign::Begin, &format!("{held} of {last} events"));
        }
    };
    rebuild::rebuild(log, &ledger, tell)
        .await
        .map_err(AuditError::Rebuild)?;
    Ok(ledger)
}

/// What the stream does not hold as the old ledger did.
async fn compare(ledger: &Ledger, old: &Old) -> Result<Vec<String>, AuditError> {
    let read = |error| AuditError::Rebuild(RebuildError::Ledger(error));
    let mut differences = Vec::new();
    for (path, head) in &old.checkpoints {
        let path = path.display();
        match rebuild::compare(ledger, head).await.map_err(read)? {
            Comparison::Same => {}
            Comparison::Shorter { held } => differences.push(format!(
                "{path}: covers {} leaves, the stream holds {held}: the last ones are lost",
                head.size
            )),
            Comparison::Differs => differences.push(format!(
                "{path}: the first {} events of the stream are not the leaves of this checkpoint",
                head.size
            )),
        }
    }
    if let Some(export) = &old.export {
        let lines = rebuild::differing(ledger, export).await.map_err(read)?;
        for line in lines.iter().take(NAMED) {
            differences.push(format!(
                "sequence {}: not what leaf {} was, {}",
                line.sequence,
                line.index,
                crate::table::clean(&line.subject)
            ));
        }
        if lines.len() > NAMED {
            differences.push(format!("{} sequences differ in all", lines.len()));
        }
    }
    Ok(differences)
}

/// Gives the ledger its place, and says its name beside it for `fluxgate dev`.
fn put(beside: &Path, args: &RebuildArgs) -> Result<(), AuditError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| AuditError::File { path, source }
    };
    let origin = beside.join(crate::dev::ORIGIN_FILE);
    std::fs::write(&origin, format!("{}\n", args.origin)).map_err(file(&origin))?;
    std::fs::rename(beside, &args.ledger).map_err(file(&args.ledger))
}

fn tell(
    args: &RebuildArgs,
    context: &Context<'_>,
    (head, verifier): (&Head, &str),
    (differences, kept): (&[String], bool),
) -> Result<(), Failure> {
    let screen = context.screen;
    let ledger = args.ledger.display();
    match screen.format() {
        Format::Json => screen.json(&json!({
            "ledger": args.ledger, "made": kept, "origin": args.origin, "treeSize": head.size,
            "rootHash": head.root.to_string(), "verifierKey": verifier, "differences": differences,
        }))?,
        Format::Table | Format::Wide if kept => screen.data(&format!(
            "{ledger}: {} leaves, root {}; ledger's key {verifier}",
            head.size, head.root
        )),
        Format::Table | Format::Wide => {}
    }
    if !kept {
        let text = "no ledger was made: restore the stream, or accept what is lost with --accept-differences";
        screen.hint(Sign::Warning, text);
        return Ok(());
    }
    if args.checkpoint.is_empty() && args.export.is_none() {
        let text = "nothing of the old ledger was compared: give --checkpoint or --export, and --key";
        screen.hint(Sign::Warning, text);
    } else if differences.is_empty() {
        screen.hint(
            Sign::Good,
            "the stream holds everything that the old ledger's checkpoints cover",
        );
    }
    screen.hint(
        Sign::Good,
        &format!(
            "set service.origin of audit-log to {}, start it, and give its new key to outsiders",
            args.origin
        ),
    );
    Ok(())
}
