//! The world that a scenario works on: one policy, one release, one baseline, and who says what about them.

use std::collections::BTreeMap;

use domain::assignment::StatementRef;
use domain::decision::PolicyId;
use domain::evidence::SummaryLine;
use domain::identity::{Claims, IdentityProfile, SignerIdentity};
use domain::{
    Artifact, Baseline, CheckKind, CheckResult, Component, Digest, Evidence, ImageContents, ImageRef,
    Platform, PlatformImage, Reason, ReleaseContents, ReleaseKey, RoleSummary, Version,
};
use jiff::Timestamp;
use policy::stored::Named;
use policy::{Ledger, StoredInputs, Verified};

pub(crate) const SHIPPED: &str = include_str!("../../../../deploy/policy-default.yaml");

/// The inputs of a decision, as policy-engine stores them.
#[derive(Debug, Clone)]
pub(crate) struct World(pub(crate) StoredInputs);

/// Who speaks about an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// signature-verifier's evidence and its summary.
    Verifier,
    /// policy-engine itself.
    Engine,
}

impl World {
    /// The shipped policy, a cluster on v2.9.3, and v2.9.4 as it must be.
    pub(crate) fn new() -> Self {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let mut world = Self(StoredInputs {
            policy: PolicyId {
                name: "default".to_owned(),
                digest: Digest::of(SHIPPED.as_bytes()),
            },
            text: SHIPPED.to_owned(),
            sequence: 7,
            release: ReleaseKey {
                version: Version::new(2, 9, 4),
                manifests: Digest::of(b"manifests of v2.9.4"),
            },
            tag_moved: false,
            summary: None,
            contents: None,
            evidence: Vec::new(),
            trust_root: Digest::of(b"trust root"),
            verified: Vec::new(),
            baseline: Named {
                statement: statement("baseline"),
                value: Baseline {
                    version: None,
                    layer: Some(Digest::of(b"layer")),
                    images: BTreeMap::new(),
                    crds: BTreeMap::new(),
                },
            },
            ledger: Ledger::Confirmed,
            supersedes: None,
            demo: false,
            now,
            as_of: 41,
        });
        world.run_baseline(Some(Version::new(2, 9, 3)));
        world.release(Version::new(2, 9, 4), now);
        world
    }

    /// Another policy in force.
    pub(crate) fn policy(&mut self, text: &str) {
        let parsed = policy::Policy::parse("scenario", text).unwrap_or_else(|error| panic!("{error}"));
        self.0.policy = parsed.id;
        text.clone_into(&mut self.0.text);
        self.0.sequence += 1;
    }

    /// What the cluster runs.
    pub(crate) fn run_baseline(&mut self, version: Option<Version>) {
        let name = version.as_ref().map_or("mixed".to_owned(), ToString::to_string);
        self.0.baseline = Named {
            statement: statement(&format!("baseline {name}")),
            value: Baseline {
                images: images(&name),
                version,
                ..self.0.baseline.value.clone()
            },
        };
    }

    /// A release that upstream signed as it must be, each artifact a second after the one before.
    pub(crate) fn release(&mut self, version: Version, signed: Timestamp) {
        let name = version.to_string();
        let release = ReleaseKey {
            manifests: Digest::of(format!("manifests of {name}").as_bytes()),
            version,
        };
        let images = images(&name);
        let targets: Vec<(Artifact, Digest)> = std::iter::once((Artifact::FluxManifests, release.manifests))
            .chain(images.iter().map(|(c, image)| (Artifact::Image(*c), image.index)))
            .collect();
        let last = i64::try_from(targets.len()).unwrap() - 1;
        let at = |n: usize| signed - jiff::SignedDuration::from_secs(last - i64::try_from(n).unwrap());
        let evidence = targets.iter().enumerate().map(|(n, (artifact, digest))| Named {
            statement: statement(&format!("evidence of {artifact} of {name}")),
            value: evidence(&release, *artifact, *digest, at(n)),
        });
        self.0.evidence = evidence.collect();
        let verified = targets
            .iter()
            .enumerate()
            .map(|(n, (artifact, digest))| Verified {
                artifact: *artifact,
                digest: *digest,
                result: CheckResult::Passed,
                reason: None,
                detail: "verified".to_owned(),
                integrated_time: Some(at(n)),
            });
        self.0.verified = verified.collect();
        self.0.contents = Some(Named {
            statement: statement(&format!("contents of {name}")),
            value: ReleaseContents {
                release: release.clone(),
                layer: Digest::of(b"layer"),
                document: Digest::of(b"document"),
                images,
            },
        });
        self.0.release = release;
        self.0.tag_moved = false;
        self.summarise();
    }

    /// Lets somebody come to another result about one artifact.
    pub(crate) fn spoil(&mut self, who: Voice, artifact: Artifact, result: CheckResult, reason: Reason) {
        match who {
            Voice::Verifier => {
                for evidence in self.evidence_of(artifact) {
                    (evidence.result, evidence.reason) = (result, Some(reason));
                    evidence.detail = format!("the verifier says {reason}");
                }
                self.summarise();
            }
            Voice::Engine => {
                for own in self.0.verified.iter_mut().filter(|own| own.artifact == artifact) {
                    (own.result, own.reason, own.integrated_time) = (result, Some(reason), None);
                    own.detail = format!("policy-engine says {reason}");
                }
            }
        }
    }

    /// Lets somebody say nothing about an artifact.
    pub(crate) fn silence(&mut self, who: Voice, artifact: Artifact) {
        match who {
            Voice::Verifier => {
                self.0.evidence.retain(|named| named.value.artifact != artifact);
                self.summarise();
            }
            Voice::Engine => self.0.verified.retain(|own| own.artifact != artifact),
        }
    }

    /// Lets somebody speak of other bytes than those of the release.
    pub(crate) fn swap(&mut self, who: Voice, artifact: Artifact) {
        let other = Digest::of(b"other bytes");
        match who {
            Voice::Verifier => {
                for evidence in self.evidence_of(artifact) {
                    evidence.digest = other;
                }
                self.summarise();
            }
            Voice::Engine => {
                for own in self.0.verified.iter_mut().filter(|own| own.artifact == artifact) {
                    own.digest = other;
                }
            }
        }
    }

    fn evidence_of(&mut self, artifact: Artifact) -> impl Iterator<Item = &mut Evidence> {
        let all = self.0.evidence.iter_mut().map(|named| &mut named.value);
        all.filter(move |evidence| evidence.artifact == artifact)
    }

    /// The summary of the evidence that is there.
    fn summarise(&mut self) {
        let line = |named: &Named<Evidence>| SummaryLine {
            artifact: named.value.artifact,
            digest: named.value.digest,
            check: named.value.check,
            result: named.value.result,
            reason: named.value.reason,
            subject: named.statement.subject.clone(),
            evidence: named.statement.digest,
        };
        self.0.summary = Some(Named {
            statement: statement(&format!("summary of {}", self.0.release)),
            value: RoleSummary {
                release: self.0.release.clone(),
                attempt: 1,
                contents: self.0.contents.as_ref().map(|named| named.statement.digest),
                checks: self.0.evidence.iter().map(line).collect(),
            },
        });
    }
}

fn statement(what: &str) -> StatementRef {
    StatementRef {
        subject: what.replace(' ', "-"),
        digest: Digest::of(what.as_bytes()),
    }
}

fn images(version: &str) -> BTreeMap<Component, ImageContents> {
    let image = |component: Component| {
        let digest = |what: &str| Digest::of(format!("{what} of {component} of {version}").as_bytes());
        ImageContents {
            image: ImageRef::tagged(&format!("ghcr.io/fluxcd/{component}"), "v1.9.0").unwrap(),
            index: digest("index"),
            platforms: vec![PlatformImage {
                platform: Platform {
                    os: "linux".to_owned(),
                    architecture: "arm64".to_owned(),
                },
                manifest: digest("platform"),
                config: digest("config"),
            }],
        }
    };
    let four = [
        Component::SourceController,
        Component::KustomizeController,
        Component::HelmController,
        Component::NotificationController,
    ];
    four.into_iter().map(|c| (c, image(c))).collect()
}

fn evidence(release: &ReleaseKey, artifact: Artifact, digest: Digest, time: Timestamp) -> Evidence {
    let repository = format!("https://github.com/fluxcd/{artifact}");
    let workflow = format!("{repository}/.github/workflows/release.yml@refs/tags/v1.9.0");
    let issuer = "https://token.actions.githubusercontent.com".to_owned();
    Evidence {
        release: release.clone(),
        artifact,
        image: ImageRef::tagged(&format!("ghcr.io/fluxcd/{artifact}"), "v1.9.0").unwrap(),
        digest,
        check: CheckKind::Signature,
        result: CheckResult::Passed,
        reason: None,
        detail: "checked".to_owned(),
        expected: IdentityProfile {
            subject_alternative_names: vec![workflow.clone()],
            issuer: issuer.clone(),
            claims: Claims {
                source_repository: repository.clone(),
                source_ref: "refs/tags/v1.9.0".to_owned(),
                source_owner: "https://github.com/fluxcd".to_owned(),
                trigger: "push".to_owned(),
                runner: "github-hosted".to_owned(),
            },
        },
        found: Some(SignerIdentity {
            subject_alternative_name: workflow,
            issuer,
            source_repository: repository,
            source_ref: "refs/tags/v1.9.0".to_owned(),
            source_digest: "0123456789".to_owned(),
            trigger: "push".to_owned(),
        }),
        integrated_time: Some(time),
        material: Vec::new(),
    }
}
