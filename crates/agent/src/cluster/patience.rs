//! Asking an API server again. A request that was turned away or whose answer was lost is made again, a few times
//! and for some seconds in all; whatever lasts longer is the loop's to wait for, which speaks and is seen meanwhile.
//!
//! The client library's own retry is off: it waits for as long as an answer's `Retry-After` says, unseen.

use std::time::Duration;

use tokio::time::Instant;

/// Pauses before the second, third and fourth try.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(500),
    Duration::from_secs(2),
];

/// No answer's own wish is waited for longer, and what took longer to fail is not tried again here.
const LONGEST: Duration = Duration::from_secs(5);

/// Makes a request, and again where that may help soon. It must be one that may be carried out twice.
pub(crate) async fn patiently<T>(ask: impl AsyncFn() -> Result<T, kube::Error>) -> Result<T, kube::Error> {
    for pause in PAUSES {
        let begun = Instant::now();
        match ask().await {
            Err(error) if passes(&error) && begun.elapsed() < LONGEST => {
                let pause = pause.max(wish(&error).min(LONGEST));
                tracing::debug!(?pause, error = %super::Answer::from(error), "asking again");
                tokio::time::sleep(pause).await;
            }
            answer => return answer,
        }
    }
    ask().await
}

/// Whether an error may pass within seconds. A 409 is one only where no manager of fields is named: somebody
/// was faster.
fn passes(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => match status.code {
            408 | 410 | 429 | 502 | 503 | 504 => true,
            409 => super::conflicts(error).is_empty(),
            // An unknown field in an apply is refused with an empty reason.
            500 => !status.reason.is_empty(),
            _ => false,
        },
        kube::Error::HyperError(_)
        | kube::Error::Service(_)
        | kube::Error::ReadEvents(_)
        | kube::Error::SerdeError(_) => true,
        _ => false,
    }
}

/// How long the API server asks to be left alone.
fn wish(error: &kube::Error) -> Duration {
    let seconds = match error {
        kube::Error::Api(status) => status
            .details
            .as_ref()
            .map_or(0, |details| details.retry_after_seconds),
        _ => 0,
    };
    Duration::from_secs(seconds.into())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kube::core::Status;

    use super::*;

    fn answer(value: serde_json::Value) -> kube::Error {
        let status: Status = serde_json::from_value(value).unwrap();
        kube::Error::Api(Box::new(status))
    }

    fn refusal(code: u16, reason: &str) -> kube::Error {
        answer(serde_json::json!({"status": "Failure", "code": code, "reason": reason, "message": ""}))
    }

    #[test]
    fn what_a_fact_is_is_not_asked_again() {
        for (code, reason) in [
            (401, "Unauthorized"),
            (403, "Forbidden"),
            (404, "NotFound"),
            (422, "Invalid"),
        ] {
            assert!(!passes(&refusal(code, reason)), "{code}");
        }
        assert!(!passes(&refusal(500, "")));
        assert!(passes(&refusal(500, "InternalError")));
        assert!(passes(&refusal(409, "Conflict")));
        let managers = serde_json::json!({"status": "Failure", "code": 409, "reason": "Conflict", "message": "",
            "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".spec", "message": "conflict with \"x\""}]}});
        assert!(!passes(&answer(managers)));
    }

    #[test]
    fn a_wish_is_capped() {
        let wanted = serde_json::json!({"status": "Failure", "code": 429, "reason": "TooManyRequests",
            "message": "", "details": {"retryAfterSeconds": 3600}});
        let error = answer(wanted);
        assert_eq!(wish(&error), Duration::from_secs(3600));
        assert!(PAUSES.into_iter().sum::<Duration>() < LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_made_a_few_times_and_no_more() {
        let asked = AtomicUsize::new(0);
        let ask = async || {
            asked.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(refusal(503, "ServiceUnavailable"))
        };
        assert!(patiently(ask).await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 4);
        let asked = AtomicUsize::new(0);
        let ask = async || match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Err(refusal(429, "TooManyRequests")),
            n => Ok(n),
        };
        assert_eq!(patiently(ask).await.unwrap(), 1);
    }
}
