//! What every seed shares: keys, a trust bundle, releases with their upstream signatures, the operator's files.
//!
//! Keys and signatures are made anew in each process. Nothing that is decided depends on their bytes, so a seed
//! takes the same course in every process.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use attest::bundle::{self, BundleKey, TrustBundle};
use attest::{Role, SigningKey, Trust};
use bus::Judge;
use bytes::Bytes;
use domain::evidence::SignatureMaterial;
use domain::{
    Artifact, Baseline, CheckKind, CheckResult, ClusterName, Component, CrdSet, Digest, Evidence,
    ImageContents, ImageRef, ReleaseContents, ReleaseKey, Version,
};
use evidence::{Expectation, TrustRoot};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use testkit::sigstore::{DemoSigstore, Workflow};

/// When every course begins.
pub const BEGINNING: Timestamp = Timestamp::constant(1_790_000_000, 0);

/// Components of the simulated releases: two are enough to have more than one image.
const COMPONENTS: [Component; 2] = [Component::SourceController, Component::KustomizeController];

/// The clusters with their waves: one first, then two that are not to be in work together, then one.
pub const CLUSTERS: [(&str, &str); 4] = [("c1", "canary"), ("m1", "main"), ("m2", "main"), ("z1", "last")];

/// A label that some clusters have, whatever their wave.
pub const ZONE: (&str, &str) = ("zone", "eu");

/// Clusters with the label.
const IN_ZONE: [&str; 2] = ["c1", "m2"];

/// How a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// What runs in the beginning.
    Old,
    /// Signed as upstream signs.
    Good,
    /// An image of it carries no signature.
    Unsigned,
    /// Another digest under the version of a good one.
    Moved,
}

/// A release of the simulated upstream.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its key.
    pub key: ReleaseKey,
    /// How it is.
    pub quality: Quality,
    /// What its tags resolve to.
    pub contents: ReleaseContents,
    /// Evidence of each artifact, as an honest verifier finds it.
    pub evidence: Vec<Evidence>,
}

impl Release {
    /// What a cluster runs that runs it.
    #[must_use]
    pub fn baseline(&self) -> Baseline {
        Baseline {
            version: Some(self.key.version.clone()),
            layer: Some(self.contents.layer),
            images: self.contents.images.clone(),
            crds: CrdSet::new(),
        }
    }
}

/// What every seed shares.
#[derive(Debug)]
pub struct Fixture {
    /// The root key.
    pub root: SigningKey,
    /// One key for each role.
    pub keys: BTreeMap<Role, Arc<SigningKey>>,
    /// The keys that follow those that are retired or revoked in a course.
    pub successors: BTreeMap<Role, Arc<SigningKey>>,
    /// One key for each cluster's agent.
    pub agents: BTreeMap<ClusterName, Arc<SigningKey>>,
    /// The bundle's envelope.
    pub bundle: Bytes,
    /// The releases: what runs, a good one, the same version moved, an unsigned one, another good one.
    pub releases: Vec<Release>,
    /// `trusted_root.json`, policies (two texts of one name), fleet, strategy.
    pub files: Files,
}

/// The end of a role's first key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyEnd {
    /// The role.
    pub role: Role,
    /// The last place on the log where it speaks.
    pub at: u64,
    /// Whether it may be in wrong hands.
    pub revoked: bool,
}

/// The operator's files.
#[derive(Debug)]
pub struct Files {
    /// Where they lie.
    pub folder: TempDir,
}

impl Files {
    /// The path of a file.
    #[must_use]
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

impl Fixture {
    /// The one of this process.
    pub fn get() -> &'static Self {
        static FIXTURE: OnceLock<Fixture> = OnceLock::new();
        FIXTURE.get_or_init(|| Self::new().expect("everything can be made"))
    }

    fn new() -> anyhow::Result<Self> {
        let generate = || SigningKey::generate().map(|(key, _)| key);
        let root = generate()?;
        let mut keys = BTreeMap::new();
        for role in Role::ALL {
            keys.insert(role, Arc::new(generate()?));
        }
        let mut successors = BTreeMap::new();
        for role in [Role::Policy, Role::Controller] {
            successors.insert(role, Arc::new(generate()?));
        }
        let mut agents = BTreeMap::new();
        for (cluster, _) in CLUSTERS {
            agents.insert(cluster.parse()?, Arc::new(generate()?));
        }
        let bundle = TrustBundle {
            version: 1,
            demo: true,
            keys: keys.iter().map(|(role, key)| bundle_key(*role, key)).collect(),
        };
        let bundle = bundle::sign(&bundle, &root, BEGINNING)?.to_bytes().into();
        let sigstore = DemoSigstore::new(BEGINNING)?;
        let trusted_root = sigstore.trusted_root_json()?;
        let releases = releases(&sigstore, &TrustRoot::from_json(&trusted_root)?)?;
        let files = write_files(&trusted_root, &agents)?;
        Ok(Self {
            root,
            keys,
            successors,
            agents,
            bundle,
            releases,
            files,
        })
    }

    /// The key of a role.
    pub fn key(&self, role: Role) -> &Arc<SigningKey> {
        &self.keys[&role]
    }

    /// The second bundle: from this place on the key of a role is retired or revoked, and its successor speaks.
    pub fn second_bundle(&self, end: &KeyEnd, now: Timestamp) -> Bytes {
        let keys = self.keys.iter().map(|(role, key)| bundle_key(*role, key));
        let mut keys: Vec<BundleKey> = keys.collect();
        for key in keys.iter_mut().filter(|key| key.role == end.role) {
            *(if end.revoked {
                &mut key.revoked_at
            } else {
                &mut key.retired_at
            }) = Some(end.at);
        }
        keys.push(bundle_key(end.role, &self.successors[&end.role]));
        let bundle = TrustBundle {
            version: 2,
            demo: true,
            keys,
        };
        let signed = bundle::sign(&bundle, &self.root, now).expect("signing");
        signed.to_bytes().into()
    }

    /// What everybody trusts in the beginning.
    pub fn trust(&self) -> Trust {
        Trust::open(self.root.public(), 1, &self.bundle).expect("a bundle of ours")
    }

    /// Who judges events.
    pub fn judge(&self) -> Judge {
        Judge::new(hub::join::SCHEMA, self.trust())
    }

    /// The release with this key.
    pub fn release(&self, key: &ReleaseKey) -> Option<&Release> {
        self.releases.iter().find(|release| release.key == *key)
    }
}

fn bundle_key(role: Role, key: &SigningKey) -> BundleKey {
    let year = SignedDuration::from_hours(24 * 365);
    BundleKey {
        role,
        public_key: key.public().to_pem(),
        not_before: BEGINNING - year,
        not_after: BEGINNING + year,
        retired_at: None,
        revoked_at: None,
    }
}

fn releases(sigstore: &DemoSigstore, trust: &TrustRoot) -> anyhow::Result<Vec<Release>> {
    let plan = [
        (3, Quality::Old),
        (4, Quality::Good),
        (4, Quality::Moved),
        (5, Quality::Unsigned),
        (6, Quality::Good),
    ];
    let made = plan.map(|(patch, quality)| release(sigstore, trust, (patch, quality)));
    made.into_iter().collect()
}

fn release(
    sigstore: &DemoSigstore,
    trust: &TrustRoot,
    (patch, quality): (u64, Quality),
) -> anyhow::Result<Release> {
    let version = Version::new(2, 9, patch);
    let named = |what: &str| Digest::of(format!("{what} {version} {quality:?}").as_bytes());
    let key = ReleaseKey {
        version: version.clone(),
        manifests: named("manifests"),
    };
    let mut images = BTreeMap::new();
    for component in COMPONENTS {
        let index = named(component.name());
        let name = format!(
            "{}:v1.9.{patch}",
            flux::identity::repository(Artifact::Image(component))
        );
        let image: ImageRef = name.parse()?;
        images.insert(
            component,
            ImageContents {
                image: image.pinned(index),
                index,
                platforms: vec![],
            },
        );
    }
    let contents = ReleaseContents {
        release: key.clone(),
        layer: named("layer"),
        document: named("document"),
        images,
    };
    let mut evidence = Vec::new();
    for (artifact, image, digest) in artifacts(&contents)? {
        let unsigned = quality == Quality::Unsigned && artifact == Artifact::Image(COMPONENTS[1]);
        let material = match unsigned {
            true => vec![],
            false => vec![sign(sigstore, artifact, (&image, digest))?],
        };
        evidence.push(judged(&key, artifact, (image, digest, material), trust)?);
    }
    let (failed, wanted) = (
        evidence.iter().any(|e| e.result != CheckResult::Passed),
        quality == Quality::Unsigned,
    );
    anyhow::ensure!(failed == wanted, "release {key} came out as {evidence:?}");
    Ok(Release {
        key,
        quality,
        contents,
        evidence,
    })
}

fn artifacts(contents: &ReleaseContents) -> anyhow::Result<Vec<(Artifact, ImageRef, Digest)>> {
    let manifests = ImageRef::tagged(
        &flux::identity::repository(Artifact::FluxManifests),
        &contents.release.version.to_string(),
    )?;
    let digest = contents.release.manifests;
    let mut all = vec![(Artifact::FluxManifests, manifests.pinned(digest), digest)];
    for (component, image) in &contents.images {
        all.push((Artifact::Image(*component), image.image.clone(), image.index));
    }
    Ok(all)
}

fn tag(image: &ImageRef) -> anyhow::Result<Version> {
    Ok(image.tag().unwrap_or_default().parse()?)
}

fn sign(
    sigstore: &DemoSigstore,
    artifact: Artifact,
    (image, digest): (&ImageRef, Digest),
) -> anyhow::Result<SignatureMaterial> {
    let workflow = Workflow::demanded_by(&flux::identity::profile(artifact, &tag(image)?));
    let at = BEGINNING - SignedDuration::from_hours(80);
    Ok(sigstore.sign_image(image, digest, &workflow, at)?)
}

fn judged(
    release: &ReleaseKey,
    artifact: Artifact,
    (image, digest, material): (ImageRef, Digest, Vec<SignatureMaterial>),
    trust: &TrustRoot,
) -> anyhow::Result<Evidence> {
    let profile = flux::identity::profile(artifact, &tag(&image)?);
    let expect = Expectation {
        image: &image,
        digest,
        profile: &profile,
    };
    let verdict = evidence::verify_signatures(&material, &expect, trust, BEGINNING);
    let passed = verdict.result == CheckResult::Passed;
    Ok(Evidence {
        release: release.clone(),
        artifact,
        digest,
        check: CheckKind::Signature,
        result: verdict.result,
        reason: (!passed).then_some(verdict.reason),
        detail: verdict.detail,
        expected: profile.clone(),
        found: verdict.found,
        integrated_time: verdict.integrated_time,
        material,
        image,
    })
}

/// One policy text; the comment makes another digest of the same rules.
fn policy(comment: &str) -> String {
    format!(
        "# {comment}\napiVersion: policy.fluxgate.dev/v1alpha1\nkind: UpgradePolicy\nmetadata: {{name: default}}\nspec:\n  rules:\n    \
         - {{name: signed, signature: {{profile: flux, artifacts: All}}}}\n    \
         - {{name: step, versionStep: {{allow: [Patch, Minor], skippedMinors: NeedsApproval, prerelease: false, downgrade: false}}}}\n    \
         - {{name: age, releaseAge: {{patch: 72h, minor: 14d, dotZero: 30d}}}}\n"
    )
}

fn strategy() -> String {
    let wave = |name: &str| {
        format!(
            "    - name: {name}\n      selector: {{matchLabels: {{fluxgate.dev/wave: {name}}}}}\n      policy: default\n      \
             minClusters: 1\n      maxConcurrency: 1\n      bake: {{duration: 2m}}\n"
        )
    };
    format!(
        "apiVersion: rollout.fluxgate.dev/v1alpha1\nkind: Strategy\nmetadata: {{name: default}}\nspec:\n  waves:\n{}{}{}  \
         health: {{stableFor: 30s, successDeadline: 30m}}\n",
        wave("canary"),
        wave("main"),
        wave("last")
    )
}

fn fleet(agents: &BTreeMap<ClusterName, Arc<SigningKey>>) -> anyhow::Result<String> {
    let mut text = "apiVersion: fleet.fluxgate.dev/v1alpha1\nkind: Fleet\nclusters:\n".to_owned();
    for (cluster, wave) in CLUSTERS {
        let name: ClusterName = cluster.parse()?;
        let (label, eu) = ZONE;
        let zone = if IN_ZONE.contains(&cluster) { eu } else { "us" };
        text.push_str(&format!(
            "  - name: {cluster}\n    labels: {{fluxgate.dev/wave: {wave}, {label}: {zone}}}\n    agentKey: {}\n    \
             maxMode: Enforce\n    images: {{registry: ghcr.io}}\n",
            agents[&name].public().fingerprint()
        ));
    }
    Ok(text)
}

fn write_files(
    trusted_root: &[u8],
    agents: &BTreeMap<ClusterName, Arc<SigningKey>>,
) -> anyhow::Result<Files> {
    let files = Files {
        folder: tempfile::tempdir()?,
    };
    std::fs::write(files.path("trusted_root.json"), trusted_root)?;
    std::fs::write(files.path("policy-1.yaml"), policy("the first text"))?;
    std::fs::write(files.path("policy-2.yaml"), policy("the second text"))?;
    std::fs::write(files.path("strategy.yaml"), strategy())?;
    std::fs::write(files.path("fleet.yaml"), fleet(agents)?)?;
    Ok(files)
}
