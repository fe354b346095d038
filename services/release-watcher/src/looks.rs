//! How the last look at the source went, for those who ask whether releases are still being found.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use runtime::errors::chain;
use wire::release::v1;

use crate::poll::PollError;

/// The last look; in memory alone, as another one follows every start.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<Last>);

#[derive(Debug, Clone, Default)]
struct Last {
    /// When it ended.
    ended: Option<Timestamp>,
    /// When the last one ended that went well.
    well: Option<Timestamp>,
    /// Reason code and text of what went wrong.
    problem: Option<(&'static str, String)>,
}

impl Looks {
    /// A look has ended.
    pub(crate) fn note(&self, now: Timestamp, error: Option<&PollError>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.ended = Some(now);
        last.problem = error.map(|error| (error.reason().code(), chain(error)));
        if error.is_none() {
            last.well = Some(now);
        }
    }

    /// As a message.
    pub(crate) fn source(&self, repository: &str) -> v1::ReleaseSource {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reason, problem) = last.problem.unwrap_or_default();
        v1::ReleaseSource {
            repository: repository.to_owned(),
            look_time: wire::time::optional_timestamp(last.ended),
            success_time: wire::time::optional_timestamp(last.well),
            reason: reason.to_owned(),
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_failed_says_why_and_when_the_last_good_one_was() {
        let (looks, second) = (Looks::default(), |n| Timestamp::constant(n, 0));
        let source = || looks.source("registry.example/manifests");
        assert_eq!(source().look_time, None, "nobody has looked yet");
        looks.note(second(1), None);
        let full = std::io::Error::other("disk is full");
        looks.note(second(2), Some(&PollError::View(bus::ViewError::Folder(full))));
        let failed = source();
        assert_eq!(failed.success_time, Some(wire::time::timestamp(second(1))));
        assert_eq!(failed.look_time, Some(wire::time::timestamp(second(2))));
        assert_eq!(failed.reason, "HUB_UNAVAILABLE");
        assert!(failed.problem.ends_with("disk is full"), "{}", failed.problem);
        looks.note(second(3), None);
        assert_eq!(
            (source().reason, source().problem),
            (String::new(), String::new())
        );
    }
}
