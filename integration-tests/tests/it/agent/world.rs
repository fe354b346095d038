//! Everything that a good assignment is made of, by hand: a trial changes one thing and signs the rest.

use std::collections::{BTreeMap, BTreeSet};

use agent::{AcceptedPolicy, Demands};
use attest::{BundleKey, Claim, Dossier, Header, Role, SigningKey, TrustBundle};
use bus::subject::Scope;
use domain::assignment::StatementRef;
use domain::decision::PolicyId;
use domain::evidence::SummaryLine;
use domain::{
    Action, Artifact, Assignment, Baseline, CheckKind, CheckResult, Component, Decision, Digest, Epoch,
    ImageContents, ImageRef, Mode, Outcome, Reason, ReleaseContents, ReleaseKey, RoleSummary, RolloutKey,
    RuleResult, Version,
};
use flux::manifest::{self, Object};
use jiff::{SignedDuration, Timestamp};
use wire::{fleet, policy, verification};

/// The version that runs.
pub(super) const RUNNING: Version = Version::new(2, 9, 3);
/// The version that comes.
pub(super) const COMING: Version = Version::new(2, 9, 4);
/// Name of the cluster.
pub(super) const CLUSTER: &str = "bench";
pub(super) const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What all rows have in common, made once.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) root: SigningKey,
    pub(super) keys: BTreeMap<Role, SigningKey>,
    pub(super) stranger: SigningKey,
    /// Layers, by version.
    pub(super) layers: BTreeMap<Version, Vec<u8>>,
    documents: BTreeMap<Version, String>,
}

/// One assignment to be, with everything that it names.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) bundle: TrustBundle,
    pub(super) contents: ReleaseContents,
    pub(super) baseline: Baseline,
    pub(super) summaries: BTreeMap<Role, RoleSummary>,
    pub(super) decision: Decision,
    pub(super) assignment: Assignment,
    pub(super) demands: Demands,
    /// Field paths that may differ.
    pub(super) tolerate: Vec<String>,
    /// How far the agent's clock is ahead.
    pub(super) clock: SignedDuration,
    /// The root is another one than the agent pins.
    pub(super) foreign_root: bool,
    /// Whose statements a stranger signs.
    pub(super) impostor: Option<Role>,
    /// A part of the subject of a statement that does not come along.
    pub(super) left_out: Option<&'static str>,
    /// The assignment is signed under the subject of this epoch.
    pub(super) signed_as: Option<Epoch>,
}

impl Base {
    pub(super) fn new() -> anyhow::Result<Self> {
        let key = || SigningKey::generate().map(|(key, _pem)| key);
        let roles = [Role::Verifier, Role::Scanner, Role::Policy, Role::Controller];
        let keys: Result<_, attest::keys::KeyError> =
            roles.into_iter().map(|role| Ok((role, key()?))).collect();
        let documents: BTreeMap<Version, String> = [RUNNING, COMING]
            .into_iter()
            .map(|version| (version.clone(), testkit::manifests::document(&version)))
            .collect();
        let packed: Result<_, std::io::Error> = documents
            .iter()
            .map(|(version, document)| Ok((version.clone(), layer(document)?)))
            .collect();
        Ok(Self {
            root: key()?,
            keys: keys?,
            stranger: key()?,
            layers: packed?,
            documents,
        })
    }

    /// The objects of a version, reduced to the default components.
    pub(super) fn objects(&self, version: &Version) -> anyhow::Result<Vec<Object>> {
        let all = manifest::parse(&self.documents[version])?;
        Ok(flux::subset::render(
            &all,
            &Component::DEFAULT.into_iter().collect(),
        )?)
    }

    /// What `flux install` would apply.
    pub(super) fn install(&self, version: &Version) -> anyhow::Result<String> {
        let objects = self.objects(version)?;
        // JSON is YAML.
        Ok(objects
            .iter()
            .map(|object| format!("---\n{}\n", object.value))
            .collect())
    }

    fn images(&self, version: &Version) -> anyhow::Result<BTreeMap<Component, ImageContents>> {
        let named = manifest::images(&manifest::parse(&self.documents[version])?)?;
        Ok(named
            .iter()
            .map(|(component, image)| (*component, contents(image)))
            .collect())
    }

    /// An assignment that is to be carried out.
    pub(super) fn world(&self) -> anyhow::Result<World> {
        let now = Timestamp::now();
        let release = ReleaseKey {
            version: COMING,
            manifests: Digest::of(b"the manifests' OCI manifest"),
        };
        let contents = ReleaseContents {
            release: release.clone(),
            layer: Digest::of(&self.layers[&COMING]),
            document: Digest::of(self.documents[&COMING].as_bytes()),
            images: self.images(&COMING)?,
        };
        let baseline = Baseline {
            version: Some(RUNNING),
            layer: Some(Digest::of(&self.layers[&RUNNING])),
            images: self
                .images(&RUNNING)?
                .into_iter()
                .filter(|(component, _)| Component::DEFAULT.contains(component))
                .collect(),
            crds: manifest::crd_set(&self.objects(&RUNNING)?)?,
        };
        let roles = [Role::Verifier, Role::Scanner];
        let bundle = TrustBundle {
            version: 2,
            demo: true,
            keys: self
                .keys
                .iter()
                .map(|(role, key)| key_of(*role, key, now))
                .collect(),
        };
        Ok(World {
            bundle,
            summaries: roles.map(|role| (role, summary(&contents, role))).into(),
            decision: decision(&release, &baseline, now),
            assignment: assignment(&contents, &baseline, now),
            demands: demands(self.root.public().clone())?,
            contents,
            baseline,
            tolerate: Vec::new(),
            clock: SignedDuration::ZERO,
            foreign_root: false,
            impostor: None,
            left_out: None,
            signed_as: None,
        })
    }

    fn sign<C: Claim>(&self, world: &World, role: Role, subject: &str, claim: &C) -> anyhow::Result<String> {
        let key = if world.impostor == Some(role) {
            &self.stranger
        } else {
            &self.keys[&role]
        };
        let header = Header::published(subject, Timestamp::now(), "00-trace-span-01");
        text(&attest::claim::sign(&header, claim, key)?)
    }

    /// Signs everything, from the statements that are named to the assignment that names them.
    pub(super) fn dossier(&self, world: &World) -> anyhow::Result<Dossier> {
        let mut assignment = world.assignment.clone();
        let mut statements = BTreeMap::new();
        let mut name = |named: &mut StatementRef, signed: String| {
            named.digest = Digest::of(signed.as_bytes());
            statements.insert(named.subject.clone(), signed);
        };
        let claim = verification::v1::ReleaseContents::from(&world.contents);
        let signed = self.sign(world, Role::Verifier, &assignment.contents.subject, &claim)?;
        name(&mut assignment.contents, signed);
        let claim = verification::v1::BaselineContents::from(&world.baseline);
        let signed = self.sign(
            world,
            Role::Verifier,
            &assignment.baseline_contents.subject,
            &claim,
        )?;
        name(&mut assignment.baseline_contents, signed);
        let claim = policy::v1::Decision::from(&world.decision);
        let signed = self.sign(world, Role::Policy, &assignment.decision.subject, &claim)?;
        name(&mut assignment.decision, signed);
        assignment.summaries.clear();
        for (role, summary) in &world.summaries {
            let mut summary = summary.clone();
            summary.contents = summary.contents.or(Some(assignment.contents.digest));
            let subject = match role {
                Role::Scanner => bus::subject::scan_summary(&world.assignment.target, 1),
                _ => bus::subject::verification_summary(&world.assignment.target, 1),
            };
            let mut named = reference(&subject.to_string());
            let claim = verification::v1::RoleSummary::from(&summary);
            let signed = self.sign(world, *role, &named.subject, &claim)?;
            name(&mut named, signed);
            assignment.summaries.push(named);
        }
        statements.retain(|subject, _| world.left_out.is_none_or(|left| !subject.contains(left)));
        let epoch = world.signed_as.unwrap_or(assignment.epoch);
        let own = bus::subject::assignment(&assignment.cluster, epoch).to_string();
        let claim = fleet::v1::Assignment::from(&assignment);
        let root = if world.foreign_root {
            &self.stranger
        } else {
            &self.root
        };
        Ok(Dossier {
            bundle: text(&attest::bundle::sign(&world.bundle, root, Timestamp::now())?)?,
            assignment: self.sign(world, Role::Controller, &own, &claim)?,
            statements,
        })
    }
}

fn text(envelope: &attest::Envelope) -> anyhow::Result<String> {
    Ok(String::from_utf8(envelope.to_bytes())?)
}

/// The digests that the lab's kubelet makes up for an image that is named by tag.
pub(super) fn contents(image: &ImageRef) -> ImageContents {
    let index = Digest::of(image.to_string().as_bytes());
    ImageContents {
        image: image.pinned(index),
        index,
        platforms: vec![],
    }
}

/// A manifests layer with this document.
pub(super) fn layer(document: &str) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(document.len() as u64);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "gotk-components.yaml", document.as_bytes())?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &archive.into_inner()?)?;
    gzip.finish()
}

fn key_of(role: Role, key: &SigningKey, now: Timestamp) -> BundleKey {
    BundleKey {
        role,
        public_key: key.public().to_pem(),
        not_before: now - HOUR,
        not_after: now + HOUR * 48,
        retired_at: None,
        revoked_at: None,
    }
}

fn summary(contents: &ReleaseContents, role: Role) -> RoleSummary {
    let line = |artifact, digest| SummaryLine {
        artifact,
        digest,
        check: CheckKind::Signature,
        result: CheckResult::Passed,
        reason: None,
        subject: "fluxgate.v1.verification.x.y.1".to_owned(),
        evidence: Digest::of(b"evidence"),
    };
    let images = contents
        .images
        .iter()
        .map(|(component, image)| line(Artifact::Image(*component), image.index));
    let manifests = line(Artifact::FluxManifests, contents.release.manifests);
    RoleSummary {
        release: contents.release.clone(),
        attempt: 1,
        contents: None,
        // The scanner's checks are of another kind; what it found is the policy's to weigh.
        checks: if role == Role::Verifier {
            std::iter::once(manifests).chain(images).collect()
        } else {
            Vec::new()
        },
    }
}

fn decision(release: &ReleaseKey, baseline: &Baseline, now: Timestamp) -> Decision {
    Decision {
        release: release.clone(),
        policy: PolicyId {
            name: "default".to_owned(),
            digest: Digest::of(b"policy"),
        },
        baseline: baseline.key(),
        outcome: Outcome::Allow,
        rules: vec![RuleResult {
            rule: "signed".to_owned(),
            outcome: Outcome::Allow,
            reason: Reason::SignatureVerified,
            detail: String::new(),
            until: None,
        }],
        inputs: Digest::of(b"inputs"),
        decided: now,
        valid_until: Some(now + HOUR * 24),
        wait_until: None,
        as_of: 9,
        supersedes: None,
        demo: true,
    }
}

fn reference(subject: &str) -> StatementRef {
    StatementRef {
        subject: subject.to_owned(),
        digest: Digest::of(b"filled in when signed"),
    }
}

fn assignment(contents: &ReleaseContents, baseline: &Baseline, now: Timestamp) -> Assignment {
    let (release, key) = (&contents.release, baseline.key());
    let named = |scope| reference(&bus::subject::verification_contents(scope, 1).to_string());
    Assignment {
        cluster: cluster(),
        epoch: Epoch(3),
        action: Action::Upgrade,
        mode: Mode::Enforce,
        rollout: RolloutKey {
            version: release.version.clone(),
            ordinal: 1,
        },
        target: release.clone(),
        layer: contents.layer,
        images: contents
            .images
            .iter()
            .map(|(component, image)| (*component, image.index))
            .collect(),
        image_registry: "ghcr.io".to_owned(),
        contents: named(Scope::Release(release)),
        baseline_contents: named(Scope::Baseline(&key)),
        decision: reference(&bus::subject::decision(release, "default", &key, 1).to_string()),
        baseline: key,
        summaries: Vec::new(),
        stops: Vec::new(),
        stable_for: SignedDuration::from_millis(500),
        success_deadline: SignedDuration::from_mins(2),
        issued: now,
        expires: now + HOUR * 20,
        as_of: 10,
    }
}

/// The cluster's name.
pub(super) fn cluster() -> domain::ClusterName {
    CLUSTER.parse().expect("a DNS label")
}

fn demands(root: attest::PublicKey) -> anyhow::Result<Demands> {
    Ok(Demands {
        cluster: CLUSTER.parse()?,
        root,
        lowest_bundle: 1,
        roles: BTreeSet::from([Role::Verifier, Role::Scanner, Role::Policy, Role::Controller]),
        policies: vec![AcceptedPolicy {
            name: "default".to_owned(),
            digest: None,
        }],
        max_mode: Mode::Enforce,
        accept_demo: true,
    })
}
