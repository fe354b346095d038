//! What requests were answered, so that the same request gets the same answer.
//!
//! In memory alone: a poll that is done twice announces nothing twice, so all that a restart forgets is which of the
//! releases were new to the first one.

use std::collections::VecDeque;

use uuid::Uuid;

use crate::poll::Found;

/// Answers that are kept. Whoever has heard none asks again within minutes.
const KEPT: usize = 256;

/// The newest answers, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Answered(VecDeque<(Uuid, Found)>);

impl Answered {
    /// What this request was answered.
    pub(crate) fn find(&self, request: Uuid) -> Option<&Found> {
        let found = self.0.iter().find(|(answered, _)| *answered == request);
        found.map(|(_, found)| found)
    }

    /// Keeps the answer to a request.
    pub(crate) fn keep(&mut self, request: Uuid, found: Found) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back((request, found));
    }
}

#[cfg(test)]
mod tests {
    use domain::{Digest, ReleaseKey, Version};

    use super::*;

    #[test]
    fn the_same_request_is_answered_the_same_and_old_ones_are_forgotten() {
        let release = |n: u64| ReleaseKey {
            version: Version::new(2, 9, n),
            manifests: Digest::of(b"m"),
        };
        let found = |n: u64| Found {
            releases: vec![release(n)],
            announced: vec![release(n)],
        };
        let mut answered = Answered::default();
        for n in 0..=KEPT as u64 {
            answered.keep(Uuid::from_u64_pair(n, 0), found(n));
        }
        let last = answered.find(Uuid::from_u64_pair(KEPT as u64, 0)).unwrap();
        assert_eq!(last.announced, [release(KEPT as u64)]);
        assert!(answered.find(Uuid::from_u64_pair(0, 0)).is_none());
        assert!(answered.find(Uuid::from_u64_pair(1, 0)).is_some());
        assert_eq!(answered.0.len(), KEPT);
    }
}
