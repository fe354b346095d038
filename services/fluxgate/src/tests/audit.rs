//! `audit` against the real service, in this process, over a log in memory; then without any server.

use std::path::Path;
use std::sync::Arc;

use attest::bundle::{BundleKey, TrustBundle};
use attest::{Header, Role, SigningKey, claim};
use audit_log::service::{BlobSource, PortError, StatusBoard};
use audit_log::{Deps, NoteKey, Pace, Service};
use bus::memory::MemoryLog;
use domain::decision::PolicyId;
use domain::{Decision, Digest, Outcome, ReleaseKey, Version};
use jiff::Timestamp;
use runtime::{Clock, Shutdown};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codegen::Bytes;

use super::run;

const NAME: &str = "ledger.example/fleet";

/// No blobs, and nobody who reads the status.
struct Nothing;

#[tonic::async_trait]
impl BlobSource for Nothing {
    async fn get(&self, digest: Digest) -> Result<Option<Bytes>, PortError> {
        let inputs = Bytes::from_static(b"inputs");
        Ok((Digest::of(&inputs) == digest).then_some(inputs))
    }
}

#[tonic::async_trait]
impl StatusBoard for Nothing {
    async fn put_status(&self, _envelope: Bytes) -> Result<(), PortError> {
        Ok(())
    }
}

/// A ledger that is served.
struct Ledger {
    server: String,
    root: SigningKey,
    policy: SigningKey,
    folder: tempfile::TempDir,
    shutdown: Shutdown,
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

fn time() -> Timestamp {
    "2026-11-24T11:00:00Z".parse().unwrap()
}

fn release(version: u64) -> ReleaseKey {
    ReleaseKey {
        version: Version::new(2, 9, version),
        manifests: Digest::of(&version.to_be_bytes()),
    }
}

fn decision(key: &SigningKey, version: u64) -> (String, Vec<u8>) {
    let decision = Decision {
        release: release(version),
        policy: PolicyId {
            name: "default".to_owned(),
            digest: Digest::of(b"p"),
        },
        baseline: "0123456789abcdef".parse().unwrap(),
        outcome: Outcome::Wait,
        rules: Vec::new(),
        inputs: Digest::of(b"inputs"),
        decided: time(),
        valid_until: None,
        wait_until: None,
        as_of: 1,
        supersedes: None,
        demo: true,
    };
    let subject = bus::subject::decision(&release(version), "default", &decision.baseline, 1).to_string();
    let traceparent = domain::trace::TraceId::of_release(&release(version)).traceparent();
    let header = Header::published(&subject, time(), traceparent).as_of(1);
    let envelope = claim::sign(&header, &wire::policy::v1::Decision::from(&decision), key).unwrap();
    (subject, envelope.to_bytes())
}

fn bundle(root: &SigningKey, policy: &SigningKey) -> Vec<u8> {
    let bundle = TrustBundle {
        version: 1,
        demo: true,
        keys: vec![BundleKey {
            role: Role::Policy,
            public_key: policy.public().to_pem(),
            not_before: time(),
            not_after: "2027-11-24T12:00:00Z".parse().unwrap(),
            retired_at: None,
            revoked_at: None,
        }],
    };
    attest::bundle::sign(&bundle, root, time()).unwrap().to_bytes()
}

impl Ledger {
    /// Serves a ledger of a bundle, two decisions about two releases, and something that is none.
    async fn start() -> Self {
        let (root, policy) = (
            SigningKey::generate().unwrap().0,
            SigningKey::generate().unwrap().0,
        );
        let log = MemoryLog::new(time());
        log.inject("fluxgate.v1.trust.bundle.bundle.1", bundle(&root, &policy));
        for version in [4, 5] {
            let (subject, envelope) = decision(&policy, version);
            log.inject(subject, envelope);
        }
        log.inject("fluxgate.v1.not a subject", "junk");
        let folder = tempfile::tempdir().unwrap();
        let (note_key, pem) = NoteKey::generate(NAME).unwrap();
        std::fs::write(folder.path().join("ledger.vkey"), note_key.verifier().to_string()).unwrap();
        std::fs::write(folder.path().join("note.key"), pem).unwrap();
        std::fs::write(folder.path().join("root.pub"), root.public().to_pem()).unwrap();
        let pace = std::time::Duration::from_millis(5);
        let deps = Deps {
            log: Arc::new(log),
            blobs: Arc::new(Nothing),
            board: Arc::new(Nothing),
            signer: Arc::new(SigningKey::generate().unwrap().0),
            note_key,
            root_key: Some(root.public().clone()),
            clock: Clock::system(),
            state: folder.path().join("ledger"),
            monitoring_url: None,
            pace: Pace {
                blobs: pace,
                ..Pace::default()
            },
        };
        std::fs::create_dir_all(&deps.state).unwrap();
        let service = Service::open(deps).await.unwrap();
        let shutdown = Shutdown::default();
        let (running, stop) = (service.clone(), shutdown.clone());
        tokio::spawn(async move { running.run(stop).await });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let serving = tonic::transport::Server::builder()
            .add_service(audit_log::grpc::server(service.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        let inputs = Digest::of(b"inputs");
        let held = async || {
            let blob = service.ledger().blob(inputs).await.unwrap();
            service.ledger().head().await.size == 4 && blob.is_some()
        };
        let waiting = async {
            while !held().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), waiting)
            .await
            .expect("the ledger follows");
        Self {
            server,
            root,
            policy,
            folder,
            shutdown,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    async fn run(&self, arguments: &str) -> super::Ran {
        run(&self.server, arguments).await
    }

    /// Exports, and says where.
    async fn export(&self, name: &str, filter: &str) -> String {
        let dir = self.path(name);
        let ran = self.run(&format!("audit export --out {dir} {filter}")).await;
        assert_eq!(ran.exit, 0, "{}", ran.stderr);
        dir
    }

    async fn verify(&self, dir: &str, more: &str) -> super::Ran {
        let (key, root) = (self.path("ledger.vkey"), self.path("root.pub"));
        // No server is asked: there is none at this address.
        run(
            "http://127.0.0.1:1",
            &format!("audit verify {dir} --key {key} --root {root} {more}"),
        )
        .await
    }
}

#[tokio::test]
async fn entries_are_listed_as_get_lists_them_and_by_more() {
    let ledger = Ledger::start().await;
    let all = ledger.run("audit list --no-header").await;
    assert_eq!((all.exit, all.stdout.lines().count()), (0, 4), "{}", all.stderr);
    assert_eq!(all.stdout, ledger.run("get entries --no-header").await.stdout);
    let lines = async |filter: &str| {
        let ran = ledger.run(&format!("audit list --no-header {filter}")).await;
        assert_eq!(ran.exit, 0, "{filter}: {}", ran.stderr);
        ran.stdout.lines().count()
    };
    assert_eq!(lines("--kind decision").await, 2);
    assert_eq!(lines("--kind decision --release v2.9.5").await, 1);
    assert_eq!(lines("--since 2026-11-24T11:00:00Z").await, 4);
    assert_eq!(lines("--since 30m").await, 0, "as of noon");
    assert_eq!(lines("--until 2026-11-24T11:00:00Z").await, 0);
    let trace = domain::trace::TraceId::of_release(&release(4));
    assert_eq!(lines(&format!("--trace {trace}")).await, 1);
}

#[tokio::test]
async fn an_entry_is_shown_with_who_signed_it_and_its_proof() {
    let ledger = Ledger::start().await;
    let shown = ledger
        .run(&format!("audit show 2 --key {}", ledger.path("ledger.vkey")))
        .await;
    assert_eq!(shown.exit, 0, "{}", shown.stderr);
    let key = ledger.policy.public().fingerprint();
    for text in [
        &format!("signed by   {key}, role policy in trust bundle 1"),
        "author      policy-engine",
        "✔ the leaf has index 1, from 0, among the 4 of that checkpoint",
        "\"predicateType\": \"https://fluxgate.dev/decision/v1\"",
    ] {
        assert!(shown.stdout.contains(text), "{text}: {}", shown.stdout);
    }
    let (subject, _) = decision(&ledger.policy, 4);
    let by_subject = ledger.run(&format!("audit show {subject} -o json")).await;
    let shown: serde_json::Value = serde_json::from_str(&by_subject.stdout).unwrap();
    assert_eq!(shown["signer"]["role"], "policy");
    assert_eq!(shown["checks"][2]["good"], true);
    assert_eq!(shown["statement"]["predicate"]["body"]["outcome"], "OUTCOME_WAIT");
    let junk = ledger.run("audit show 4").await;
    assert!(
        junk.stdout.contains("nobody: it is no signed envelope"),
        "{}",
        junk.stdout
    );
    assert!(
        junk.stdout.ends_with("The payload is no statement.\n"),
        "{}",
        junk.stdout
    );
    // A key that is not the ledger's.
    let other = ledger.path("other.vkey");
    std::fs::write(&other, NoteKey::generate(NAME).unwrap().0.verifier().to_string()).unwrap();
    let wrong = ledger.run(&format!("audit show --index 1 --key {other}")).await;
    assert_eq!(wrong.exit, 1);
    assert!(
        wrong
            .stdout
            .contains("✗ the checkpoint is signed by the ledger's key"),
        "{}",
        wrong.stdout
    );
    let missing = ledger.run("audit show 99").await;
    assert_eq!(missing.exit, 2);
    assert!(
        missing.stderr.contains("there is no entries/99")
            && missing
                .stderr
                .contains("`fluxgate audit list` lists what there is"),
        "{}",
        missing.stderr
    );
    // What the list prints is what is shown.
    let wide = ledger
        .run("audit list --no-header -o wide --kind trust-bundle")
        .await;
    let cells: Vec<&str> = wide.stdout.split_whitespace().collect();
    let shown = ledger.run(&format!("audit show {}", cells[0])).await;
    assert!(
        shown
            .stdout
            .starts_with("sequence    1\nindex       0 (of the leaf, from 0)\nsubject     fluxgate.v1.trust"),
        "{}",
        shown.stdout
    );
    assert_eq!(ledger.run("audit show 0").await.exit, 2);
}

#[tokio::test]
async fn an_export_verifies_without_the_server() {
    let ledger = Ledger::start().await;
    let dir = ledger.export("export", "").await;
    let again = ledger.run(&format!("audit export --out {dir}")).await;
    assert_eq!(again.exit, 2, "{}", again.stderr);
    let ran = ledger
        .verify(&dir, &format!("--checkpoint {dir}/checkpoint"))
        .await;
    let root = ledger.root.public().fingerprint();
    for text in [
        "✔ leaves: all 4 are there and make this root",
        "✔ statements: signed by policy 2, root key 1; 0 hints, which nobody signs",
        "✔ blobs: 1, each with its digest",
        "✔ history: continues the older checkpoint of 4 leaves",
        &format!("✔ trust bundle 1 is signed by the root key {root}"),
        "⚠ DEMO: the keys in this bundle are for trying out",
        "⚠ leaf 3: nothing may stand under its subject; somebody put it on the bus",
    ] {
        assert!(ran.stdout.contains(text), "{text}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("left out"), "all are there: {}", ran.stdout);
    assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
    let json = ledger.verify(&dir, "-o json").await;
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&report["good"], &report["leaves"]), (&true.into(), &4.into()));
}

#[tokio::test]
async fn a_part_is_exported_with_what_is_needed_to_judge_it() {
    let ledger = Ledger::start().await;
    let dir = ledger.export("part", "--release v2.9.5").await;
    let ran = ledger.verify(&dir, "").await;
    assert_eq!(ran.exit, 0, "{}", ran.stdout);
    let text = "✔ leaves: 2 are there, chosen by release releases/flux/v2.9.5, each in this tree";
    assert!(ran.stdout.contains(text), "{}", ran.stdout);
    let doubt = "⚠ part: leaves may have been left out";
    assert!(ran.stdout.contains(doubt), "{}", ran.stdout);
    assert!(Path::new(&dir).join("proofs/2").exists());
    let since = ledger.export("since", "--since 30m").await;
    let ran = ledger.verify(&since, "").await;
    assert!(
        ran.exit == 0 && ran.stdout.contains("leaves: 1 are there, chosen by since 2026"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn what_was_changed_is_said_and_exits_with_1() {
    let ledger = Ledger::start().await;
    let dir = ledger.export("export", "").await;
    let path = Path::new(&dir).join("envelopes/1.json");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[9] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let ran = ledger.verify(&dir, "").await;
    assert_eq!(ran.exit, 1);
    assert!(
        ran.stdout
            .starts_with("✗ envelopes/1.json: has the digest sha256:"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.ends_with("do not rely on it\n"), "{}", ran.stdout);
    let ran = ledger.verify("/nonexistent", "").await;
    assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""));
    assert!(
        ran.stderr.contains("why:  reading /nonexistent"),
        "{}",
        ran.stderr
    );
    let no_key = run(
        "http://x",
        &format!("audit verify {dir} --key {}", ledger.path("root.pub")),
    )
    .await;
    assert_eq!(no_key.exit, 2);
    assert!(
        no_key.stderr.contains("give the ledger's key as NAME+ID+KEY"),
        "{}",
        no_key.stderr
    );
}

#[tokio::test]
async fn nothing_is_restored_from_what_is_not_good_or_not_whole() {
    let ledger = Ledger::start().await;
    let (key, root) = (ledger.path("ledger.vkey"), ledger.path("root.pub"));
    let restore = async |dir: &str| {
        let nats = "--nats nats://127.0.0.1:1";
        run(
            "http://x",
            &format!("audit restore {dir} {nats} --key {key} --root {root}"),
        )
        .await
    };
    let part = ledger.export("part", "--release v2.9.5").await;
    let ran = restore(&part).await;
    assert_eq!(ran.exit, 1);
    assert!(
        ran.stderr
            .contains("the export has 2 of 4 leaves; nothing was restored"),
        "{}",
        ran.stderr
    );
    std::fs::write(Path::new(&part).join("README.txt"), "all is well").unwrap();
    let ran = restore(&part).await;
    assert_eq!(ran.exit, 1);
    assert!(ran.stdout.contains("✗ README.txt: is not what"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_ledger_is_never_begun_anew_over_something_or_under_its_old_name() {
    let ledger = Ledger::start().await;
    let dir = ledger.export("export", "").await;
    let rebuild = async |place: &str, origin: &str| {
        let (key, note) = (ledger.path("ledger.vkey"), ledger.path("note.key"));
        let more = format!("--key {key} --note-key {note} --export {dir} --nats nats://127.0.0.1:1");
        run(
            "http://x",
            &format!("audit rebuild --ledger {place} --origin {origin} {more}"),
        )
        .await
    };
    let ran = rebuild(&ledger.path("ledger"), "ledger.example/fleet-2").await;
    assert_eq!(ran.exit, 2);
    assert!(
        ran.stderr.contains("move it away and keep it: it is evidence"),
        "{}",
        ran.stderr
    );
    let ran = rebuild(&ledger.path("new"), NAME).await;
    assert_eq!(ran.exit, 2);
    assert!(
        ran.stderr
            .contains("the new ledger can't be called ledger.example/fleet"),
        "{}",
        ran.stderr
    );
}
