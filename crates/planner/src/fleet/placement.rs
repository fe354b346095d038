//! Which cluster is in which wave, and what is wrong about that: a fleet's file held against a strategy.
//!
//! A rollout begins with what is found here already settled: no cluster in two waves, none forgotten unless
//! the strategy says that those are left alone, no wave with fewer clusters than it demands.

use domain::ClusterName;
use policy::load::{Document, LoadError, Problem, in_order};

use super::Fleet;
use crate::strategy::Strategy;

/// A fleet's clusters in a strategy's waves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The waves, in the strategy's order, each with its clusters in order; a cluster stands in each wave that
    /// selects it.
    pub waves: Vec<(String, Vec<ClusterName>)>,
    /// Clusters in no wave: listed, never touched.
    pub unlabelled: Vec<ClusterName>,
    /// What is wrong, each at its place in the fleet's file.
    pub findings: Vec<LoadError>,
}

impl Placement {
    /// What keeps a fleet from being taken at all: a cluster in two waves, or one that is forgotten. A wave that is too
    /// small is no such thing, because fleets grow: it keeps rollouts from beginning.
    #[must_use]
    pub fn refusal(self) -> Option<LoadError> {
        let refuses =
            |error: &LoadError| matches!(error.problem, Problem::Overlap { .. } | Problem::InNoWave { .. });
        in_order(self.findings).into_iter().find(refuses)
    }
}

impl Fleet {
    /// Reads a fleet that a strategy can work with; `file_name` stands in errors alone.
    ///
    /// # Errors
    /// As [`Fleet::parse`], and if a cluster is in two waves, or in none where the strategy does not leave those alone.
    pub fn fitting(file_name: &str, text: &str, strategy: &Strategy) -> Result<Self, LoadError> {
        let fleet = Self::parse(file_name, text)?;
        match fleet.place(strategy, &Document::new(file_name, text)).refusal() {
            Some(error) => Err(error),
            None => Ok(fleet),
        }
    }

    /// Holds the fleet against a strategy; `document` is the one that the fleet was read from.
    #[must_use]
    pub fn place(&self, strategy: &Strategy, document: &Document<'_>) -> Placement {
        let mut placement = Placement {
            waves: Vec::with_capacity(strategy.waves.len()),
            unlabelled: Vec::new(),
            findings: Vec::new(),
        };
        for member in &self.clusters {
            let cluster = member.cluster.clone();
            let at = self.places.get(&cluster).copied().unwrap_or(self.list);
            let mut selecting = strategy.waves.iter().filter(|wave| wave.selects(member));
            match (selecting.next(), selecting.next()) {
                (Some(_), None) => {}
                (Some(first), Some(second)) => {
                    let problem = Problem::Overlap {
                        cluster: cluster.to_string(),
                        first: first.name.clone(),
                        second: second.name.clone(),
                    };
                    placement.findings.push(document.error(at, problem));
                }
                (None, _) => {
                    if !strategy.ignores_unlabelled {
                        let problem = Problem::InNoWave {
                            cluster: cluster.to_string(),
                        };
                        placement.findings.push(document.error(at, problem));
                    }
                    placement.unlabelled.push(cluster);
                }
            }
        }
        for wave in &strategy.waves {
            let selected = self.clusters.iter().filter(|member| wave.selects(member));
            let clusters: Vec<ClusterName> = selected.map(|member| member.cluster.clone()).collect();
            let found = u32::try_from(clusters.len()).unwrap_or(u32::MAX);
            let wanted = wave.min_clusters.max(wave.bake.clusters);
            if found < wanted {
                let problem = Problem::TooFew {
                    wave: wave.name.clone(),
                    found,
                    wanted,
                };
                placement.findings.push(document.error(self.list, problem));
            }
            placement.waves.push((wave.name.clone(), clusters));
        }
        placement
    }
}
