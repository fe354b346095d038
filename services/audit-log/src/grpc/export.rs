//! The stream of `ExportEntries`: a checkpoint, then everything that it covers.
//!
//! The tree is fixed when the stream begins; what is appended meanwhile is not part of it. Each message stays
//! far below the 4 MiB of gRPC: an event and a blob have at most 1 MiB.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;

use futures::stream::{self, Stream};
use tonic::Status;

use domain::Digest;
use wire::audit::v1::export_entries_response::Part;
use wire::audit::v1::{ExportBegin, ExportBlob, ExportEntriesResponse, ExportHashes, ExportLeaf};

use super::unavailable;
use crate::describe::describe;
use crate::export::NEEDED;
use crate::ledger::LedgerError;
use crate::ledger::query::{Entry, Filter};
use crate::service::Service;

/// Hashes in one message.
const HASHES: u32 = 4096;
/// Rows read at once; their payloads are read one by one.
const PAGE: u32 = 256;

/// The parts of an export.
pub(super) type Parts = Pin<Box<dyn Stream<Item = Result<ExportEntriesResponse, Status>> + Send>>;

struct Exporter {
    service: Service,
    filter: Filter,
    size: u64,
    /// Index of the next hash to send; the tree's size where none is left.
    next_hash: u64,
    /// Index to look for the next leaf from.
    next_leaf: u64,
    page: VecDeque<Entry>,
    ready: VecDeque<Part>,
    sent: BTreeSet<Digest>,
}

/// Begins an export of what the filter lets through; of everything where it is empty.
pub(super) async fn begin(service: Service, filter: Filter) -> Result<Parts, LedgerError> {
    let whole = filter.is_empty();
    let filter = Filter {
        always: if whole { &[] } else { NEEDED },
        ..filter
    };
    let ledger = service.ledger();
    let (head, checkpoint) = ledger.publish().await?;
    let begin = ExportBegin {
        checkpoint,
        verifier_key: ledger.verifier().to_string(),
        root_key: service
            .root_key()
            .map(attest::PublicKey::to_pem)
            .unwrap_or_default(),
        tree_size: head.size,
        leaves: ledger.count(&filter, head.size).await?,
    };
    let exporter = Exporter {
        service,
        filter,
        size: head.size,
        next_hash: if whole { head.size } else { 0 },
        next_leaf: 0,
        page: VecDeque::new(),
        ready: [Part::Begin(begin)].into(),
        sent: BTreeSet::new(),
    };
    let parts = stream::try_unfold(exporter, |mut exporter| async move {
        match exporter.next().await {
            Ok(Some(part)) => Ok(Some((ExportEntriesResponse { part: Some(part) }, exporter))),
            Ok(None) => Ok(None),
            Err(error) => Err(unavailable(&error)),
        }
    });
    Ok(Box::pin(parts))
}

impl Exporter {
    async fn next(&mut self) -> Result<Option<Part>, LedgerError> {
        if let Some(part) = self.ready.pop_front() {
            return Ok(Some(part));
        }
        if self.next_hash < self.size {
            return self.hashes().await.map(Some);
        }
        if self.page.is_empty() && self.next_leaf < self.size {
            let ledger = self.service.ledger();
            let found = ledger.entries(&self.filter, self.next_leaf, PAGE).await?;
            let size = self.size;
            self.page = found.into_iter().filter(|entry| entry.index < size).collect();
            self.next_leaf = self.page.back().map_or(size, |last| last.index + 1);
        }
        match self.page.pop_front() {
            Some(entry) => self.leaf(entry).await.map(Some),
            None => Ok(None),
        }
    }

    async fn hashes(&mut self) -> Result<Part, LedgerError> {
        let first_index = self.next_hash;
        let left = u32::try_from(self.size - first_index).unwrap_or(u32::MAX);
        let ledger = self.service.ledger();
        let hashes = ledger.leaf_hashes(first_index, left.min(HASHES)).await?;
        if hashes.is_empty() {
            return Err(LedgerError::Malformed("leaves without hashes"));
        }
        self.next_hash += hashes.len() as u64;
        Ok(Part::Hashes(ExportHashes {
            first_index,
            hashes: hashes.iter().flat_map(|hash| *hash.as_bytes()).collect(),
        }))
    }

    async fn leaf(&mut self, entry: Entry) -> Result<Part, LedgerError> {
        let ledger = self.service.ledger();
        let payload = ledger.payload(entry.payload).await?;
        let payload = payload.ok_or(LedgerError::Malformed("a leaf without its payload"))?;
        for digest in describe(&entry.subject, &payload).blobs {
            if self.sent.insert(digest) {
                let content = ledger.blob(digest).await?.map(|bytes| bytes.to_vec());
                self.ready.push_back(Part::Blob(ExportBlob {
                    digest: Some(digest.into()),
                    content,
                }));
            }
        }
        Ok(Part::Leaf(ExportLeaf {
            index: entry.index,
            sequence: entry.sequence,
            subject: entry.subject,
            payload: payload.to_vec(),
        }))
    }
}
