//! What other verifiers say about the very same things (`just peers`): a stock cosign about each release of the
//! factory, `fsck` of Tessera about the ledger's tiles.
//!
//! Two rules, each a failure of the run: a good release that cosign refuses means that the factory does not write
//! upstream's format; a wrong release that fluxgate allows means that fluxgate is wrong. What cosign accepts and
//! fluxgate refuses is no failure: it is what fluxgate is for, and is named.

pub mod cosign;
pub mod ours;
pub mod releases;
pub mod table;
pub mod tiles;

/// Why the peers could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// A part of the lab.
    #[error("the lab")]
    Lab(#[from] crate::lab::Error),
    /// The release factory.
    #[error("making a release")]
    Factory(#[from] testkit::factory::FactoryError),
    /// The demo Sigstore.
    #[error("making the demo's Sigstore")]
    Sigstore(#[from] testkit::sigstore::SigstoreError),
    /// The registry's client.
    #[error("configuring the client of the registry")]
    Client(#[from] registry::ConfigError),
    /// The registry.
    #[error("reading a release back")]
    Registry(#[from] registry::Error),
    /// What was pushed is not there.
    #[error("the registry has no {0}")]
    Missing(domain::ImageRef),
    /// A name of an image.
    #[error("naming an image")]
    Name(#[from] domain::image::ParseImageRefError),
    /// A tag that is no version.
    #[error("reading the tag of {0}")]
    Tag(domain::ImageRef),
    /// The trust root.
    #[error("reading the demo's trust root")]
    Trust(#[from] evidence::TrustRootError),
    /// The policy.
    #[error("reading the default policy")]
    Policy(#[from] policy::LoadError),
    /// The ledger.
    #[error("writing a ledger")]
    Ledger(#[from] audit_log::ledger::LedgerError),
    /// The ledger's key.
    #[error("making the key of a ledger")]
    NoteKey(#[from] audit_log::ledger::note::NoteError),
    /// A file.
    #[error("writing or reading {path}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A peer's process.
    #[error("running {program}")]
    Run {
        /// The program.
        program: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A peer that does not end.
    #[error("{program} did not end within {seconds} s")]
    Late {
        /// The program.
        program: std::path::PathBuf,
        /// How long it had.
        seconds: u64,
    },
}
