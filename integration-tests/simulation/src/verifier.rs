//! What signature-verifier says, in its order and under its names: contents, evidence, summary of each release that
//! was discovered, and the baselines that clusters run. What it takes from a registry is the fixture's.

use bus::subject::{self, Scope};
use bus::{Area, Fact, Turn, ViewError};
use domain::assignment::StatementRef;
use domain::evidence::SummaryLine;
use domain::{Baseline, ClusterFacts, Evidence, ReleaseContents, ReleaseKey, RoleSummary};
use hub::Hub;
use wire::verification::v1;

use crate::fixture::{Fixture, Release};

/// The verifier.
pub(crate) struct Verifier {
    hub: Hub,
}

/// Why it tries again later.
#[derive(Debug)]
struct Later;

impl From<ViewError> for Later {
    fn from(_: ViewError) -> Self {
        Self
    }
}

impl From<bus::journal::JournalError> for Later {
    fn from(_: bus::journal::JournalError) -> Self {
        Self
    }
}

impl Verifier {
    /// On this hub.
    #[must_use]
    pub(crate) const fn new(hub: Hub) -> Self {
        Self { hub }
    }

    /// Says what is to be said now.
    pub(crate) async fn run(&self) {
        let _again = self.releases().await;
        let _again = self.baselines().await;
    }

    async fn releases(&self) -> Result<(), Later> {
        for fact in self.hub.view.list(Area::Release, "discovered").await? {
            let found =
                wire::decode::<wire::release::v1::ReleaseDiscovered, wire::Discovered>(&fact.statement);
            let Some(release) = found.ok().and_then(|hint| Fixture::get().release(&hint.release)) else {
                continue;
            };
            let summary = subject::verification_summary(&release.key, 1);
            if self.hub.view.get(&summary).await?.is_none() {
                self.verify(release).await?;
            }
        }
        Ok(())
    }

    async fn verify(&self, release: &Release) -> Result<(), Later> {
        let key = &release.key;
        let name = subject::verification_contents(Scope::Release(key), 1);
        let contents = self
            .once(&name, &v1::ReleaseContents::from(&release.contents))
            .await?;
        let Ok(stored) = wire::decode::<v1::ReleaseContents, ReleaseContents>(&contents.statement) else {
            return Err(Later);
        };
        let mut checks = Vec::new();
        for evidence in &release.evidence {
            let name = subject::verification_evidence(key, evidence.artifact, evidence.check, 1);
            let fact = self.once(&name, &v1::Evidence::from(evidence)).await?;
            let Ok(evidence) = wire::decode::<v1::Evidence, Evidence>(&fact.statement) else {
                return Err(Later);
            };
            checks.push(line(&evidence, fact.reference()));
        }
        let summary = summary(&stored.release, &contents, checks);
        let name = subject::verification_summary(key, 1);
        self.once(&name, &v1::RoleSummary::from(&summary)).await?;
        Ok(())
    }

    async fn baselines(&self) -> Result<(), Later> {
        for fact in self.hub.view.list(Area::Cluster, "facts").await? {
            let facts = wire::decode::<wire::fleet::v1::ClusterFacts, ClusterFacts>(&fact.statement);
            let Ok(facts) = facts else { continue };
            let runs = Fixture::get().releases.iter().map(Release::baseline);
            let Some(baseline) = runs.into_iter().find(|baseline| baseline.describes(&facts)) else {
                continue;
            };
            let name = subject::verification_contents(Scope::Baseline(&baseline.key()), 1);
            if self.hub.view.get(&name).await?.is_some() {
                continue;
            }
            let evaluate = |turn: Turn<'_>| unsaid(&turn, &baseline);
            self.hub.journal.series(name.series(), "", evaluate).await?;
        }
        Ok(())
    }

    async fn once<C: attest::Claim + Sync>(&self, name: &bus::Subject, claim: &C) -> Result<Fact, Later> {
        let written = self.hub.journal.once(name, claim, "").await?;
        Ok(written.into_fact())
    }
}

fn unsaid(turn: &Turn<'_>, baseline: &Baseline) -> Option<v1::BaselineContents> {
    turn.newest
        .is_none()
        .then(|| v1::BaselineContents::from(baseline))
}

fn line(evidence: &Evidence, stored: StatementRef) -> SummaryLine {
    SummaryLine {
        artifact: evidence.artifact,
        digest: evidence.digest,
        check: evidence.check,
        result: evidence.result,
        reason: evidence.reason,
        subject: stored.subject,
        evidence: stored.digest,
    }
}

fn summary(release: &ReleaseKey, contents: &Fact, checks: Vec<SummaryLine>) -> RoleSummary {
    RoleSummary {
        release: release.clone(),
        attempt: 1,
        contents: Some(contents.digest()),
        checks,
    }
}
