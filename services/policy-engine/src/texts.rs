//! Policy texts on the log: replicas decide by the log's text, not by their own file's.

use std::collections::BTreeMap;

use bus::journal::JournalError;
use bus::{Area, Fact, Turn, ViewError, subject};
use policy::Policy;
use wire::policy::v1;

use crate::Engine;

/// Why the policies in force are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TextError {
    #[error("reading the view")]
    View(#[from] ViewError),
    #[error("publishing policy {0}")]
    Journal(String, #[source] JournalError),
}

/// A policy in force.
#[derive(Debug, Clone)]
pub(crate) struct InForce {
    pub(crate) policy: Policy,
    pub(crate) text: String,
    /// When it was published.
    pub(crate) sequence: u64,
}

fn document(fact: &Fact) -> Option<wire::PolicyDocument> {
    wire::decode::<v1::PolicyText, _>(&fact.statement).ok()
}

impl Engine {
    /// Publishes each file's text that is not the newest on the log.
    pub(crate) async fn publish_texts(&self) -> Result<(), TextError> {
        for file in &self.files {
            let name = &file.policy.name;
            let series = subject::policy_text(name, 1);
            let evaluate = |turn: Turn<'_>| {
                let newest = turn.newest.and_then(document);
                let same = newest.is_some_and(|newest| newest.policy == file.policy);
                (!same).then(|| v1::PolicyText::from(file))
            };
            let published = self.hub.journal.series(series.series(), "", evaluate).await;
            published.map_err(|error| TextError::Journal(name.clone(), error))?;
        }
        Ok(())
    }

    /// The policies in force, by name. A text on the log that this version can't read decides nothing.
    pub(crate) async fn in_force(&self) -> Result<BTreeMap<String, InForce>, TextError> {
        let mut policies = BTreeMap::new();
        for fact in self.hub.view.list(Area::Policy, "text").await? {
            let Some(document) = document(&fact) else { continue };
            match Policy::parse(&document.policy.name, &document.text) {
                Ok(policy) => {
                    let in_force = InForce {
                        policy,
                        text: document.text,
                        sequence: fact.sequence,
                    };
                    policies.insert(document.policy.name, in_force);
                }
                Err(error) => tracing::error!(
                    policy = document.policy.name,
                    error = %runtime::errors::chain(&error),
                    "the policy on the log can't be read by this version"
                ),
            }
        }
        Ok(policies)
    }
}
