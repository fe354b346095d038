//! A discovered release, from message to outcome.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::{Handler, Outcome, Stored, Worker};
use hub::Hub;
use jiff::Timestamp;

use crate::release::{Ask, Attempt, ReleaseError};
use crate::{NAME, Verifier};

/// A registry that did not answer is asked again after this; the worker lets the delay grow.
const RETRY: Duration = Duration::from_secs(2);

struct Discovered(Arc<Verifier>);

/// Follows the releases that were discovered.
pub(crate) async fn worker(hub: Hub, verifier: Arc<Verifier>) {
    let filters = vec!["fluxgate.v1.release.*.discovered.*".to_owned()];
    let worker = Worker::new(hub.client, NAME, filters, Arc::new(Discovered(verifier)));
    if let Err(error) = worker.run(hub.shutdown.token()).await {
        tracing::error!(error = %runtime::errors::chain(&error), "releases are not followed any more");
    }
}

#[async_trait]
impl Handler for Discovered {
    async fn handle(&self, delivery: &Stored, _attempt: u64) -> Outcome {
        handled(&self.0, delivery, self.0.clock.now()).await
    }
}

/// What comes of a hint. What counts of it is the release that it points at, and that is found out again.
pub(crate) async fn handled(verifier: &Verifier, delivery: &Stored, now: Timestamp) -> Outcome {
    let hint = attest::Statement::parse(&delivery.payload)
        .ok()
        .and_then(|statement| {
            wire::decode::<wire::release::v1::ReleaseDiscovered, wire::Discovered>(&statement).ok()
        });
    let Some(hint) = hint else {
        return Outcome::Reject {
            reason: "the payload is no ReleaseDiscovered".to_owned(),
        };
    };
    let own = bus::subject::release_discovered(&hint.release).to_string();
    if own != delivery.subject {
        return Outcome::Reject {
            reason: format!("the hint speaks of {own}"),
        };
    }
    match verifier
        .verify(&hint.release, delivery.time, Ask::time(now))
        .await
    {
        Ok(Attempt::Summarised { .. }) => Outcome::Ack,
        // What is not there or not signed yet is a matter of hours: a timer's, not a redelivery's.
        Ok(Attempt::Early { .. }) => {
            verifier.releases.failed(hint.release, now);
            Outcome::Ack
        }
        Err(error) => retry(&error),
    }
}

fn retry(error: &ReleaseError) -> Outcome {
    Outcome::Retry {
        after: RETRY,
        reason: runtime::errors::chain(error),
    }
}
