//! `check`: each thing that fluxgate needs, one line each.

mod judge;

use serde::Serialize;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use wire::audit::v1::GetLedgerStatusRequest;
use wire::fleet::v1::Cluster;
use wire::release::v1::GetReleaseSourceRequest;
use wire::{audit, fleet, policy, release, rollout, verification};

use super::Context;
use crate::cli::Format;
use crate::client::{Client, List};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Screen, Sign};
use crate::words;

/// Everything that one address of the hub serves.
const SERVICES: [&str; 6] = [
    release::v1::release_service_server::SERVICE_NAME,
    verification::v1::verification_service_server::SERVICE_NAME,
    policy::v1::policy_service_server::SERVICE_NAME,
    rollout::v1::rollout_service_server::SERVICE_NAME,
    fleet::v1::fleet_service_server::SERVICE_NAME,
    audit::v1::audit_service_server::SERVICE_NAME,
];

/// What came of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Outcome {
    Passed,
    Failed,
    /// Could not be judged, which is no pass and no failure of what was to be checked.
    NotChecked,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    name: String,
    result: Outcome,
    reason: &'static str,
    message: String,
    /// Whether it failed for want of an answer.
    #[serde(skip)]
    outage: bool,
}

/// The answer as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    checks: &'a [Line],
    passed: usize,
    failed: usize,
    not_checked: usize,
}

impl Line {
    fn new(name: impl Into<String>, result: Outcome, message: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            result,
            reason: "",
            message: message.into(),
            outage: false,
        }
    }

    fn passed(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(name, Outcome::Passed, message)
    }

    fn failed(name: impl Into<String>, reason: domain::Reason, message: impl Into<String>) -> Self {
        Self {
            reason: reason.code(),
            ..Self::new(name, Outcome::Failed, message)
        }
    }

    /// Failed for want of a service, about which there is nothing to read but its own log.
    fn unserved(name: &str, message: &str) -> Self {
        Self {
            outage: true,
            ..Self::new(
                name,
                Outcome::Failed,
                format!("{message}; look at the log of that service"),
            )
        }
    }

    /// Failed because the services themselves get no answer from the bus.
    fn no_bus() -> Self {
        let message = "the hub's services get no answer from the event log: is nats-server running? Its address stands \
                       in the hub's configuration";
        Self {
            outage: true,
            ..Self::new("nats", Outcome::Failed, message)
        }
    }

    fn not_checked(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(name, Outcome::NotChecked, message)
    }
}

pub(super) async fn run(context: &Context<'_>) -> Result<Exit, Failure> {
    let screen = context.screen;
    screen.hint(Sign::Begin, &format!("checking {}", context.global.server));
    let client = context.connect().await?;
    let mut lines = vec![Line::passed(
        "server",
        format!("reached at {}", context.global.server),
    )];
    print(screen, &lines);
    let served = services(&client).await;
    print(screen, &served);
    let fleet = client.all_clusters().await;
    let no_bus = fleet.as_ref().err().is_some_and(Failure::is_of_bus);
    let ledger = ledger(&client, context).await;
    let mut rest = vec![releases(&client, context).await];
    if no_bus {
        rest.push(Line::no_bus());
        rest.push(judge::without_bus(ledger));
        rest.push(Line::not_checked(
            "clusters",
            "what is known of them is on the event log",
        ));
    } else {
        rest.push(ledger);
        rest.extend(clusters(fleet, context));
    }
    print(screen, &rest);
    lines.extend(served);
    lines.extend(rest);
    conclude(screen, &lines)
}

async fn services(client: &Client) -> Vec<Line> {
    let mut lines = Vec::new();
    for service in SERVICES {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        lines.push(match client.health().check(request).await {
            Ok(answer) => match answer.into_inner().status() {
                ServingStatus::Serving => Line::passed(service, "serving"),
                other => Line::unserved(service, &format!("is {}", other.as_str_name())),
            },
            Err(status) if status.code() == tonic::Code::NotFound => {
                Line::unserved(service, "is not served at this address")
            }
            Err(status) => Line::unserved(service, &format!("did not answer: {}", status.message())),
        });
    }
    lines
}

async fn releases(client: &Client, context: &Context<'_>) -> Line {
    match client
        .releases()
        .get_release_source(GetReleaseSourceRequest {})
        .await
    {
        Ok(source) => judge::releases(&source.into_inner(), context.now),
        Err(status) if status.code() == tonic::Code::Unimplemented => {
            Line::not_checked("releases", "this hub does not tell how its source was looked at")
        }
        Err(status) => Line::unserved("releases", &format!("did not answer: {}", status.message())),
    }
}

async fn ledger(client: &Client, context: &Context<'_>) -> Line {
    match client.audit().get_ledger_status(GetLedgerStatusRequest {}).await {
        Ok(status) => judge::ledger(&status.into_inner(), context.now),
        Err(status) => Line {
            outage: true,
            ..Line::failed("ledger", domain::Reason::LedgerUnconfirmed, status.message())
        },
    }
}

fn clusters(fleet: Result<List<Cluster>, Failure>, context: &Context<'_>) -> Vec<Line> {
    match fleet {
        Ok(list) if list.items.is_empty() => {
            vec![Line::not_checked(
                "clusters",
                "there are none: fleet.yaml of the rollout-controller names them",
            )]
        }
        Ok(list) => list
            .items
            .iter()
            .flat_map(|cluster| judge::cluster(cluster, context.now))
            .collect(),
        Err(failure) => {
            let why = failure.why().unwrap_or_else(|| failure.to_string());
            vec![Line::unserved("clusters", &why)]
        }
    }
}

fn print(screen: &Screen, lines: &[Line]) {
    if screen.format() == Format::Json {
        return;
    }
    for line in lines {
        let sign = match line.result {
            Outcome::Passed => Sign::Good,
            Outcome::Failed => Sign::Bad,
            Outcome::NotChecked => Sign::Warning,
        };
        if line.result == Outcome::Failed || !screen.quiet() {
            let text = format!("{}: {}", line.name, line.message);
            screen.data(&screen.signed(sign, &crate::table::clean(&text)));
        }
        if let Some((meaning, next)) = words::explain(line.reason) {
            screen.data(&format!("    {}: {meaning}", line.reason));
            // Who reads this has just run it.
            if !next.contains("fluxgate check") {
                screen.data(&format!("    next: {next}"));
            }
        }
    }
}

fn conclude(screen: &Screen, lines: &[Line]) -> Result<Exit, Failure> {
    let count = |result: Outcome| lines.iter().filter(|line| line.result == result).count();
    let (passed, failed, open) = (
        count(Outcome::Passed),
        count(Outcome::Failed),
        count(Outcome::NotChecked),
    );
    let sign = if failed == 0 { Sign::Good } else { Sign::Bad };
    let sum = format!("{passed} passed, {failed} failed, {open} not checked");
    if screen.format() == Format::Json {
        screen.json(&Answer {
            checks: lines,
            passed,
            failed,
            not_checked: open,
        })?;
        screen.hint(sign, &sum);
    } else {
        screen.data(&screen.signed(sign, &sum));
    }
    // An outage is told first: what failed besides may have failed for it.
    Ok(if lines.iter().any(|line| line.outage) {
        Exit::NoAnswer
    } else if failed > 0 {
        Exit::No
    } else {
        Exit::Done
    })
}
