//! `fluxgate.audit.v1.AuditService`: finds entries and says how the ledger stands.
//!
//! What an entry says about its payload is what the payload says of itself; who relies on it fetches and
//! verifies the payload.

mod export;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use tonic::{Code, Request, Response, Status};

use domain::release::PRODUCT;
use domain::{Reason, ReleaseKey};
use runtime::grpc::{MAX_MESSAGE_BYTES, status};
use wire::audit::v1::audit_service_server::{AuditService, AuditServiceServer};
use wire::audit::v1::get_entry_request::Entry as Wanted;
use wire::audit::v1::{
    self, EntryProof, ExportEntriesRequest, GetEntryRequest, GetLedgerStatusRequest, LedgerStatus,
    ListEntriesRequest, ListEntriesResponse,
};

use crate::describe;
use crate::ledger::query::{Entry, Filter, ReleaseFilter};
use crate::ledger::{Ledger, LedgerError};
use crate::service::Service;

/// Full name of the service, for `grpc.health.v1`.
pub const NAME: &str = "fluxgate.audit.v1.AuditService";

const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

/// The inbound adapter.
#[derive(Debug, Clone)]
pub struct Api(Service);

impl Api {
    /// The adapter of a service.
    #[must_use]
    pub const fn new(service: Service) -> Self {
        Self(service)
    }
}

/// The service for a tonic server.
#[must_use]
pub fn server(service: Service) -> AuditServiceServer<Api> {
    AuditServiceServer::new(Api::new(service)).max_encoding_message_size(MAX_MESSAGE_BYTES)
}

#[tonic::async_trait]
impl AuditService for Api {
    async fn list_entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Result<Response<ListEntriesResponse>, Status> {
        let request = request.into_inner();
        let filter = filter(&request).map_err(Invalid::status)?;
        let size = page_size(request.page_size).map_err(Invalid::status)?;
        let from = read_token(&request.page_token).map_err(Invalid::status)?;
        let found = self.0.ledger().entries(&filter, from, size + 1).await;
        let mut found = found.map_err(|error| unavailable(&error))?;
        let keep = usize::try_from(size).unwrap_or(usize::MAX);
        let next_page_token = found
            .get(keep)
            .map(|entry| token(entry.index))
            .unwrap_or_default();
        found.truncate(keep);
        let entries = found.into_iter().map(message).collect();
        Ok(Response::new(ListEntriesResponse {
            entries,
            next_page_token,
        }))
    }

    async fn get_entry(&self, request: Request<GetEntryRequest>) -> Result<Response<EntryProof>, Status> {
        let ledger = self.0.ledger();
        let (name, found) = match request.into_inner().entry {
            Some(Wanted::Index(index)) if i64::try_from(index).is_ok() => {
                (format!("entry with index {index}"), ledger.entry(index).await)
            }
            Some(Wanted::Sequence(sequence)) if i64::try_from(sequence).is_ok() => {
                let found = ledger.with_sequence(sequence).await;
                (format!("entries/{sequence}"), found)
            }
            Some(Wanted::Subject(subject)) if !subject.is_empty() => {
                let found = ledger.under(&subject).await;
                let first = found.map(|entries| entries.into_iter().next());
                (format!("entries/{subject}"), first)
            }
            Some(_) | None => {
                let expected = "a sequence, an index or a subject";
                return Err(Invalid {
                    field: "entry",
                    expected,
                }
                .status());
            }
        };
        let entry = found.map_err(|error| unavailable(&error))?;
        let entry = entry.ok_or_else(|| not_found(&name))?;
        match proof(ledger, entry).await {
            Ok(proof) => Ok(Response::new(proof)),
            Err(error) => Err(unavailable(&error)),
        }
    }

    type ExportEntriesStream = export::Parts;

    async fn export_entries(
        &self,
        request: Request<ExportEntriesRequest>,
    ) -> Result<Response<Self::ExportEntriesStream>, Status> {
        let request = request.into_inner();
        let since = time("since_time", request.since_time).map_err(Invalid::status)?;
        let filter = Filter {
            release: optional_release(&request.release).map_err(Invalid::status)?,
            since,
            ..Filter::default()
        };
        let parts = export::begin(self.0.clone(), filter).await;
        parts.map(Response::new).map_err(|error| unavailable(&error))
    }

    async fn get_ledger_status(
        &self,
        _request: Request<GetLedgerStatusRequest>,
    ) -> Result<Response<LedgerStatus>, Status> {
        match self.0.status().await {
            Ok(status) => Ok(Response::new(status)),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

/// A field of a request that can't stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Invalid {
    field: &'static str,
    expected: &'static str,
}

impl Invalid {
    fn status(self) -> Status {
        let message = format!("{} is not {}", self.field, self.expected);
        status(
            Code::InvalidArgument,
            Reason::FieldInvalid.code(),
            message,
            [("field", self.field.to_owned())],
        )
    }
}

fn not_found(name: &str) -> Status {
    status(
        Code::NotFound,
        Reason::ResourceNotFound.code(),
        format!("there is no {name}"),
        [("resource", name.to_owned())],
    )
}

fn unavailable(error: &LedgerError) -> Status {
    tracing::warn!(error = runtime::errors::chain(error), "a call failed");
    let code = if error.retryable() {
        Code::Unavailable
    } else {
        Code::Internal
    };
    status(code, Reason::HubUnavailable.code(), error.to_string(), [])
}

fn filter(request: &ListEntriesRequest) -> Result<Filter, Invalid> {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let trace_id = given(&request.trace_id);
    let hex = |id: &String| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    if !trace_id.as_ref().is_none_or(hex) {
        return Err(Invalid {
            field: "trace_id",
            expected: "32 hex digits",
        });
    }
    let cluster = request
        .cluster
        .strip_prefix("clusters/")
        .unwrap_or(&request.cluster);
    if !request.decision.is_empty() && !request.decision.starts_with("decisions/") {
        return Err(Invalid {
            field: "decision",
            expected: "like decisions/0123456789abcdef",
        });
    }
    Ok(Filter {
        release: optional_release(&request.release)?,
        cluster: given(cluster),
        decision: given(&request.decision),
        trace_id: trace_id.map(|id| id.to_ascii_lowercase()),
        kind: given(&request.kind),
        since: time("since_time", request.since_time)?,
        until: time("until_time", request.until_time)?,
        always: &[],
    })
}

fn optional_release(name: &str) -> Result<Option<ReleaseFilter>, Invalid> {
    if name.is_empty() {
        Ok(None)
    } else {
        release(name).map(Some)
    }
}

fn time(field: &'static str, value: Option<wire::protobuf::Timestamp>) -> Result<Option<Timestamp>, Invalid> {
    let invalid = Invalid {
        field,
        expected: "a time of the years 1 to 9999",
    };
    wire::time::read_optional(field, value).or(Err(invalid))
}

/// `releases/flux/v2.9.4`, with `@sha256:...` where a tag moved; the key alone is good as well.
fn release(name: &str) -> Result<ReleaseFilter, Invalid> {
    let invalid = Invalid {
        field: "release",
        expected: "like releases/flux/v2.9.4",
    };
    let name = name.strip_prefix("releases/").unwrap_or(name);
    if let Ok(key) = name.parse::<ReleaseKey>() {
        return Ok(ReleaseFilter::Key(key));
    }
    let version = name
        .strip_prefix(PRODUCT)
        .and_then(|rest| rest.strip_prefix('/'))
        .ok_or(invalid)?;
    version.parse().map(ReleaseFilter::Version).or(Err(invalid))
}

fn page_size(asked: i32) -> Result<u32, Invalid> {
    match u32::try_from(asked) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(size) => Ok(size.min(LARGEST_PAGE)),
        Err(_) => Err(Invalid {
            field: "page_size",
            expected: "0 or more",
        }),
    }
}

/// A token: the index of the first entry of the page.
fn token(index: u64) -> String {
    URL_SAFE_NO_PAD.encode(index.to_be_bytes())
}

fn read_token(token: &str) -> Result<u64, Invalid> {
    if token.is_empty() {
        return Ok(0);
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| bytes.try_into().ok());
    bytes
        .map(u64::from_be_bytes)
        .filter(|index| i64::try_from(*index).is_ok())
        .ok_or(Invalid {
            field: "page_token",
            expected: "a token of this service",
        })
}

fn message(entry: Entry) -> v1::Entry {
    let author = describe::author(&entry.subject).to_owned();
    v1::Entry {
        index: entry.index,
        sequence: entry.sequence,
        subject: entry.subject,
        payload: Some(entry.payload.into()),
        store_time: Some(wire::time::timestamp(entry.store_time)),
        kind: entry.kind,
        trace_id: entry.trace_id,
        summary: entry.summary,
        span_id: entry.span_id,
        make_time: wire::time::optional_timestamp(entry.made),
        author,
        release: entry.release,
        rollout: entry.rollout,
        cluster: entry.cluster,
        decision: entry.decision,
    }
}

/// The proof of an entry as a message.
async fn proof(ledger: &Ledger, entry: Entry) -> Result<EntryProof, LedgerError> {
    let proven = ledger.prove(entry).await?;
    let blobs = describe::describe(&proven.entry.subject, &proven.payload).blobs;
    let mut missing = Vec::new();
    for blob in &blobs {
        if ledger.blob(*blob).await?.is_none() {
            missing.push(*blob);
        }
    }
    Ok(EntryProof {
        entry: Some(message(proven.entry)),
        // A record is JSON.
        record: String::from_utf8_lossy(&proven.leaf.record()).into_owned(),
        leaf_hash: proven.leaf.hash().to_string(),
        payload: proven.payload.to_vec(),
        inclusion_proof: proven.proof.iter().map(ToString::to_string).collect(),
        checkpoint: proven.checkpoint,
        verifier_key: ledger.verifier().to_string(),
        blobs: blobs.into_iter().map(Into::into).collect(),
        missing_blobs: missing.into_iter().map(Into::into).collect(),
        later: proven.later,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_of_releases_are_understood() {
        let key = format!("flux/v2.9.4@{}", domain::Digest::of(b"m"));
        let version = ReleaseFilter::Version("v2.9.4".parse().unwrap());
        assert_eq!(release("releases/flux/v2.9.4"), Ok(version));
        assert_eq!(release(&key), Ok(ReleaseFilter::Key(key.parse().unwrap())));
        assert_eq!(
            release(&format!("releases/{key}")),
            Ok(ReleaseFilter::Key(key.parse().unwrap()))
        );
        for bad in [
            "releases/",
            "flux",
            "releases/helm/v2.9.4",
            "releases/flux/2",
            "x",
        ] {
            assert_eq!(release(bad).unwrap_err().field, "release", "{bad}");
        }
    }

    #[test]
    fn tokens_read_back_and_foreign_ones_are_refused() {
        assert_eq!(read_token(""), Ok(0));
        assert_eq!(read_token(&token(77)), Ok(77));
        for bad in ["x", "AAAA", &token(u64::MAX)] {
            assert_eq!(read_token(bad).unwrap_err().field, "page_token", "{bad}");
        }
    }

    #[test]
    fn pages_are_bounded() {
        assert_eq!(page_size(0), Ok(50));
        assert_eq!(page_size(7), Ok(7));
        assert_eq!(page_size(100_000), Ok(1000));
        assert_eq!(page_size(-1).unwrap_err().field, "page_size");
    }

    #[test]
    fn other_filters_are_checked() {
        let with = |request: ListEntriesRequest| filter(&request).map_err(|invalid| invalid.field);
        let trace_id = "0A".repeat(16);
        let read = with(ListEntriesRequest {
            trace_id,
            ..Default::default()
        })
        .unwrap();
        assert_eq!(read.trace_id, Some("0a".repeat(16)));
        let cluster = "clusters/c1".to_owned();
        let read = with(ListEntriesRequest {
            cluster,
            ..Default::default()
        })
        .unwrap();
        assert_eq!(read.cluster.as_deref(), Some("c1"));
        let bad = ListEntriesRequest {
            trace_id: "0a".to_owned(),
            ..Default::default()
        };
        assert_eq!(with(bad), Err("trace_id"));
        let bad = ListEntriesRequest {
            decision: "0a".to_owned(),
            ..Default::default()
        };
        assert_eq!(with(bad), Err("decision"));
    }
}
