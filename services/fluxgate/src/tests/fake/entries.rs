//! Which entries a filter lets through: as the ledger does it, or by a word in the summary, which is shorter to
//! write down in tests.

use wire::audit::v1::{Entry, ListEntriesRequest};

use super::release_matches;

pub(super) fn wanted(all: &[Entry], request: &ListEntriesRequest) -> Vec<Entry> {
    all.iter()
        .filter(|entry| is_wanted(all, entry, request))
        .cloned()
        .collect()
}

fn is_wanted(all: &[Entry], entry: &Entry, request: &ListEntriesRequest) -> bool {
    let says = |word: &str| entry.summary.contains(word);
    let equal = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
    let cluster = request.cluster.trim_start_matches("clusters/");
    equal(&request.trace_id, &entry.trace_id)
        && equal(&request.kind, &entry.kind)
        && (equal(cluster, &entry.cluster) || says(cluster))
        && (equal(&request.decision, &entry.decision) || says(&request.decision))
        && (request.release.is_empty()
            || of_release(all, entry, &request.release)
            || says(request.release.trim_start_matches("releases/")))
}

/// About the release, or a step of a rollout to it.
fn of_release(all: &[Entry], entry: &Entry, name: &str) -> bool {
    let about = |entry: &Entry| !entry.release.is_empty() && release_matches(name, &entry.release);
    let started =
        |other: &Entry| other.kind == "rollout-started" && other.rollout == entry.rollout && about(other);
    about(entry) || (!entry.rollout.is_empty() && all.iter().any(started))
}
