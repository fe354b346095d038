//! What a check found.

use std::collections::BTreeMap;

use super::Fault;
use crate::export::statements::{Standing, Void};

/// What a check found. The export is good where there is no fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Name of the ledger.
    pub origin: String,
    /// Leaves that the checkpoint covers.
    pub size: u64,
    /// Root of the tree, hex.
    pub root_hash: String,
    /// Whether all of them are there.
    pub complete: bool,
    /// What they were chosen by, where not: nobody signs this, and leaves may have been left out.
    pub chosen_by: String,
    /// Leaves that are there.
    pub leaves: u64,
    /// Statements by who signed them.
    pub signed: BTreeMap<String, u64>,
    /// Hints, which nobody signs.
    pub hints: u64,
    /// Leaves whose payload counts for nothing, and why: somebody wrote to the bus who may not. The ledger
    /// keeps what was said, so this is no fault of the export.
    pub void: Vec<(u64, Void)>,
    /// Blobs that are there.
    pub blobs: u64,
    /// Fingerprint of the root key that was used.
    pub root_key: Option<String>,
    /// Whether it was given from elsewhere.
    pub root_pinned: bool,
    /// Version of the newest trust bundle, and whether it is for demos.
    pub bundle: Option<(u64, bool)>,
    /// Sizes of the older checkpoints that the tree continues.
    pub continues: Vec<u64>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

impl Report {
    pub(super) fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            size: 0,
            root_hash: String::new(),
            complete: false,
            chosen_by: String::new(),
            leaves: 0,
            signed: BTreeMap::new(),
            hints: 0,
            void: Vec::new(),
            blobs: 0,
            root_key: None,
            root_pinned: false,
            bundle: None,
            continues: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    pub(super) fn count(&mut self, index: u64, standing: &Standing) {
        let by = match standing {
            Standing::Hint => {
                self.hints += 1;
                return;
            }
            Standing::Void(void) => {
                self.void.push((index, *void));
                return;
            }
            Standing::Root => "root key".to_owned(),
            Standing::Agent => "cluster-agent".to_owned(),
            Standing::Role(role, _) => role.to_string(),
        };
        *self.signed.entry(by).or_default() += 1;
    }
}
