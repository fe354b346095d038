//! What each agent reads: its newest assignment with every statement that it names, in the bucket
//! `assignments`. A projection: written again whenever it differs, never backwards. Clusters that left the
//! fleet have theirs too: it is how they learn that they are to begin nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;

use attest::Dossier;
use bus::ViewError;
use bus::buckets::BucketError;
use bytes::Bytes;
use domain::assignment::StatementRef;
use domain::{Assignment, ClusterName};
use runtime::errors::chain;

use crate::Controller;
use crate::fold::Course;

/// What this process wrote last; the bucket itself is compared every time.
#[derive(Debug, Default)]
pub(crate) struct Written(Mutex<BTreeMap<ClusterName, Bytes>>);

impl Written {
    /// Forgets everything: another replica may have written since.
    pub(crate) fn forget(&self) {
        if let Ok(mut written) = self.0.lock() {
            written.clear();
        }
    }
}

/// Why an agent's assignment was not written.
#[derive(Debug, thiserror::Error)]
enum DossierError {
    #[error("reading the view")]
    View(#[from] ViewError),
    #[error("writing the assignment of {0}")]
    Bucket(ClusterName, #[source] BucketError),
}

impl Controller {
    /// Writes what differs, and wakes those agents. One that can't be written holds up no other.
    pub(crate) async fn write_dossiers(&self) -> Result<(), ViewError> {
        let (courses, _) = self.folded().await?;
        for (cluster, course) in &courses {
            if let Err(error) = self.write_dossier(cluster, course).await {
                tracing::warn!(%cluster, error = %chain(&error), "an agent's assignment could not be written");
            }
        }
        Ok(())
    }

    async fn write_dossier(&self, cluster: &ClusterName, course: &Course) -> Result<(), DossierError> {
        match self.dossier(course).await? {
            Some(dossier) => self.write(cluster, Bytes::from(dossier.to_bytes())).await,
            None => Ok(()),
        }
    }

    async fn write(&self, cluster: &ClusterName, wanted: Bytes) -> Result<(), DossierError> {
        let failed = |error| DossierError::Bucket(cluster.clone(), error);
        let found = self.hub.assignments.get(cluster.as_str()).await.map_err(failed)?;
        if found.as_ref().is_some_and(|found| found.value == wanted) {
            return Ok(());
        }
        let ours = self
            .dossiers
            .0
            .lock()
            .ok()
            .and_then(|written| written.get(cluster).cloned());
        if found.is_some() && ours.as_ref() == Some(&wanted) {
            tracing::error!(%cluster, "somebody else wrote the assignment of this cluster; writing it again");
        }
        self.hub
            .assignments
            .put(cluster.as_str(), wanted.clone())
            .await
            .map_err(failed)?;
        if let Ok(mut written) = self.dossiers.0.lock() {
            written.insert(cluster.clone(), wanted);
        }
        if let Err(error) = bus::agent::wake(&self.hub.client, cluster).await {
            tracing::debug!(%cluster, error = %chain(&error), "the agent was not woken; it looks by itself");
        }
        Ok(())
    }

    /// The dossier of a course; `None` while a statement that it names is not in the view.
    async fn dossier(&self, course: &Course) -> Result<Option<Dossier>, ViewError> {
        let mut statements = BTreeMap::new();
        for named in named(&course.newest) {
            let Ok(subject) = named.subject.parse() else {
                return Ok(None);
            };
            let Some(fact) = self.hub.view.get(&subject).await? else {
                return Ok(None);
            };
            let Some(text) = text(&fact.envelope) else {
                return Ok(None);
            };
            statements.insert(named.subject.clone(), text);
        }
        let trust = self.hub.view.trust();
        let (bundle, assignment) = (text(trust.envelope()), text(&course.envelope.envelope));
        Ok(bundle.zip(assignment).map(|(bundle, assignment)| Dossier {
            bundle,
            assignment,
            statements,
        }))
    }
}

fn named(assignment: &Assignment) -> impl Iterator<Item = &StatementRef> {
    [
        &assignment.decision,
        &assignment.contents,
        &assignment.baseline_contents,
    ]
    .into_iter()
    .chain(&assignment.summaries)
}

fn text(envelope: &[u8]) -> Option<String> {
    std::str::from_utf8(envelope).ok().map(str::to_owned)
}
