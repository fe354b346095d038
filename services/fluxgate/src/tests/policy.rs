//! `policy lint|eval|replay|schema`: golden transcripts over files in a folder of their own.

use std::path::{Path, PathBuf};

use attest::{Header, SigningKey};
use domain::assignment::StatementRef;
use domain::decision::PolicyId;
use domain::{Baseline, Decision, Digest, ReleaseKey, Version};
use policy::stored::Named;
use policy::{Ledger, StoredInputs};
use wire::policy::v1;

use super::fake::Hub;
use super::transcript;

mod commands;
mod schemas;
mod wrong;

const POLICY: &str = include_str!("../../../../deploy/policy-default.yaml");

/// What one decision rests on: a release of which nothing but its tag is known.
fn inputs() -> StoredInputs {
    let statement = StatementRef {
        subject: "fluxgate.v1.verification.b-0.contents.1".to_owned(),
        digest: Digest::of(b"baseline"),
    };
    StoredInputs {
        policy: PolicyId {
            name: "default".to_owned(),
            digest: Digest::of(POLICY.as_bytes()),
        },
        text: POLICY.to_owned(),
        sequence: 3,
        release: ReleaseKey {
            version: Version::new(2, 9, 4),
            manifests: Digest::of(b"m"),
        },
        tag_moved: false,
        summary: None,
        contents: None,
        evidence: Vec::new(),
        trust_root: Digest::of(b"root"),
        verified: Vec::new(),
        baseline: Named {
            statement,
            value: Baseline {
                version: Some(Version::new(2, 9, 3)),
                layer: None,
                images: [].into(),
                crds: [].into(),
            },
        },
        ledger: Ledger::Confirmed,
        supersedes: None,
        demo: false,
        now: super::now(),
        as_of: 17,
    }
}

/// The decision as policy-engine would have published it.
fn signed(decision: &Decision) -> Vec<u8> {
    let (release, policy) = (&decision.release, &decision.policy.name);
    let subject = bus::subject::decision(release, policy, &decision.baseline, 1);
    let header = Header::published(subject.to_string(), super::now(), "").as_of(decision.as_of);
    let (key, _pem) = SigningKey::generate().unwrap();
    let envelope = attest::claim::sign(&header, &v1::Decision::from(decision), &key).unwrap();
    envelope.to_bytes()
}

/// What the hub of these tests keeps for `decisions/00000000000000d1`.
pub(super) fn inputs_of(name: &str) -> Option<v1::DecisionInputs> {
    let document = inputs().to_bytes();
    let decision = policy::replay(&document).unwrap();
    (name == "decisions/00000000000000d1").then(|| v1::DecisionInputs {
        name: name.to_owned(),
        digest: Some(decision.inputs.into()),
        envelope: signed(&decision),
        document,
    })
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tests/policy")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A transcript of commands in which `DIR` is a folder.
async fn in_folder(folder: &Path, commands: &[&str]) -> String {
    let folder = folder.display().to_string();
    let commands: Vec<String> = commands
        .iter()
        .map(|command| command.replace("DIR", &folder))
        .collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    transcript(Hub::full(), &commands).await.replace(&folder, "DIR")
}
