//! `migrate`: makes the streams and puts the trust bundle on the bus.

use std::path::PathBuf;

use bus::JetStreamLog;
use bus::connection::{ConnectError, Credentials};
use bus::streams::{self, StreamsError};
use serde_json::json;

use super::Context;
use crate::bundle::{self, BundleError};
use crate::cli::{Format, MigrateArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Sign;

/// Why the bus is not ready.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// NATS can't be reached.
    #[error("connecting to NATS")]
    Connect(#[source] ConnectError),
    /// A stream could not be made or changed.
    #[error("preparing the streams")]
    Streams(#[source] StreamsError),
    /// The bundle's file can't be read.
    #[error("reading {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The bundle is not on the bus.
    #[error("putting the trust bundle on the bus")]
    Bundle(#[source] BundleError),
}

impl MigrateError {
    /// How the command ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let ours = match self {
            Self::Connect(error) => !error.retryable(),
            Self::Streams(error) => !error.retryable(),
            Self::File { .. } => true,
            Self::Bundle(error) => match error {
                BundleError::Envelope(_) | BundleError::Claim(_) | BundleError::Other(_) => true,
                BundleError::Log(error) => !error.retryable(),
            },
        };
        if ours { Exit::Usage } else { Exit::NoAnswer }
    }

    /// Whether doing the same again can help.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.exit() == Exit::NoAnswer
    }

    /// What to do next.
    #[must_use]
    pub const fn next_step(&self) -> &'static str {
        match self {
            Self::Connect(_) => "check --nats and --creds; `fluxgate dev` starts a nats-server by itself",
            Self::Streams(_) => "look with --dry-run; what differs is never changed by force",
            Self::File { .. } => "check the path; `fluxgate keys init` makes a bundle",
            Self::Bundle(_) => "check that the file is the bundle that `fluxgate keys init` made",
        }
    }
}

pub(super) async fn run(args: &MigrateArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let (lines, bundle) = migrate(args).await.map_err(Failure::Migrate)?;
    let screen = context.screen;
    match screen.format() {
        Format::Json => {
            screen.json(&json!({ "dryRun": args.dry_run, "streams": lines, "bundle": bundle }))?;
        }
        Format::Table | Format::Wide => lines.iter().chain(&bundle).for_each(|line| screen.data(line)),
    }
    if lines.is_empty() {
        screen.hint(Sign::Good, "the streams are as they have to be");
    }
    if args.dry_run {
        screen.hint(Sign::Good, "dry run: nothing was changed");
    }
    Ok(Exit::Done)
}

/// What was done, or found in a dry run; and what became of the bundle, if one was given.
async fn migrate(args: &MigrateArgs) -> Result<(Vec<String>, Option<String>), MigrateError> {
    // Whatever is wrong with the file is wrong before anything is changed.
    let bundle = match &args.bundle {
        Some(path) => Some(read_bundle(path)?),
        None => None,
    };
    let connection = bus::connection::Settings {
        url: args.nats.clone(),
        name: "fluxgate migrate".to_owned(),
        credentials: args.creds.clone().map_or(Credentials::None, Credentials::File),
        root_certificate: args.ca.clone(),
        inbox_prefix: None,
    };
    let client = bus::connect(&connection).await.map_err(MigrateError::Connect)?;
    let defaults = streams::Settings::default();
    let settings = streams::Settings {
        replicas: usize::from(args.replicas),
        events_bytes: args.max_bytes.unwrap_or(defaults.events_bytes),
        monitor_url: args.monitor.clone(),
        ..defaults
    };
    if args.dry_run {
        let findings = streams::verify(&client, &settings)
            .await
            .map_err(MigrateError::Streams)?;
        return Ok((findings.iter().map(ToString::to_string).collect(), None));
    }
    let changes = streams::migrate(&client, &settings)
        .await
        .map_err(MigrateError::Streams)?;
    let lines = changes.iter().map(ToString::to_string).collect();
    let Some(bytes) = bundle else {
        return Ok((lines, None));
    };
    bundle::publish(&JetStreamLog::new(&client), &bytes)
        .await
        .map_err(MigrateError::Bundle)?;
    Ok((lines, Some("trust bundle is on the bus".to_owned())))
}

fn read_bundle(path: &std::path::Path) -> Result<Vec<u8>, MigrateError> {
    let file = |source| MigrateError::File {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::read(path).map_err(file)?;
    bundle::read(&bytes).map_err(MigrateError::Bundle)?;
    Ok(bytes)
}
