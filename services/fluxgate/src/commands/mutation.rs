//! What everything that changes something has in common: an id, so that the same request can be sent again.

use domain::Reason;
use tonic::{Response, Status};

use super::Context;
use crate::cli::Mutation;
use crate::client::failed;
use crate::failure::Failure;
use crate::output::Sign;

/// The id of a request: the one that was given, or a new one.
pub(super) fn request_id(mutation: &Mutation, context: &Context<'_>) -> String {
    let id = mutation.request_id.unwrap_or_else(uuid::Uuid::new_v4).to_string();
    context.screen.detail(&format!("request id: {id}"));
    id
}

/// The answer of a mutation. Where it is not known whether it was stored, the same request can be sent again.
pub(super) async fn answer<T>(
    context: &Context<'_>,
    id: &str,
    doing: String,
    asking: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    match asking.await.map_err(failed(doing)) {
        Ok(answer) => Ok(answer.into_inner()),
        Err(failure) => {
            // A registry that is away is an answer: it says that nothing was stored.
            let told = failure.reason().as_deref() == Some(Reason::RegistryUnreachable.code());
            if failure.stored_nothing() {
                context
                    .screen
                    .hint(Sign::Warning, "nothing was stored by this call");
            } else if failure.retryable() && !told {
                let hint = "it is not known whether this was stored; the same again is stored once: add";
                context
                    .screen
                    .hint(Sign::Warning, &format!("{hint} --request-id {id}"));
            }
            Err(failure)
        }
    }
}
