//! A call that takes too long ends with DEADLINE_EXCEEDED.
//!
//! tonic's own time-outs, the server's and the client's `grpc-timeout` alike, answer `CANCELLED "Timeout
//! expired"` from outside every layer that we could add. So the server sets none, and this layer starts its
//! timer before tonic starts the one for `grpc-timeout`: it is the first to end.
//!
//! The handler is dropped at the deadline; what must finish is spawned by the handler. The body of a
//! streamed response is not limited.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::bare::with_reason;

/// Puts [`Deadline`] around a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeadlineLayer {
    limit: Duration,
}

/// A service whose calls end at the shorter of its own limit and the client's.
#[derive(Debug, Clone)]
pub(crate) struct Deadline<S> {
    inner: S,
    limit: Duration,
}

impl DeadlineLayer {
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Deadline {
            inner,
            limit: self.limit,
        }
    }
}

impl<S> Service<Request<Body>> for Deadline<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let limit = asked_for(request.headers()).map_or(self.limit, |asked| asked.min(self.limit));
        let expired = tokio::time::sleep(limit);
        let answer = self.inner.call(request);
        Box::pin(async move {
            tokio::select! {
                biased;
                answer = answer => answer.map(with_reason),
                () = expired => Ok(with_reason(exceeded(limit).into_http())),
            }
        })
    }
}

fn exceeded(limit: Duration) -> Status {
    Status::new(
        Code::DeadlineExceeded,
        format!("no response within {}s", limit.as_secs_f64()),
    )
}

/// `grpc-timeout`: at most eight digits and a unit (gRPC over HTTP/2, "Requests").
fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let unit = text.chars().next_back().filter(char::is_ascii)?;
    let digits = text.strip_suffix(unit)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(amount * 3600)),
        'M' => Some(Duration::from_secs(amount * 60)),
        'S' => Some(Duration::from_secs(amount)),
        'm' => Some(Duration::from_millis(amount)),
        'u' => Some(Duration::from_micros(amount)),
        'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_deadline_of_a_client() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            asked_for(&headers)
        };
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(read("50m"), Some(Duration::from_millis(50)));
        assert_eq!(read("7n"), Some(Duration::from_nanos(7)));
        for bad in ["", "m", "123456789m", "1x", "-1m", "1.5S"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
