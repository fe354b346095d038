//! What an API server did not do, and whether asking again may help.

use domain::Reason;

/// What an API server did not do.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig can't be used.
    #[error("reading the kubeconfig")]
    Kubeconfig(#[source] kube::config::KubeconfigError),
    /// There is no kubeconfig, and this is no pod.
    #[error("reading the in-cluster configuration; outside of a cluster name a kubeconfig")]
    InCluster(#[source] kube::config::InClusterError),
    /// A client can't be made from it.
    #[error("connecting to the API server")]
    Connect(#[source] Box<kube::Error>),
    /// A read failed.
    #[error("reading {what}")]
    Read {
        /// What was read.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The kind is not served.
    #[error("the API server does not serve {0}")]
    Kind(String),
    /// Another manager owns a field.
    #[error("applying {object} as manager {manager} meets fields of others")]
    Conflict {
        /// The object.
        object: String,
        /// The manager that applied.
        manager: String,
        /// Field and owner of each conflict.
        causes: Vec<(String, String)>,
    },
    /// The API server refused an object.
    #[error("applying {object}")]
    Apply {
        /// The object.
        object: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// Something that was read is not of a known form.
    #[error("reading {object} as an object of Flux")]
    Form {
        /// The object.
        object: String,
    },
    /// Somebody changed an object between reading and writing it, or holds the Lease.
    #[error("{object} is held by {holder}")]
    Held {
        /// The object.
        object: &'static str,
        /// Who holds it.
        holder: String,
    },
}

impl ClusterError {
    /// Whether asking again may help. A refused object is refused again.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Kubeconfig(_)
            | Self::InCluster(_)
            | Self::Kind(_)
            | Self::Conflict { .. }
            | Self::Form { .. } => false,
            Self::Connect(_) | Self::Held { .. } => true,
            Self::Read { source, .. } | Self::Apply { source, .. } => match source.as_ref() {
                // A 500 with an empty reason is how an unknown field in an apply is refused: for good.
                kube::Error::Api(status) => {
                    matches!(status.code, 409 | 410 | 429 | 502 | 503 | 504)
                        || (status.code == 500 && !status.reason.is_empty())
                }
                _ => true,
            },
        }
    }

    /// The reason code of a refusal for good.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Conflict { .. } => Reason::Customised,
            Self::Kubeconfig(_)
            | Self::InCluster(_)
            | Self::Connect(_)
            | Self::Read { .. }
            | Self::Kind(_)
            | Self::Apply { .. }
            | Self::Form { .. }
            | Self::Held { .. } => Reason::ApplyFailed,
        }
    }
}
