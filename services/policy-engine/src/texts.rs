//! Policy texts on the log: replicas decide by the log's text, not by their own file's.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bus::journal::JournalError;
use bus::{Fact, Journal, Turn, ViewError, subject};
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

impl InForce {
    /// Reads a text of the log. One that this version can't read is logged.
    pub(crate) fn read(fact: &Fact) -> Option<Self> {
        let document = document(fact)?;
        match Policy::parse(&document.policy.name, &document.text) {
            Ok(policy) => Some(Self {
                policy,
                text: document.text,
                sequence: fact.sequence,
            }),
            Err(error) => {
                tracing::error!(
                    policy = document.policy.name,
                    error = %runtime::errors::chain(&error),
                    "the policy on the log can't be read by this version"
                );
                None
            }
        }
    }
}

/// Publishes the text of one file, if it is for this process to do.
async fn publish_text(
    journal: &Journal,
    file: &wire::PolicyDocument,
    begun: &Begun,
) -> Result<(), TextError> {
    let name = &file.policy.name;
    let series = subject::policy_text(name, 1);
    let same = |fact: &Fact| document(fact).is_some_and(|found| found.policy == file.policy);
    if begun.contains(name) && journal.view().series(series.series()).await?.iter().any(same) {
        return Ok(());
    }
    let evaluate = |turn: Turn<'_>| (!turn.newest.is_some_and(same)).then(|| v1::PolicyText::from(file));
    let published = journal.series(series.series(), "", evaluate).await;
    published.map_err(|error| TextError::Journal(name.clone(), error))?;
    begun.insert(name);
    Ok(())
}

fn document(fact: &Fact) -> Option<wire::PolicyDocument> {
    wire::decode::<v1::PolicyText, _>(&fact.statement).ok()
}

/// The policies whose files this process has published since its start.
#[derive(Debug, Default)]
pub(crate) struct Begun(Mutex<BTreeSet<String>>);

impl Begun {
    fn contains(&self, name: &str) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(name)
    }

    fn insert(&self, name: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned());
    }
}

impl Engine {
    /// Publishes each file's text: once at the start where it is not the newest, for that is what an operator
    /// restarts a service with another file for; afterwards only where the log has never had it. So replicas
    /// with different files do not fight.
    pub(crate) async fn publish_texts(&self) {
        for file in &self.files {
            if let Err(error) = publish_text(&self.hub.journal, file, &self.begun).await {
                tracing::warn!(
                    policy = file.policy.name,
                    error = %runtime::errors::chain(&error),
                    "a policy could not be published"
                );
            }
        }
    }

    /// The policies in force, by name. A text on the log that this version can't read decides nothing.
    pub(crate) async fn in_force(&self) -> Result<Vec<Arc<InForce>>, ViewError> {
        let mut all = self.statements.texts.of(&self.hub.view).await?.to_vec();
        all.sort_by(|a, b| a.policy.id.name.cmp(&b.policy.id.name));
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
