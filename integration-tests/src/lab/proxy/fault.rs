//! What can go wrong between a client and an API server, and for which requests.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::json;

/// Which requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbs {
    /// All.
    Any,
    /// `GET`: reads and lists.
    Reads,
    /// Everything else but dry runs.
    Writes,
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum What {
    /// It reaches the API server late.
    Delay(Duration),
    /// It does not reach the API server; this is the answer.
    Answer(Refusal),
    /// It is carried out, and the answer is lost.
    Lose,
    /// It is carried out, and the connection ends after so many bytes of the answer's body, or half of them.
    Cut(usize),
}

/// An answer in the API server's place.
#[derive(Debug, Clone)]
pub struct Refusal {
    code: u16,
    reason: &'static str,
    retry_after: Option<u32>,
    /// A load balancer's words instead of a Status.
    foreign: bool,
}

impl What {
    /// A Status with this code and reason, as API servers answer.
    #[must_use]
    pub const fn status(code: u16, reason: &'static str) -> Self {
        Self::Answer(Refusal {
            code,
            reason,
            retry_after: None,
            foreign: false,
        })
    }

    /// 429 with a time to wait in header and Status, as priority and fairness answers.
    #[must_use]
    pub const fn too_many(seconds: u32) -> Self {
        Self::Answer(Refusal {
            code: 429,
            reason: "TooManyRequests",
            retry_after: Some(seconds),
            foreign: false,
        })
    }

    /// This code with a page of HTML, as a load balancer answers.
    #[must_use]
    pub const fn page(code: u16) -> Self {
        Self::Answer(Refusal {
            code,
            reason: "",
            retry_after: None,
            foreign: true,
        })
    }
}

impl Refusal {
    pub(super) fn response(&self) -> Response {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": format!("the lab's fault {}", self.code), "reason": self.reason, "code": self.code,
            "details": { "retryAfterSeconds": self.retry_after.unwrap_or_default() },
        });
        let (kind, body) = if self.foreign {
            (
                "text/html",
                "<html><body>upstream unhappy</body></html>".to_owned(),
            )
        } else {
            ("application/json", status.to_string())
        };
        let mut builder = Response::builder().status(self.code).header("content-type", kind);
        if let Some(seconds) = self.retry_after {
            builder = builder.header("retry-after", seconds);
        }
        builder.body(Body::from(body)).unwrap_or_else(|_malformed| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }
}

/// A fault: what, for which requests, how often.
#[derive(Debug, Clone)]
pub struct Fault {
    verbs: Verbs,
    /// A part of the path with query; any where empty.
    part: &'static str,
    what: What,
    /// How often it still strikes; for ever where there is none.
    left: Option<u32>,
    /// Whether it strikes each path once.
    each: Option<std::collections::BTreeSet<String>>,
}

impl Fault {
    /// Strikes these requests until it is healed.
    #[must_use]
    pub const fn new(verbs: Verbs, part: &'static str, what: What) -> Self {
        Self {
            verbs,
            part,
            what,
            left: None,
            each: None,
        }
    }

    /// Strikes so often and no more.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self {
            left: Some(times),
            ..self
        }
    }

    /// Strikes each path once: the first request of each object.
    #[must_use]
    pub fn once_each(self) -> Self {
        Self {
            each: Some(std::collections::BTreeSet::new()),
            ..self
        }
    }

    pub(super) const fn left(&self) -> Option<u32> {
        self.left
    }

    /// What happens to this request, if this fault strikes it.
    pub(super) fn strikes(&mut self, method: &Method, path: &str) -> Option<What> {
        let read = method == Method::GET;
        let wanted = match self.verbs {
            Verbs::Any => true,
            Verbs::Reads => read,
            Verbs::Writes => !read && !path.contains("dryRun=All"),
        };
        let over = self.left == Some(0);
        if !wanted || over || !path.contains(self.part) {
            return None;
        }
        if let Some(struck) = &mut self.each
            && !struck.insert(format!("{method} {path}"))
        {
            return None;
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        Some(self.what.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_what_it_names_as_often_as_it_says() {
        let mut fault = Fault::new(Verbs::Writes, "/leases/", What::Lose).times(1);
        assert!(fault.strikes(&Method::GET, "/apis/x/leases/a").is_none());
        assert!(
            fault
                .strikes(&Method::PATCH, "/apis/x/leases/a?dryRun=All")
                .is_none()
        );
        assert!(fault.strikes(&Method::PATCH, "/apis/x/pods/a").is_none());
        assert!(fault.strikes(&Method::PATCH, "/apis/x/leases/a").is_some());
        assert!(fault.strikes(&Method::PATCH, "/apis/x/leases/a").is_none());
        let mut each = Fault::new(Verbs::Any, "", What::status(409, "Conflict")).once_each();
        assert!(each.strikes(&Method::GET, "/a").is_some());
        assert!(each.strikes(&Method::GET, "/a").is_none());
        assert!(each.strikes(&Method::GET, "/b").is_some());
    }
}
