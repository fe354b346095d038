//! `audit restore`: checks the export, then fills the stream.

use audit_log::export;
use audit_log::restore;
use bus::blobs::Blobs;
use bus::connection::{Credentials, Settings};
use bus::refill::Refill;
use serde_json::json;

use super::args::{BusArgs, RestoreArgs};
use super::{AuditError, demands, failed};
use crate::cli::Format;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Sign;

pub(super) async fn run(args: &RestoreArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let screen = context.screen;
    let demands = demands(&args.key, args.root.as_ref()).map_err(failed)?;
    let opened = export::open(&args.dir, &demands);
    let (report, contents) = opened.map_err(|error| failed(AuditError::Read(error)))?;
    let Some(contents) = contents else {
        super::verify::tell(&report, screen)?;
        screen.hint(Sign::Bad, "nothing was restored");
        return Ok(Exit::No);
    };
    if !report.complete && !args.allow_lost {
        let text = format!(
            "the export has {} of {} leaves; nothing was restored. Take one of the whole ledger, or fill the \
             rest with --allow-lost",
            report.leaves, report.size
        );
        screen.note(&screen.signed(Sign::Bad, &text));
        return Ok(Exit::No);
    }
    let client = bus::connect(&settings(&args.bus)).await;
    let client = client.map_err(|error| failed(AuditError::Connect(error)))?;
    let restored = async {
        let mut refill = Refill::begin(&client).await?;
        let mut told = 0;
        let tell = |done: u64, total: u64| {
            let tenth = done.saturating_mul(10).checked_div(total).unwrap_or(10);
            if tenth > told {
                told = tenth;
                screen.hint(Sign::Begin, &format!("{done} of {total} events"));
            }
        };
        restore::restore(&contents, (&mut refill, &Blobs::new(&client)), tell).await
    };
    let restored = restored
        .await
        .map_err(|error| failed(AuditError::Restore(error)))?;
    match screen.format() {
        Format::Json => screen.json(&json!({
            "events": restored.events, "lost": restored.lost, "blobs": restored.blobs,
        }))?,
        Format::Table | Format::Wide => screen.data(&format!(
            "the stream holds {} events at their old sequences, {} of them fillers for lost ones, and {} blobs",
            restored.events, restored.lost, restored.blobs
        )),
    }
    let text = "the ledger does not confirm the new stream, and nothing new is allowed, until `fluxgate audit rebuild`";
    screen.hint(Sign::Warning, text);
    Ok(Exit::Done)
}

/// How the stream is reached.
pub(super) fn settings(args: &BusArgs) -> Settings {
    Settings {
        url: args.nats.clone(),
        name: "fluxgate audit".to_owned(),
        credentials: args.creds.clone().map_or(Credentials::None, Credentials::File),
        root_certificate: args.ca.clone(),
        inbox_prefix: None,
    }
}
