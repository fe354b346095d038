//! policy-engine: for each release, policy and baseline it gathers the evidence, verifies the upstream
//! signatures itself with its own trust root and profiles, evaluates the policy and signs the decision.
//!
//! On every change, and every few seconds: `gather` (what is known) with `verify` (again) ->
//! `policy::evaluate` (pure) -> `decide` (publish if the answer is another one, or has to be renewed).
//!
//! [`replay`] makes a decision again from what was stored.
//!
//! Deliberately not here: when and where an allowed release is rolled out.

pub mod config;

mod decide;
mod gather;
mod grpc;
pub mod replay;
mod statements;
mod texts;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evidence::TrustRoot;
use hub::{Host, Hub};

pub use config::Settings;

/// Name of the service, of its binary.
pub const NAME: &str = "policy-engine";

/// Decisions that wait for a time are looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file can't be read.
    #[error("reading {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A policy is not one.
    #[error("loading a policy")]
    Policy(#[source] policy::LoadError),
    /// The trust root is none.
    #[error("reading the trust root")]
    TrustRoot(#[source] evidence::TrustRootError),
    /// This build lacks its cryptography.
    #[error("verifying a known signature")]
    SelfTest(#[source] evidence::SelfTestError),
}

/// One replica: what the parts of the service share. [`start`] runs it; a simulation moves it by hand.
#[derive(Debug)]
pub struct Engine {
    hub: Hub,
    trust: TrustRoot,
    /// The policies of this replica's files, as published; what counts is the log's.
    files: Vec<wire::PolicyDocument>,
    begun: texts::Begun,
    statements: statements::Statements,
    gathered: gather::Cache,
}

/// Starts the service on a host.
///
/// # Errors
/// If a policy or the trust root can't be used.
pub async fn start(hub: Hub, settings: Settings, host: &mut Host) -> Result<(), StartError> {
    evidence::self_test().map_err(StartError::SelfTest)?;
    let engine = Arc::new(Engine::open(hub, settings)?);
    host.grpc.add(grpc::server(Arc::clone(&engine)));
    let hub = engine.hub.clone();
    host.spawn(
        NAME,
        async move { hub.each_change(LOOK_AGAIN, || engine.run()).await },
    );
    Ok(())
}

impl Engine {
    /// A replica on this hub.
    ///
    /// # Errors
    /// If a policy or the trust root can't be used.
    pub fn open(hub: Hub, settings: Settings) -> Result<Self, StartError> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| StartError::File {
                path: path.clone(),
                source,
            })
        };
        let trust = TrustRoot::from_json(&read(&settings.trust_root)?).map_err(StartError::TrustRoot)?;
        let mut files = Vec::with_capacity(settings.policies.len());
        for path in settings.policies {
            let text = String::from_utf8_lossy(&read(&path)?).into_owned();
            let parsed =
                policy::Policy::parse(&path.display().to_string(), &text).map_err(StartError::Policy)?;
            files.push(wire::PolicyDocument {
                policy: parsed.id,
                text,
            });
        }
        Ok(Self {
            hub,
            trust,
            files,
            begun: texts::Begun::default(),
            statements: statements::Statements::default(),
            gathered: gather::Cache::default(),
        })
    }

    /// Publishes what is to be said now: texts of policies, decisions. A failure is logged; it is tried again at
    /// the next run.
    pub async fn run(&self) {
        self.publish_texts().await;
        if let Err(error) = self.decide_all().await {
            tracing::warn!(error = %runtime::errors::chain(&error), "no decision could be made");
        }
    }
}
