//! Every decision that stands on the log, made again from what was stored of it: the same, byte for byte.

use std::collections::BTreeMap;

use bus::blobs::Blobs;
use bus::{Fact, Subject};
use domain::Decision;
use policy_engine::replay::replay;
use wire::policy::v1;

/// How many decisions there are, all of them the same when made again.
///
/// # Errors
/// With the first that has no stored inputs, or does not follow from them.
pub(crate) async fn all(facts: &BTreeMap<Subject, Fact>, blobs: &Blobs) -> Result<usize, String> {
    let decisions = facts.values().filter(|fact| fact.subject.step() == "decision");
    let mut seen = 0;
    for fact in decisions {
        let subject = &fact.subject;
        let decision: Decision = wire::decode::<v1::Decision, _>(&fact.statement)
            .map_err(|error| format!("{subject} can't be read: {error}"))?;
        let stored = blobs.get(decision.inputs).await;
        let inputs = stored
            .map_err(|error| format!("the inputs of {subject} can't be got: {error}"))?
            .ok_or_else(|| format!("{subject} rests on {}, which nobody has", decision.inputs))?;
        let again = replay(&inputs, &fact.envelope)
            .map_err(|error| format!("{subject} can't be made again: {error}"))?;
        if let Some(first) = again.differences.first() {
            return Err(format!("{subject} does not follow from its inputs: {first:?}"));
        }
        seen += 1;
    }
    Ok(seen)
}
