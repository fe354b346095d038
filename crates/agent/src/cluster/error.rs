//! What an API server did not do, and whether asking again may help.

use std::error::Error;
use std::fmt;

use domain::Reason;
use runtime::errors::chain;

/// No message is longer, in characters: a load balancer answers with a page.
const LONGEST: usize = 300;

/// What an API server answered instead, or what happened to the request, in one line: the client library's own
/// text spells out every empty field of a Status.
#[derive(Debug)]
pub struct Answer(Box<kube::Error>);

impl Answer {
    /// The client library's error.
    #[must_use]
    pub fn kube(&self) -> &kube::Error {
        &self.0
    }
}

impl From<kube::Error> for Answer {
    fn from(error: kube::Error) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kube() {
            kube::Error::Api(status) => {
                let line = status.message.lines().next().unwrap_or_default();
                let end = line
                    .char_indices()
                    .nth(LONGEST)
                    .map_or(line.len(), |(end, _)| end);
                let text = line.get(..end).unwrap_or_default();
                write!(f, "{text} (HTTP {} {})", status.code, status.reason)
            }
            other => f.write_str(&chain(other)),
        }
    }
}

/// The text says all of it.
impl Error for Answer {}

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
        source: Answer,
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
        source: Answer,
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
            // What could not be read is not known: no fact about the step, whatever the answer was.
            Self::Connect(_) | Self::Held { .. } | Self::Read { .. } => true,
            Self::Apply { source, .. } => match source.kube() {
                // A 500 with an empty reason is how an unknown field in an apply is refused: for good. A 401
                // says that a token has ended, and the next one is read from its file.
                kube::Error::Api(status) => {
                    matches!(status.code, 401 | 408 | 409 | 410 | 429 | 502 | 503 | 504)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_line_without_empty_fields() {
        let status = serde_json::json!({
            "status": "Failure", "code": 429, "reason": "TooManyRequests", "message": "the server is busy"
        });
        let answer: Answer = kube::Error::Api(serde_json::from_value(status).unwrap()).into();
        assert_eq!(
            answer.to_string(),
            "the server is busy (HTTP 429 TooManyRequests)"
        );
        let read = ClusterError::Read {
            what: "pods",
            source: answer,
        };
        assert_eq!(
            chain(&read),
            "reading pods: the server is busy (HTTP 429 TooManyRequests)"
        );
        assert!(read.retryable());
    }
}
