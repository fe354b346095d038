//! A real export, made through the service's own stream of parts, and everything that can be done to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use attest::bundle::{BundleKey, TrustBundle};
use attest::{Claim, Header, PublicKey, Role, SigningKey, claim};
use bytes::Bytes;
use domain::decision::PolicyId;
use domain::{Decision, Digest, Outcome, ReleaseKey, Version};
use jiff::Timestamp;

use super::*;
use crate::ledger::{About, Event, Head, Ledger, NoteKey};

mod tampered;

const NAME: &str = "ledger.example/fleet";
const INPUTS: &[u8] = b"the inputs of the decision";

fn time() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn release() -> ReleaseKey {
    ReleaseKey {
        version: Version::new(2, 9, 4),
        manifests: Digest::of(b"m"),
    }
}

/// Who speaks in these tests.
struct Keys {
    root: SigningKey,
    policy: SigningKey,
    note: String,
}

impl Keys {
    fn new() -> Self {
        Self {
            root: SigningKey::generate().unwrap().0,
            policy: SigningKey::generate().unwrap().0,
            note: NoteKey::generate(NAME).unwrap().1,
        }
    }

    fn note(&self) -> NoteKey {
        NoteKey::from_pem(NAME, &self.note).unwrap()
    }

    fn demands(&self) -> Demands {
        Demands {
            key: self.note().verifier().clone(),
            root: Some(RootDemand::Key(self.root.public().clone())),
            older: Vec::new(),
        }
    }

    fn bundle(&self) -> Vec<u8> {
        let key = BundleKey {
            role: Role::Policy,
            public_key: self.policy.public().to_pem(),
            not_before: time(),
            not_after: "2027-11-24T12:00:00Z".parse().unwrap(),
            retired_at: None,
            revoked_at: None,
        };
        let bundle = TrustBundle {
            version: 1,
            demo: true,
            keys: vec![key],
        };
        attest::bundle::sign(&bundle, &self.root, time())
            .unwrap()
            .to_bytes()
    }

    fn decision(&self, n: u64) -> (String, Vec<u8>) {
        let decision = Decision {
            release: release(),
            policy: PolicyId {
                name: "default".to_owned(),
                digest: Digest::of(b"p"),
            },
            baseline: "0123456789abcdef".parse().unwrap(),
            outcome: Outcome::Wait,
            rules: Vec::new(),
            inputs: Digest::of(INPUTS),
            decided: time(),
            valid_until: None,
            wait_until: None,
            as_of: n,
            supersedes: None,
            demo: true,
        };
        let key = "0123456789abcdef".parse().unwrap();
        let subject = bus::subject::decision(&release(), "default", &key, n).to_string();
        let message = wire::policy::v1::Decision::from(&decision);
        (subject.clone(), self.signed(&subject, &message))
    }

    fn signed<C: Claim>(&self, subject: &str, message: &C) -> Vec<u8> {
        let header = Header::published(subject, time(), "").as_of(1);
        claim::sign(&header, message, &self.policy).unwrap().to_bytes()
    }

    /// What the stream holds: a bundle, decisions, and things that somebody wrote who may not.
    fn events(&self, count: u64) -> Vec<(String, Vec<u8>)> {
        let mut events = vec![("fluxgate.v1.trust.bundle.bundle.1".to_owned(), self.bundle())];
        events.extend((1..count - 1).map(|n| self.decision(n)));
        events.push(("fluxgate.v1.not a subject".to_owned(), b"\xff junk".to_vec()));
        events
    }
}

/// A folder with an export in it.
struct Exported {
    keys: Keys,
    folder: tempfile::TempDir,
}

impl Exported {
    fn dir(&self) -> PathBuf {
        self.folder.path().join("export")
    }

    fn verify(&self) -> Report {
        verify(&self.dir(), &self.keys.demands()).unwrap()
    }

    /// Faults as text, after something was done to the folder.
    fn faults(&self) -> Vec<String> {
        let report = self.verify();
        assert_eq!(report.is_good(), report.faults.is_empty());
        report.faults.iter().map(ToString::to_string).collect()
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let (dir, mut files) = (self.dir(), BTreeMap::new());
        let mut open = vec![dir.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let bytes = fs::read(&path).unwrap();
                    files.insert(path.strip_prefix(&dir).unwrap().to_owned(), bytes);
                }
            }
        }
        files
    }
}

fn write(dir: &Path, keys: &Keys, events: &[(String, Vec<u8>)], chosen: Option<&[u64]>) -> Written {
    let ledger_folder = dir.parent().unwrap().join("ledger");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (checkpoint, hashes) = runtime.block_on(async {
        let ledger = Ledger::open(&ledger_folder, keys.note()).await.unwrap();
        let all = (1..).zip(events).map(|(sequence, (subject, payload))| Event {
            sequence,
            subject: subject.clone(),
            payload: Bytes::from(payload.clone()),
            store_time: time(),
            about: About::default(),
        });
        ledger.append(time(), &all.collect::<Vec<_>>()).await.unwrap();
        let (_, checkpoint) = ledger.publish().await.unwrap();
        (checkpoint, ledger.leaf_hashes(0, 10_000).await.unwrap())
    });
    let begin = Begin {
        checkpoint,
        verifier: keys.note().verifier().clone(),
        root: Some(keys.root.public().clone()),
        chosen_by: chosen
            .map(|_| "release releases/flux/v2.9.4".to_owned())
            .unwrap_or_default(),
    };
    let mut writer = Writer::create(dir, begin).unwrap();
    if chosen.is_some() {
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
        writer.hashes(0, &bytes).unwrap();
    }
    for (index, (subject, payload)) in (0..).zip(events) {
        if chosen.is_none_or(|chosen| chosen.contains(&index)) {
            writer.leaf((index, index + 1), subject, payload).unwrap();
        }
    }
    writer.blob(Digest::of(INPUTS), Some(INPUTS)).unwrap();
    writer.finish().unwrap()
}

fn export(count: u64, chosen: Option<&[u64]>) -> Exported {
    let exported = Exported {
        keys: Keys::new(),
        folder: tempfile::tempdir().unwrap(),
    };
    let events = exported.keys.events(count);
    let written = write(&exported.dir(), &exported.keys, &events, chosen);
    assert_eq!(
        (written.size, written.blobs, written.has_bundle),
        (count, 1, true)
    );
    exported
}

#[test]
fn a_whole_export_is_good() {
    let exported = export(300, None);
    let report = exported.verify();
    assert_eq!(report.faults, []);
    assert_eq!((report.size, report.leaves, report.complete), (300, 300, true));
    assert_eq!(report.signed["policy"], 298);
    assert_eq!(report.signed["root key"], 1);
    assert_eq!((report.blobs, report.bundle), (1, Some((1, true))));
    assert_eq!(report.root_key, Some(exported.keys.root.public().fingerprint()));
    assert!(report.root_pinned);
    // What nobody may say is in the ledger all the same, and is named.
    assert_eq!(report.void, [(299, Void::Name)]);
}

#[test]
fn what_the_readme_has_written_leaves_the_export_as_it_was() {
    let exported = export(3, None);
    let readme = fs::read_to_string(exported.dir().join("README.txt")).unwrap();
    let (_, rest) = readme.split_once("openssl ts -query").unwrap();
    let (_, rest) = rest.split_once(" -out ").unwrap();
    let query = rest.split_whitespace().next().unwrap();
    fs::write(exported.dir().join(query), "a query").unwrap();
    assert_eq!(exported.faults(), Vec::<String>::new());
    // Inside, it would not be.
    fs::write(exported.dir().join("checkpoint.tsq"), "a query").unwrap();
    assert_eq!(exported.faults().len(), 1);
}

#[test]
fn a_part_of_the_ledger_is_proven_in_the_whole_tree() {
    let exported = export(300, Some(&[0, 7, 298]));
    let report = exported.verify();
    assert_eq!(report.faults, []);
    assert_eq!((report.size, report.leaves, report.complete), (300, 3, false));
    let files = exported.files();
    assert!(files.contains_key(Path::new("proofs/298")));
    assert!(files.contains_key(Path::new("tiles/tile/0/001.p/44")));
    // Records of others are not in it.
    assert!(!files.keys().any(|path| path.starts_with("tiles/tile/entries")));
}

#[test]
fn inclusion_proofs_are_those_of_the_format() {
    let exported = export(9, Some(&[0, 3]));
    let text = fs::read_to_string(exported.dir().join("proofs/3")).unwrap();
    let (head, checkpoint) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("c2sp.org/tlog-proof@v1"));
    assert_eq!(lines.next(), Some("index 3"));
    assert_eq!(lines.count(), 4);
    assert!(Head::open(checkpoint, exported.keys.note().verifier()).is_ok());
}

#[test]
fn nothing_is_written_over_and_nothing_half_is_left() {
    let exported = export(3, None);
    let begin = Begin {
        checkpoint: fs::read_to_string(exported.dir().join("checkpoint")).unwrap(),
        verifier: exported.keys.note().verifier().clone(),
        root: None,
        chosen_by: String::new(),
    };
    let again = Writer::create(&exported.dir(), begin.clone());
    assert!(matches!(again, Err(WriteError::Exists(_))));
    let beside = exported.folder.path().join("other");
    drop(Writer::create(&beside, begin).unwrap());
    let left: Vec<_> = fs::read_dir(exported.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "the export and the ledger: {left:?}");
}

#[test]
fn a_server_that_sends_something_else_makes_no_export() {
    let exported = export(3, None);
    let begin = |chosen_by: &str| Begin {
        checkpoint: fs::read_to_string(exported.dir().join("checkpoint")).unwrap(),
        verifier: exported.keys.note().verifier().clone(),
        root: None,
        chosen_by: chosen_by.to_owned(),
    };
    let place = exported.folder.path().join("other");
    let events = exported.keys.events(3);
    let send = |chosen_by: &str, leaves: &[u64]| {
        let mut writer = Writer::create(&place, begin(chosen_by)).unwrap();
        for index in leaves {
            let (subject, payload) = &events[usize::try_from(*index).unwrap()];
            writer.leaf((*index, index + 1), subject, payload)?;
        }
        writer.finish()
    };
    assert!(matches!(
        send("", &[0, 1]),
        Err(WriteError::Count {
            expected: 3,
            found: 2
        })
    ));
    assert!(matches!(
        send("", &[1, 0]),
        Err(WriteError::Order { found: 0, .. })
    ));
    // ECDSA is random: these are other statements than those in the tree.
    assert!(matches!(send("", &[0, 1, 2]), Err(WriteError::Root { size: 3 })));
    assert!(matches!(
        send("some", &[0]),
        Err(WriteError::Count { found: 0, .. })
    ));
    let mut writer = Writer::create(&place, begin("")).unwrap();
    let wrong = writer.blob(Digest::of(b"a"), Some(b"b"));
    assert!(matches!(wrong, Err(WriteError::Blob(_))));
    drop(writer);
    assert!(!place.exists());
}

#[test]
fn the_root_key_can_be_given_as_a_fingerprint() {
    let exported = export(3, None);
    let with = |root: Option<RootDemand>| {
        let demands = Demands {
            root,
            ..exported.keys.demands()
        };
        verify(&exported.dir(), &demands).unwrap()
    };
    let own = exported.keys.root.public().fingerprint();
    assert!(with(Some(RootDemand::Fingerprint(own))).is_good());
    let unpinned = with(None);
    assert!(unpinned.is_good() && !unpinned.root_pinned);
    let other: PublicKey = SigningKey::generate().unwrap().0.public().clone();
    let foreign = with(Some(RootDemand::Fingerprint(other.fingerprint())));
    let texts: Vec<String> = foreign.faults.iter().map(ToString::to_string).collect();
    assert!(
        texts.contains(&"keys/root.pub: is missing, or not the root key that was given".to_owned()),
        "{texts:?}"
    );
    let foreign = with(Some(RootDemand::Key(other)));
    let texts: Vec<String> = foreign.faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts[0],
        "keys/bundle.json: no trust bundle in the export is signed by the root key"
    );
}

#[test]
fn a_folder_that_is_not_there_can_not_be_checked() {
    let keys = Keys::new();
    let error = verify(Path::new("/nonexistent/export"), &keys.demands()).unwrap_err();
    assert_eq!(error.to_string(), "reading /nonexistent/export");
}
