//! The operator's `fleet.yaml`, published as signed membership. Everyone else uses these statements, so that
//! old events still verify after a cluster is gone.

use std::path::PathBuf;
use std::sync::Mutex;

use bus::journal::JournalError;
use bus::{Turn, ViewError, subject};
use domain::{ClusterMember, ClusterName};
use planner::Fleet;
use wire::fleet::v1;

use crate::Controller;
use crate::statements::member;

/// The file, and the text that was published last.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    last: Mutex<Option<String>>,
}

impl File {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            last: Mutex::new(None),
        }
    }

    /// Forgets what was published: another replica may have published another file since.
    pub(crate) fn forget(&self) {
        if let Ok(mut last) = self.last.lock() {
            *last = None;
        }
    }
}

/// Why membership could not be published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FleetError {
    #[error("reading {path}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("loading the fleet; the members published before stay")]
    Load(#[source] policy::LoadError),
    #[error("publishing membership of {0}")]
    Journal(ClusterName, #[source] JournalError),
    #[error("reading the view")]
    View(#[from] ViewError),
}

impl Controller {
    /// Publishes what changed in the file since the last time.
    pub(crate) async fn publish_fleet(&self) -> Result<(), FleetError> {
        let failed = |source| FleetError::File {
            path: self.fleet.path.clone(),
            source,
        };
        let text = tokio::fs::read_to_string(&self.fleet.path)
            .await
            .map_err(failed)?;
        let same = self
            .fleet
            .last
            .lock()
            .is_ok_and(|last| last.as_deref() == Some(text.as_str()));
        if same {
            return Ok(());
        }
        let name = self.fleet.path.display().to_string();
        let fleet = Fleet::fitting(&name, &text, &self.strategy).map_err(FleetError::Load)?;
        for member in &fleet.clusters {
            self.publish_member(member).await?;
        }
        for gone in self.members().await? {
            if !fleet.clusters.iter().any(|member| member.cluster == gone.cluster) {
                self.publish_member(&ClusterMember {
                    removed: true,
                    ..gone
                })
                .await?;
            }
        }
        if let Ok(mut last) = self.fleet.last.lock() {
            *last = Some(text);
        }
        Ok(())
    }

    async fn publish_member(&self, wanted: &ClusterMember) -> Result<(), FleetError> {
        let series = subject::member(&wanted.cluster, 1);
        let evaluate = |turn: Turn<'_>| {
            let same = turn
                .newest
                .and_then(member)
                .is_some_and(|newest| newest == *wanted);
            (!same).then(|| v1::ClusterMember::from(wanted))
        };
        let written = self.hub.journal.series(series.series(), "", evaluate).await;
        match written.map_err(|error| FleetError::Journal(wanted.cluster.clone(), error))? {
            Some(bus::Written::Ours(_)) => {
                tracing::info!(cluster = %wanted.cluster, removed = wanted.removed, "membership published");
            }
            Some(bus::Written::Theirs(_)) | None => {}
        }
        Ok(())
    }

    /// The members, without those that were removed.
    pub(crate) async fn members(&self) -> Result<Vec<ClusterMember>, ViewError> {
        self.members_where(|member| !member.removed).await
    }

    /// Those that have left.
    pub(crate) async fn former_members(&self) -> Result<Vec<ClusterMember>, ViewError> {
        self.members_where(|member| member.removed).await
    }

    async fn members_where(
        &self,
        wanted: impl Fn(&ClusterMember) -> bool,
    ) -> Result<Vec<ClusterMember>, ViewError> {
        let members = self.statements.members(&self.hub.view).await?;
        let found = members.iter().filter(|member| wanted(member));
        Ok(found.map(|member| ClusterMember::clone(member)).collect())
    }

    /// One member, if it is one.
    pub(crate) async fn member(&self, cluster: &ClusterName) -> Result<Option<ClusterMember>, ViewError> {
        let series = subject::member(cluster, 1);
        let newest = self.hub.view.latest(series.series()).await?;
        Ok(newest.as_ref().and_then(member).filter(|member| !member.removed))
    }
}
