//! The strategy as the operator writes it: which clusters are upgraded together, in which order, how fast,
//! and for how long a wave must stay healthy before the next one.
//!
//! Fields of the target format (`strategy-default.yaml` of the design) that this version does not implement
//! are refused. What each field does to a rollout: `docs/rollout-semantics.md`. Deliberately not here: whether a release may run (`policy`), and the course of a rollout
//! ([`crate::reducer`]), which works on the snapshot taken when it began.

use std::collections::BTreeMap;

use domain::rollout::{StrategyId, Superseding, WaveSnapshot};
use domain::{ClusterMember, ClusterName};
use jiff::SignedDuration;
use policy::load::{Document, LoadError, in_order};

mod raw;
#[cfg(test)]
mod tests;

/// `apiVersion` of a strategy.
pub const API_VERSION: &str = "rollout.fluxgate.dev/v1alpha1";
/// `kind` of a strategy.
pub const KIND: &str = "Strategy";
/// `health.stableFor` when nothing is said: a controller that crashes at its start does so within it.
pub const STABLE_FOR: SignedDuration = SignedDuration::from_secs(60);
/// `health.successDeadline` when nothing is said: helm-controller alone may drain for 10 min.
pub const SUCCESS_DEADLINE: SignedDuration = SignedDuration::from_mins(30);

/// A strategy. The values that only one word exists for (`inconclusive: Stop`, `onBreach: Halt`) are what the
/// reducer does, and are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strategy {
    /// Its name, and the digest of its text.
    pub id: StrategyId,
    /// Its waves, in order; names are unique.
    pub waves: Vec<Wave>,
    /// How long a cluster must be well without a break before it counts as healthy; the agent judges.
    pub stable_for: SignedDuration,
    /// How long after the writing a cluster may take to get there.
    pub success_deadline: SignedDuration,
    /// Failed clusters that are tolerated in all waves together; `None`: each wave's own budget alone counts.
    pub failure_budget: Option<Budget>,
    /// Silent clusters that are tolerated in opened waves; `None`: silence never halts, it waits.
    pub unreachable_budget: Option<Budget>,
    /// What becomes of a rollout when a newer release is allowed.
    pub superseding: Superseding,
    /// Whether the file says that clusters in no wave are left alone. They are in any case.
    pub ignores_unlabelled: bool,
}

/// A wave: clusters that are upgraded together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// Unique in the strategy.
    pub name: String,
    /// Labels that a cluster must have, all of them; at least one.
    pub match_labels: BTreeMap<String, String>,
    /// Name of the policy that must allow each of its clusters.
    pub policy: String,
    /// With fewer clusters no rollout starts.
    pub min_clusters: u32,
    /// How many may be in work at once.
    pub max_concurrency: Concurrency,
    /// Failed clusters that are tolerated; one more halts the rollout.
    pub failure_budget: Budget,
    /// What the wave must have shown before the next one is opened.
    pub bake: Bake,
}

/// What a wave must have shown before the next one is opened: all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bake {
    /// How long the wave must stay healthy after its last cluster was upgraded.
    pub duration: SignedDuration,
    /// How many of its clusters must run the release and be healthy at the end.
    pub clusters: u32,
    /// How many reconciliations by Flux must have been seen on them since their upgrades.
    pub reconciles: u64,
}

/// How many clusters of a wave may be in work at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concurrency {
    /// So many; at least 1.
    Count(u32),
    /// So many of a hundred, 1 to 100; rounded down, at least one cluster.
    Percent(u32),
}

/// How many clusters may be lost before a rollout halts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// So many.
    Count(u32),
    /// So many of a hundred, 0 to 100; rounded down, so that 2% of 49 clusters is none.
    Percent(u32),
}

/// Why a fleet does not fit a strategy, so that no rollout can start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Two waves select one cluster.
    #[error("cluster {cluster} is in wave {first} and in wave {second}; take one of the labels away")]
    Overlap {
        /// The cluster.
        cluster: ClusterName,
        /// The earlier wave.
        first: String,
        /// The later one.
        second: String,
    },
    /// A wave is smaller than its strategy demands.
    #[error(
        "wave {wave} has {found} clusters, at least {wanted} are wanted; label more, or lower minClusters"
    )]
    TooFew {
        /// The wave.
        wave: String,
        /// How many clusters it has.
        found: u32,
        /// How many it must have.
        wanted: u32,
    },
    /// A wave's bake demands more clusters than it has: it could never bake.
    #[error(
        "the bake of wave {wave} wants {wanted} healthy clusters, the wave has {found}; label more, or lower \
         bake.clusters"
    )]
    BakeTooMany {
        /// The wave.
        wave: String,
        /// How many clusters it has.
        found: u32,
        /// How many its bake demands.
        wanted: u32,
    },
}

impl SnapshotError {
    /// Always false: fleet or strategy must change first.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        false
    }
}

/// The JSON Schema of a strategy's file.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(raw::File)
}

impl Strategy {
    /// Reads a strategy; `file_name` stands in errors alone.
    ///
    /// # Errors
    /// The first thing that is wrong, as [`Strategy::read`] finds it.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, LoadError> {
        let document = Document::new(file_name, text);
        Self::read(&document).map_err(|findings| document.first(findings))
    }

    /// Reads a strategy.
    ///
    /// # Errors
    /// If the text is no strategy, or says something that this version does not implement: everything that is
    /// wrong, at least one thing.
    pub fn read(document: &Document<'_>) -> Result<Self, Vec<LoadError>> {
        let raw: raw::File = document.read().map_err(|error| vec![error])?;
        let mut findings = Vec::new();
        let mut note = |error| findings.push(error);
        let head = [
            document.exactly("apiVersion", &raw.api_version, API_VERSION),
            document.exactly("kind", &raw.kind, KIND),
        ];
        head.into_iter().filter_map(Result::err).for_each(&mut note);
        let name = document.name("metadata.name", &raw.metadata.name);
        let name = name.map_err(&mut note).unwrap_or_default();
        let health = raw.spec.health(document).map_err(&mut note);
        let overall = raw.spec.overall(document).map_err(&mut note);
        let superseding = raw.spec.superseding();
        let ignores_unlabelled = raw.spec.ignores_unlabelled();
        let waves = raw.spec.waves(document, &mut findings);
        match (health, overall) {
            (Ok((stable_for, success_deadline)), Ok((failure_budget, unreachable_budget)))
                if findings.is_empty() =>
            {
                let digest = document.digest();
                Ok(Self {
                    id: StrategyId { name, digest },
                    waves,
                    stable_for,
                    success_deadline,
                    failure_budget,
                    unreachable_budget,
                    superseding,
                    ignores_unlabelled,
                })
            }
            _ => Err(in_order(findings)),
        }
    }

    /// The wave that selects this cluster; the first, where two do. Clusters in no wave are never touched.
    #[must_use]
    pub fn wave_of(&self, member: &ClusterMember) -> Option<&Wave> {
        self.waves.iter().find(|wave| wave.selects(member))
    }

    /// The waves with their clusters, as they are now. The clusters of a wave are begun in the order of their
    /// names.
    ///
    /// # Errors
    /// If two waves select one cluster, or a wave has too few clusters for itself or for its bake.
    pub fn snapshot(&self, members: &[ClusterMember]) -> Result<Vec<WaveSnapshot>, SnapshotError> {
        let members: Vec<&ClusterMember> = members.iter().filter(|member| !member.removed).collect();
        for member in &members {
            let mut selecting = self.waves.iter().filter(|wave| wave.selects(member));
            if let (Some(first), Some(second)) = (selecting.next(), selecting.next()) {
                return Err(SnapshotError::Overlap {
                    cluster: member.cluster.clone(),
                    first: first.name.clone(),
                    second: second.name.clone(),
                });
            }
        }
        self.waves.iter().map(|wave| wave.snapshot(&members)).collect()
    }
}

impl Wave {
    /// Whether the cluster has all of the labels.
    #[must_use]
    pub fn selects(&self, member: &ClusterMember) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| member.labels.get(key) == Some(value))
    }

    fn snapshot(&self, members: &[&ClusterMember]) -> Result<WaveSnapshot, SnapshotError> {
        let mut clusters: Vec<ClusterName> = members
            .iter()
            .filter(|member| self.selects(member))
            .map(|member| member.cluster.clone())
            .collect();
        clusters.sort();
        let found = u32::try_from(clusters.len()).unwrap_or(u32::MAX);
        if found < self.min_clusters {
            return Err(SnapshotError::TooFew {
                wave: self.name.clone(),
                found,
                wanted: self.min_clusters,
            });
        }
        if found < self.bake.clusters {
            return Err(SnapshotError::BakeTooMany {
                wave: self.name.clone(),
                found,
                wanted: self.bake.clusters,
            });
        }
        Ok(WaveSnapshot {
            name: self.name.clone(),
            policy: self.policy.clone(),
            clusters,
            max_concurrency: self.max_concurrency.of(found),
            bake: self.bake.duration,
            bake_clusters: self.bake.clusters,
            bake_reconciles: self.bake.reconciles,
            failure_budget: self.failure_budget.of(found),
            min_clusters: self.min_clusters,
        })
    }
}

impl Concurrency {
    /// How many of so many clusters: never none, or nothing would ever be done.
    #[must_use]
    pub fn of(self, clusters: u32) -> u32 {
        match self {
            Self::Count(count) => count.max(1),
            Self::Percent(percent) => share(clusters, percent).max(1),
        }
    }
}

impl Budget {
    /// How many of so many clusters; none is a budget too.
    #[must_use]
    pub fn of(self, clusters: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => share(clusters, percent),
        }
    }
}

/// So many of a hundred, rounded down.
fn share(clusters: u32, percent: u32) -> u32 {
    u32::try_from(u64::from(clusters) * u64::from(percent) / 100).unwrap_or(u32::MAX)
}
