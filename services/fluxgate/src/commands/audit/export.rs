//! `audit export`.

use attest::PublicKey;
use audit_log::NoteVerifier;
use audit_log::export::{Begin, WriteError, Writer};
use wire::audit::v1::export_entries_response::Part;
use wire::audit::v1::{ExportBegin, ExportEntriesRequest, ExportEntriesResponse, GetLedgerStatusRequest};

use super::args::ExportArgs;
use super::{AuditError, failed};
use crate::cli::Format;
use crate::client;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;
use crate::output::Sign;

const DOING: &str = "exporting the ledger";

pub(super) async fn run(args: &ExportArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    // Before anything is asked for.
    if std::fs::symlink_metadata(&args.out).is_ok() {
        return Err(failed(AuditError::Write(WriteError::Exists(args.out.clone()))));
    }
    let (request, chosen_by) = chosen(args, context);
    let client = context.connect().await?;
    let mut audit = client.audit();
    let answer = audit.export_entries(request).await;
    let mut parts = answer.map_err(client::failed(DOING))?.into_inner();
    let Some(Part::Begin(begin)) = next(&mut parts).await? else {
        return Err(failed(AuditError::Answer(
            "an export does not begin with its checkpoint",
        )));
    };
    let total = begin.leaves;
    let begin = read_begin(begin, chosen_by).map_err(failed)?;
    let verifier = begin.verifier.to_string();
    let write = |error| failed(AuditError::Write(error));
    let mut writer = Writer::create(&args.out, begin).map_err(write)?;
    let mut count: u64 = 0;
    while let Some(part) = next(&mut parts).await? {
        if matches!(part, Part::Leaf(_)) {
            count += 1;
            progress(context, count, total);
        }
        put(&mut writer, part)?;
    }
    let written = writer.finish().map_err(write)?;
    let screen = context.screen;
    match screen.format() {
        Format::Json => screen.json(&serde_json::json!({
            "dir": args.out, "leaves": written.leaves, "treeSize": written.size, "blobs": written.blobs,
            "missingBlobs": written.missing.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "verifierKey": verifier,
        }))?,
        Format::Table | Format::Wide => screen.data(&format!(
            "{}: {} of {} leaves, {} blobs; ledger's key {verifier}",
            args.out.display(),
            written.leaves,
            written.size,
            written.blobs
        )),
    }
    let status = client.audit().get_ledger_status(GetLedgerStatusRequest {}).await;
    if let Some(status) = status
        .ok()
        .map(tonic::Response::into_inner)
        .filter(|status| !status.sound)
    {
        let problem = crate::table::clean(&status.problem);
        screen.hint(
            Sign::Warning,
            &format!("the ledger does not confirm now: {problem}"),
        );
    }
    for blob in &written.missing {
        let text =
            format!("blob {blob} is named, and the ledger does not hold it yet: export again in a minute");
        screen.hint(Sign::Warning, &text);
    }
    if !written.has_bundle {
        screen.hint(
            Sign::Warning,
            "no trust bundle by the root key: signatures can't be checked",
        );
    }
    let dir = args.out.display();
    screen.hint(
        Sign::Good,
        &format!("check it: fluxgate audit verify {dir} --key {dir}/keys/ledger.vkey --root ROOT_KEY_FILE"),
    );
    Ok(Exit::Done)
}

fn chosen(args: &ExportArgs, context: &Context<'_>) -> (ExportEntriesRequest, String) {
    let release = args.release.as_deref().map(names::release);
    let since = args.since.map(|when| when.from(context.now));
    let chosen_by = match (&release, since) {
        (Some(release), _) => format!("release {release}"),
        (None, Some(since)) => format!("since {since}"),
        (None, None) => String::new(),
    };
    let request = ExportEntriesRequest {
        release: release.unwrap_or_default(),
        since_time: wire::time::optional_timestamp(since),
    };
    (request, chosen_by)
}

async fn next(parts: &mut tonic::Streaming<ExportEntriesResponse>) -> Result<Option<Part>, Failure> {
    let message = parts.message().await.map_err(client::failed(DOING))?;
    match message {
        None => Ok(None),
        Some(ExportEntriesResponse { part: Some(part) }) => Ok(Some(part)),
        Some(ExportEntriesResponse { part: None }) => Err(failed(AuditError::Answer(
            "a part of an export that this version does not know",
        ))),
    }
}

fn read_begin(begin: ExportBegin, chosen_by: String) -> Result<Begin, AuditError> {
    let Ok(verifier) = NoteVerifier::parse(&begin.verifier_key) else {
        return Err(AuditError::Answer("the ledger's key is none"));
    };
    let root = match begin.root_key.as_str() {
        "" => None,
        text => match PublicKey::from_pem(text) {
            Ok(key) => Some(key),
            Err(_) => return Err(AuditError::Answer("the root key is none")),
        },
    };
    Ok(Begin {
        checkpoint: begin.checkpoint,
        verifier,
        root,
        chosen_by,
    })
}

fn put(writer: &mut Writer, part: Part) -> Result<(), Failure> {
    let put = match part {
        Part::Begin(_) => return Err(failed(AuditError::Answer("an export that begins twice"))),
        Part::Hashes(hashes) => writer.hashes(hashes.first_index, &hashes.hashes),
        Part::Leaf(leaf) => writer.leaf((leaf.index, leaf.sequence), &leaf.subject, &leaf.payload),
        Part::Blob(blob) => {
            let digest = blob.digest.map(domain::Digest::try_from);
            let Some(Ok(digest)) = digest else {
                return Err(failed(AuditError::Answer("a blob without a digest")));
            };
            writer.blob(digest, blob.content.as_deref())
        }
    };
    put.map_err(|error| failed(AuditError::Write(error)))
}

/// A line for each tenth.
fn progress(context: &Context<'_>, count: u64, total: u64) {
    let tenth = |count: u64| count.saturating_mul(10).checked_div(total).unwrap_or(10);
    if total >= 100 && tenth(count) != tenth(count.saturating_sub(1)) {
        context
            .screen
            .hint(Sign::Begin, &format!("{count} of {total} leaves"));
    }
}
