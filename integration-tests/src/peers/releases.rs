//! Each release of the factory, before fluxgate and before cosign.

use domain::{Artifact, Component, Digest, ImageRef, Outcome, Version};
use jiff::Timestamp;
use testkit::factory::{Factory, Flavour, Published, ReleaseSpec};

use super::PeersError;
use super::cosign::{Cosign, Manner, Said};
use super::ours::{Answer, Judge, manifests_of};

/// The artifact that is spoilt.
const IMAGE: Artifact = Artifact::Image(Component::SourceController);
const MANIFESTS: Artifact = Artifact::FluxManifests;

/// What the cluster runs that the decisions are about.
const RUNNING: Version = Version::new(2, 9, 3);

/// The first version of the releases that are made: of none has anybody seen the real one.
const FIRST_PATCH: u64 = 100;

/// One release and what is said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub release: String,
    /// Whether it is one that must be accepted.
    pub good: bool,
    /// What fluxgate says.
    pub ours: Answer,
    /// What cosign says, asked as strictly as it can be.
    pub exact: Said,
    /// What cosign says, asked as Flux's documentation does.
    pub documented: Said,
    /// For people.
    pub note: &'static str,
}

impl Row {
    /// fluxgate allows a bad one, or one of both refuses a good one.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        let allowed = self.ours.outcome == Outcome::Allow;
        allowed != self.good || (self.good && self.exact != Said::Accepted)
    }

    /// Whether cosign accepts what fluxgate refuses.
    #[must_use]
    pub fn is_ours_alone(&self) -> bool {
        !self.good && self.ours.outcome != Outcome::Allow && self.exact == Said::Accepted
    }
}

/// Makes releases and asks about each.
#[derive(Debug)]
pub struct Hearing<'a> {
    factory: &'a Factory,
    judge: &'a Judge,
    cosign: &'a Cosign,
    running: Published,
    next_patch: u64,
}

/// A release, and which of its artifacts cosign is asked about.
struct Case<'a> {
    release: String,
    good: bool,
    published: &'a Published,
    artifact: Artifact,
    tag_moved: bool,
    note: &'static str,
}

impl<'a> Hearing<'a> {
    /// Makes the release that runs.
    ///
    /// # Errors
    /// If it can't be made.
    pub async fn open(
        factory: &'a Factory,
        judge: &'a Judge,
        cosign: &'a Cosign,
    ) -> Result<Self, PeersError> {
        let spec = ReleaseSpec::good(RUNNING);
        let document = testkit::manifests::synthetic(&RUNNING);
        let running = factory.release_of(&spec, &document, Timestamp::now()).await?;
        Ok(Self {
            factory,
            judge,
            cosign,
            running,
            next_patch: FIRST_PATCH,
        })
    }

    /// Every flavour, one row each; `told` hears each row when it is there.
    ///
    /// # Errors
    /// If a release can't be made, or somebody can't be asked.
    pub async fn all(&mut self, mut told: impl FnMut(&Row)) -> Result<Vec<Row>, PeersError> {
        let mut rows = Vec::new();
        let mut add = |row: Row| {
            told(&row);
            rows.push(row);
        };
        add(self.flavour(Flavour::Good, IMAGE, "good").await?);
        add(self
            .flavour(Flavour::Good, MANIFESTS, "good, its manifests")
            .await?);
        for flavour in Flavour::wrong(IMAGE) {
            add(self.flavour(flavour, IMAGE, flavour.about()).await?);
        }
        let unsigned = Flavour::Unsigned(MANIFESTS);
        add(self.flavour(unsigned, MANIFESTS, "manifests not signed").await?);
        for row in self.late().await? {
            add(row);
        }
        add(self.moved(Flavour::Good, "tag moved, signed by upstream").await?);
        add(self.moved(unsigned, "tag moved, not signed").await?);
        Ok(rows)
    }

    async fn make(&mut self, flavour: Flavour) -> Result<Published, PeersError> {
        let version = Version::new(2, 9, self.next_patch);
        self.next_patch += 1;
        let document = testkit::manifests::synthetic(&version);
        let spec = ReleaseSpec::flavoured(version, flavour);
        Ok(self
            .factory
            .release_of(&spec, &document, Timestamp::now())
            .await?)
    }

    async fn flavour(&mut self, flavour: Flavour, artifact: Artifact, name: &str) -> Result<Row, PeersError> {
        let published = self.make(flavour).await?;
        let case = Case {
            release: name.to_owned(),
            good: flavour == Flavour::Good,
            published: &published,
            artifact,
            tag_moved: false,
            note: note(flavour),
        };
        self.hear(case).await
    }

    /// A release before and after its signatures have come.
    async fn late(&mut self) -> Result<[Row; 2], PeersError> {
        let published = self.make(Flavour::Late).await?;
        let case = |good, name: &str, note| Case {
            release: name.to_owned(),
            good,
            published: &published,
            artifact: IMAGE,
            tag_moved: false,
            note,
        };
        let waits = "for 6 h fluxgate says nothing and looks again, then this";
        let before = self.hear(case(false, "not signed yet", waits)).await?;
        self.factory.sign_late(&published).await?;
        let after = self
            .hear(case(true, "the same, signed two minutes late", ""))
            .await?;
        Ok([before, after])
    }

    /// A second digest under a version that is out.
    async fn moved(&mut self, flavour: Flavour, name: &str) -> Result<Row, PeersError> {
        let first = self.make(Flavour::Good).await?;
        let spec = ReleaseSpec::flavoured(first.version, flavour);
        let moved = self.factory.move_tag(&spec).await?;
        let case = Case {
            release: name.to_owned(),
            good: false,
            published: &moved,
            artifact: MANIFESTS,
            tag_moved: true,
            note: "fluxgate remembers the first digest of a version",
        };
        self.hear(case).await
    }

    async fn hear(&self, case: Case<'_>) -> Result<Row, PeersError> {
        let Case {
            published,
            artifact,
            tag_moved,
            ..
        } = case;
        let ours = self.judge.decide(published, &self.running, tag_moved).await?;
        let (image, digest) = subject(published, artifact)?;
        let exact = self
            .cosign
            .verify((artifact, &image, digest), Manner::Exact)
            .await?;
        let documented = self
            .cosign
            .verify((artifact, &image, digest), Manner::Documented)
            .await?;
        Ok(Row {
            release: case.release,
            good: case.good,
            ours,
            exact,
            documented,
            note: case.note,
        })
    }
}

/// Upstream name and digest of an artifact.
fn subject(published: &Published, artifact: Artifact) -> Result<(ImageRef, Digest), PeersError> {
    let image = match artifact {
        Artifact::FluxManifests => manifests_of(published)?,
        Artifact::Image(component) => match published.images.get(&component) {
            Some(image) => image.clone(),
            None => manifests_of(published)?,
        },
    };
    let digest = published.digest(artifact);
    let digest = digest.ok_or_else(|| PeersError::Missing(image.clone()))?;
    Ok((image, digest))
}

const fn note(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::SelfHosted(_) => "cosign has no flag for the kind of runner",
        Flavour::OtherName(_) => "cosign does not compare docker-reference",
        Flavour::Good
        | Flavour::WrongWorkflow(_)
        | Flavour::OtherTag(_)
        | Flavour::Branch(_)
        | Flavour::OtherRepository(_)
        | Flavour::Faulty(..)
        | Flavour::OtherDigest(_)
        | Flavour::SwappedAfterSigning(_)
        | Flavour::Unsigned(_)
        | Flavour::Late => "",
    }
}
