//! `status`.

use wire::audit::v1::GetLedgerStatusRequest;

use super::Context;
use super::get::{exact, look, verification};
use crate::cli::Format;
use crate::client::{Client, failed};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::status::{self, Seen};

pub(super) async fn run(context: &Context<'_>) -> Result<Exit, Failure> {
    let client = context.connect().await?;
    let seen = seen(&client).await?;
    let look = look(context);
    let status = status::status(&seen, look);
    let screen = context.screen;
    match screen.format() {
        Format::Json => {
            screen.json(&status)?;
            screen.summary(&status::text(&status, look));
        }
        Format::Table | Format::Wide => screen.data(&status::text(&status, look)),
    }
    Ok(status.exit())
}

/// Everything that the picture is made of. That the ledger can't be asked is part of it; the rest has to
/// answer.
async fn seen(client: &Client) -> Result<Seen, Failure> {
    let mut audit = client.audit();
    let ledger = async {
        let answer = audit.get_ledger_status(GetLedgerStatusRequest {}).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(failed("asking for the ledger's status"))
            .map_err(|failure| failure.why().unwrap_or_else(|| failure.to_string()))
    };
    let (releases, rollouts, clusters, stops, ledger) = futures::join!(
        client.all_releases(),
        client.all_rollouts(),
        client.all_clusters(),
        client.all_stops(false),
        ledger,
    );
    let mut seen = Seen {
        releases: releases?.items,
        verification: None,
        decisions: Vec::new(),
        rollouts: rollouts?.items,
        clusters: clusters?.items,
        stops: stops?.items,
        ledger,
    };
    if let Some(newest) = status::newest(&seen.releases) {
        let name = exact(newest);
        seen.verification = verification(client, &name).await?;
        seen.decisions = client.all_decisions(name).await?.items;
    }
    Ok(seen)
}
