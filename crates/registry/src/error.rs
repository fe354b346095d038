//! What a fetch was, of what, and why it failed.

use std::fmt;
use std::time::Duration;

use domain::Digest;

/// A failed call. `Display` names operation and object; the [`Failure`] is the source.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {object}")]
pub struct Error {
    /// What was attempted.
    pub operation: Operation,
    /// Upstream name of the object.
    pub object: String,
    /// Why it failed.
    #[source]
    pub failure: Failure,
}

/// What was attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The list of tags of a repository.
    Tags,
    /// An index or image manifest.
    Manifest,
    /// A blob.
    Blob,
    /// The signatures of an image.
    Signatures,
    /// The platforms below an image index.
    Image,
    /// The layer of a `flux-manifests` artifact.
    FluxManifests,
}

/// Why a call failed. A missing tag is no failure: calls that take one answer with nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The repository is not an upstream name with registry host.
    #[error("repository is not a registry host and lower-case path segments")]
    Repository,
    /// The connection failed.
    #[error("talking to the registry")]
    Transport(#[source] reqwest::Error),
    /// The call did not end in time.
    #[error("no complete answer within {}s", .0.as_secs_f64())]
    Deadline(Duration),
    /// An answer that is neither the object nor one that is known.
    #[error("registry answered with HTTP status {0}")]
    Status(u16),
    /// An object that something else names does not exist.
    #[error("registry has no such object")]
    Missing,
    /// Anonymous access is refused, or the registry's token challenge cannot be followed.
    #[error("registry does not let us read anonymously: {0}")]
    Denied(Denial),
    /// A redirect or next page leads where we do not go.
    #[error("registry leads to {0}, which is neither https nor loopback to loopback, or one hop too far")]
    Redirect(String),
    /// The body is longer than its cap.
    #[error("body is longer than {cap} bytes")]
    TooLarge {
        /// The cap in bytes.
        cap: u64,
    },
    /// The bytes are not what their digest names.
    #[error("bytes have digest {found} instead of {wanted}")]
    DigestMismatch {
        /// What was asked for.
        wanted: Digest,
        /// What came.
        found: Digest,
    },
    /// Not the JSON that the OCI image-spec or distribution-spec describes.
    #[error("answer is not the JSON that it should be")]
    Json(#[source] serde_json::Error),
    /// Well-formed JSON that contradicts the OCI image-spec or what we accept of it.
    #[error("{0}")]
    Malformed(&'static str),
    /// More items than are plausible.
    #[error("more than {cap} {what}")]
    TooMany {
        /// The items.
        what: &'static str,
        /// The cap.
        cap: usize,
    },
}

/// Why anonymous access did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The registry says no.
    Refused,
    /// `WWW-Authenticate` is no bearer challenge with a realm.
    Challenge,
    /// The realm is neither https nor loopback.
    Realm,
    /// The token service did not answer with a token.
    Token,
}

impl Error {
    pub(crate) fn new(operation: Operation, object: impl fmt::Display, failure: Failure) -> Self {
        Self {
            operation,
            object: object.to_string(),
            failure,
        }
    }

    /// Whether the same call may succeed later. What is not retryable is a fact about the object.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match &self.failure {
            Failure::Transport(_) | Failure::Deadline(_) | Failure::Missing => true,
            Failure::Status(status) => matches!(status, 408 | 425 | 429 | 500..=599),
            Failure::Denied(denial) => *denial == Denial::Token,
            Failure::Repository
            | Failure::Redirect(_)
            | Failure::TooLarge { .. }
            | Failure::DigestMismatch { .. }
            | Failure::Json(_)
            | Failure::Malformed(_)
            | Failure::TooMany { .. } => false,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tags => "listing tags of",
            Self::Manifest => "fetching manifest of",
            Self::Blob => "fetching blob of",
            Self::Signatures => "fetching signatures of",
            Self::Image => "resolving image",
            Self::FluxManifests => "fetching manifests artifact",
        })
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "it refused",
            Self::Challenge => "its challenge is not a bearer realm",
            Self::Realm => "its token realm is neither https nor loopback",
            Self::Token => "its token service gave no token",
        })
    }
}

/// A transport failure without its address, which may hold a signed query.
pub(crate) fn transport(error: reqwest::Error) -> Failure {
    Failure::Transport(error.without_url())
}
