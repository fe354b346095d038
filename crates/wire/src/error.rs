//! Why a message is refused.

use attest::ClaimError;
use domain::BaselineKey;
use domain::baseline::ParseBaselineKeyError;
use domain::component::ParseComponentError;
use domain::digest::ParseDigestError;
use domain::evidence::ParseCheckKindError;
use domain::fleet::ParseClusterNameError;
use domain::image::ParseImageRefError;
use domain::reason::ParseReasonError;
use domain::release::ParseReleaseKeyError;
use domain::rollout::ParseRolloutKeyError;
use domain::stop::ParseStopScopeError;
use domain::version::ParseVersionError;

use crate::ParseScopeError;

/// Why a message is no value of the domain. `field` is the message and its field as in `proto/`, like
/// `Decision.policy_digest`; an enum that stands alone is named by its type.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Absent, empty, or zero where zero means that there is none.
    #[error("{field} is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A text that is not what it has to be.
    #[error("{field} is malformed")]
    Malformed {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: Malformed,
    },
    /// An enum that is unspecified or of no known value.
    #[error("{field} has the enum value {value}, which says nothing")]
    Enum {
        /// The field.
        field: &'static str,
        /// The value.
        value: i32,
    },
    /// A time outside of the years 1 to 9999, or not normalised (protobuf, `timestamp.proto`).
    #[error("{field} is no time")]
    Time {
        /// The field.
        field: &'static str,
    },
    /// A duration that is negative or not normalised (protobuf, `duration.proto`).
    #[error("{field} is no duration")]
    Duration {
        /// The field.
        field: &'static str,
    },
    /// The same key twice.
    #[error("{field} holds the same twice")]
    Duplicate {
        /// The field.
        field: &'static str,
    },
    /// A field is set that does not belong to what the rest of the message says.
    #[error("{field} is set where it has no meaning")]
    Unexpected {
        /// The field.
        field: &'static str,
    },
    /// A digest differs from the one that the rest of the message has.
    #[error("{field} is not the digest of what the message holds")]
    Digest {
        /// The field.
        field: &'static str,
    },
    /// The key of a baseline is not the one that its images and CRDs have.
    #[error("{field} is {claimed}, but the contents have the key {computed}")]
    Baseline {
        /// The field.
        field: &'static str,
        /// The key in the message.
        claimed: BaselineKey,
        /// The key of its contents.
        computed: BaselineKey,
    },
}

impl WireError {
    /// The field that was refused.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Missing { field }
            | Self::Malformed { field, .. }
            | Self::Enum { field, .. }
            | Self::Time { field }
            | Self::Duration { field }
            | Self::Duplicate { field }
            | Self::Unexpected { field }
            | Self::Digest { field }
            | Self::Baseline { field, .. } => field,
        }
    }

    /// Never: the same message is refused again.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        false
    }
}

/// What a text has to be and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A digest.
    #[error(transparent)]
    Digest(#[from] ParseDigestError),
    /// A version.
    #[error(transparent)]
    Version(#[from] ParseVersionError),
    /// A component or an artifact.
    #[error(transparent)]
    Component(#[from] ParseComponentError),
    /// An image reference.
    #[error(transparent)]
    Image(#[from] ParseImageRefError),
    /// A reason code.
    #[error(transparent)]
    Reason(#[from] ParseReasonError),
    /// A kind of check.
    #[error(transparent)]
    Check(#[from] ParseCheckKindError),
    /// The name of a cluster.
    #[error(transparent)]
    Cluster(#[from] ParseClusterNameError),
    /// The key of a release.
    #[error(transparent)]
    Release(#[from] ParseReleaseKeyError),
    /// The key of a rollout.
    #[error(transparent)]
    Rollout(#[from] ParseRolloutKeyError),
    /// The key of a baseline.
    #[error(transparent)]
    Baseline(#[from] ParseBaselineKeyError),
    /// The scope of a mode.
    #[error(transparent)]
    Scope(#[from] ParseScopeError),
    /// The scope of a stop.
    #[error(transparent)]
    StopScope(#[from] ParseStopScopeError),
}

/// Why a statement does not say what it was read for.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It makes another claim, or its predicate is not ProtoJSON of the claim's message.
    #[error("reading the claim of a statement")]
    Claim(#[from] ClaimError),
    /// The message is no value of the domain.
    #[error("converting the claim of a statement")]
    Wire(#[from] WireError),
}

impl ReadError {
    /// Never: the same statement is refused again.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        false
    }
}
