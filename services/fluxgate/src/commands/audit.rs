//! `audit`: what stands in the ledger, exports that need no fluxgate, and the ledger after an accident.

mod args;
mod error;
mod export;
mod list;
mod rebuild;
mod restore;
mod show;
mod verify;

pub use args::AuditArgs;
pub use error::AuditError;

use std::path::Path;

use attest::PublicKey;
use audit_log::NoteVerifier;
use audit_log::export::{Demands, RootDemand};

use args::{AuditCommand, Root};

use super::{Context, in_time, interruptible};
use crate::exit::Exit;
use crate::failure::Failure;

pub(super) async fn run(args: &AuditArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    match &args.command {
        AuditCommand::List(args) => in_time(context, list::run(args, context)).await,
        AuditCommand::Show(args) => in_time(context, show::run(args, context)).await,
        AuditCommand::Export(args) => interruptible(export::run(args, context)).await,
        AuditCommand::Verify(args) => verify::run(args, context),
        AuditCommand::Rebuild(args) => interruptible(rebuild::run(args, context)).await,
        AuditCommand::Restore(args) => interruptible(restore::run(args, context)).await,
    }
}

fn failed(error: AuditError) -> Failure {
    Failure::Audit(Box::new(error))
}

fn read(path: &Path) -> Result<String, AuditError> {
    std::fs::read_to_string(path).map_err(|source| AuditError::File {
        path: path.to_owned(),
        source,
    })
}

/// The ledger's key in a file: a verifier key of c2sp.org/signed-note.
fn ledger_key(path: &Path) -> Result<NoteVerifier, AuditError> {
    NoteVerifier::parse(read(path)?.trim()).map_err(|source| AuditError::Key {
        path: path.to_owned(),
        source,
    })
}

fn root_demand(root: &Root) -> Result<RootDemand, AuditError> {
    let path = match root {
        Root::Fingerprint(fingerprint) => return Ok(RootDemand::Fingerprint(fingerprint.clone())),
        Root::File(path) => path,
    };
    match PublicKey::from_pem(&read(path)?) {
        Ok(key) => Ok(RootDemand::Key(key)),
        Err(source) => Err(AuditError::Root {
            path: path.clone(),
            source,
        }),
    }
}

fn demands(key: &Path, root: Option<&Root>) -> Result<Demands, AuditError> {
    Ok(Demands {
        key: ledger_key(key)?,
        root: root.map(root_demand).transpose()?,
        older: Vec::new(),
    })
}
