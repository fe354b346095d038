//! A replica on a bus in memory, for tests: the services as a client calls them.

use std::collections::BTreeMap;
use std::sync::Arc;

use attest::bundle::{self, BundleKey, TrustBundle};
use attest::{Role, SigningKey, Trust};
use bus::blobs::Blobs;
use bus::buckets::Values;
use bus::memory::{MemoryBlobs, MemoryLog, MemoryValues};
use bus::streams::Bucket;
use bus::{EventLog, Journal, Judge, View, subject};
use domain::assignment::StatementRef;
use domain::rollout::{RolloutEnd, RolloutFinished, RolloutStarted, StrategyId, Superseding, WaveSnapshot};
use domain::{Action, Assignment, Digest, Epoch, Mode, ReleaseKey, RolloutKey};
use hub::Hub;
use jiff::{SignedDuration, Timestamp};
use runtime::{Clock, Shutdown};
use tempfile::TempDir;
use wire::fleet;
use wire::rollout::v1;

use crate::{Controller, Settings};

const STRATEGY: &str = "apiVersion: rollout.fluxgate.dev/v1alpha1\nkind: Strategy\nmetadata: {name: s}\nspec:\n  \
                        waves:\n    - {name: canary, selector: {matchLabels: {wave: canary}}}\n    \
                        - {name: main, selector: {matchLabels: {wave: main}}}\n";

/// The bus, with everything that lies on it.
pub(crate) struct Stand {
    log: MemoryLog,
    status: MemoryValues,
    pub(crate) assignments: MemoryValues,
    root: SigningKey,
    key: Arc<SigningKey>,
    folder: TempDir,
}

/// One replica on it.
pub(crate) struct Replica {
    pub(crate) controller: Arc<Controller>,
    pub(crate) hub: Hub,
}

impl Stand {
    pub(crate) fn new() -> Self {
        let generate = || SigningKey::generate().unwrap().0;
        let folder = tempfile::tempdir().unwrap();
        let agent = |name, wave, region| {
            let key = generate().public().fingerprint();
            format!("  - {{name: {name}, labels: {{wave: {wave}, region: {region}}}, agentKey: \"{key}\"}}\n")
        };
        let fleet = format!(
            "apiVersion: fleet.fluxgate.dev/v1alpha1\nkind: Fleet\nclusters:\n{}{}{}",
            agent("c1", "canary", "eu"),
            agent("m1", "main", "eu"),
            agent("m2", "main", "us")
        );
        std::fs::write(folder.path().join("fleet.yaml"), fleet).unwrap();
        std::fs::write(folder.path().join("strategy.yaml"), STRATEGY).unwrap();
        Self {
            log: MemoryLog::new(Timestamp::now()),
            status: MemoryValues::default(),
            assignments: MemoryValues::default(),
            root: generate(),
            key: Arc::new(generate()),
            folder,
        }
    }

    /// Takes a cluster out of the fleet's file.
    pub(crate) fn remove(&self, cluster: &str) {
        let path = self.folder.path().join("fleet.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let kept = text
            .lines()
            .filter(|line| !line.contains(&format!("name: {cluster},")));
        std::fs::write(path, kept.collect::<Vec<_>>().join("\n")).unwrap();
    }

    /// How many events there are.
    pub(crate) async fn stored(&self) -> u64 {
        EventLog::last_sequence(&self.log).await.unwrap()
    }

    /// Publishes another bundle, under which the key of all replicas is retired from here on.
    pub(crate) fn retire(&self) -> u64 {
        let end = self.log.events().len() as u64;
        let bundle = self.bundle(2, Some(end));
        self.log.inject(bundle::bundle_subject(2), bundle)
    }

    fn trust(&self) -> Trust {
        Trust::open(self.root.public(), 1, &self.bundle(1, None)).unwrap()
    }

    /// A bundle with the key of all replicas.
    pub(crate) fn bundle(&self, version: u64, retired_at: Option<u64>) -> Vec<u8> {
        let (now, hour) = (Timestamp::now(), SignedDuration::from_hours(1));
        let key = BundleKey {
            role: Role::Controller,
            public_key: self.key.public().to_pem(),
            not_before: now - hour,
            not_after: now + hour,
            retired_at,
            revoked_at: None,
        };
        let bundle = TrustBundle {
            version,
            demo: true,
            keys: vec![key],
        };
        bundle::sign(&bundle, &self.root, now).unwrap().to_bytes()
    }

    /// A replica that answers and does not act.
    pub(crate) async fn standby(&self) -> Replica {
        let log: Arc<dyn EventLog> = Arc::new(self.log.clone());
        let view = View::open(None, Judge::new(hub::join::SCHEMA, self.trust()))
            .await
            .unwrap();
        let shutdown = Shutdown::default();
        let (following, source, token) = (view.clone(), Arc::clone(&log), shutdown.token());
        tokio::spawn(async move { following.run(source, token).await });
        // Of a server that is not there: what is sent by it is lost, as a wake may be.
        let client = async_nats::ConnectOptions::new().retry_on_initial_connect();
        let clock = Clock::system();
        let hub = Hub {
            client: client.connect("127.0.0.1:9").await.unwrap(),
            journal: Journal::new(
                Arc::clone(&log),
                view.clone(),
                Arc::clone(&self.key),
                Arc::new(move || clock.now()),
            ),
            blobs: Blobs::in_memory(MemoryBlobs::default()),
            assignments: Values::in_memory(self.assignments.clone(), Bucket::Assignments),
            heartbeats: Values::in_memory(MemoryValues::default(), Bucket::Heartbeats),
            status: Values::in_memory(self.status.clone(), Bucket::Status),
            log,
            view,
            key: Arc::clone(&self.key),
            clock,
            shutdown,
        };
        let settings = Settings {
            fleet: self.folder.path().join("fleet.yaml"),
            strategy: self.folder.path().join("strategy.yaml"),
        };
        let controller = Arc::new(Controller::open(hub.clone(), settings).unwrap());
        let drawing = Arc::clone(&controller);
        tokio::spawn(async move { drawing.draw_boards().await });
        Replica { controller, hub }
    }

    /// A replica that holds the lease, and looks only when it is told to.
    pub(crate) async fn idle(&self) -> Replica {
        let replica = self.standby().await;
        let controller = Arc::clone(&replica.controller);
        tokio::spawn(async move {
            let Hub { status, shutdown, .. } = &controller.hub;
            controller
                .lease
                .lead(status, shutdown, std::future::pending::<()>)
                .await;
        });
        while !replica.controller.lease.is_held() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        replica
    }

    /// A replica that acts, with its fleet published.
    pub(crate) async fn active(&self) -> Replica {
        let replica = self.standby().await;
        let controller = Arc::clone(&replica.controller);
        tokio::spawn(async move {
            let Hub { status, shutdown, .. } = &controller.hub;
            let work = || Box::pin(controller.act());
            controller.lease.lead(status, shutdown, work).await;
        });
        while replica.controller.members().await.unwrap().len() < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        replica
    }
}

impl Replica {
    /// Writes that a rollout began; both waves, all clusters.
    pub(crate) async fn begin(&self, key: &str) {
        let rollout: RolloutKey = key.parse().unwrap();
        let wave = |name: &str, clusters: &[&str]| WaveSnapshot {
            name: name.to_owned(),
            policy: "default".to_owned(),
            clusters: clusters.iter().map(|name| name.parse().unwrap()).collect(),
            max_concurrency: 1,
            bake: SignedDuration::ZERO,
            bake_clusters: 1,
            bake_reconciles: 0,
            failure_budget: 0,
            min_clusters: 1,
        };
        let started = RolloutStarted {
            release: ReleaseKey {
                version: rollout.version.clone(),
                manifests: Digest::of(b"m"),
            },
            strategy: StrategyId {
                name: "s".to_owned(),
                digest: Digest::of(b"s"),
            },
            waves: vec![wave("canary", &["c1"]), wave("main", &["m1", "m2"])],
            failure_budget: None,
            unreachable_budget: None,
            superseding: Superseding::FinishRollout,
            rollout,
        };
        let name = subject::rollout_started(&started.rollout);
        let claim = v1::RolloutStarted::from(&started);
        self.hub.journal.once(&name, &claim, "").await.unwrap();
    }

    /// Writes that a cluster was asked to upgrade by a rollout that nobody began. The decision that is named is not
    /// there, and the fleet's first member stands for the other statements.
    pub(crate) async fn assign(&self, cluster: &str) {
        let (rollout, now): (RolloutKey, _) = ("flux-v2.9.4-1".parse().unwrap(), Timestamp::now());
        let release = ReleaseKey {
            version: rollout.version.clone(),
            manifests: Digest::of(b"m"),
        };
        let baseline = "0123456789abcdef".parse().unwrap();
        let named = |subject: bus::Subject| StatementRef {
            subject: subject.to_string(),
            digest: Digest::of(b"statement"),
        };
        let member = named(subject::member(&"c1".parse().unwrap(), 1));
        let assignment = Assignment {
            cluster: cluster.parse().unwrap(),
            epoch: Epoch(1),
            action: Action::Upgrade,
            mode: Mode::Enforce,
            decision: named(subject::decision(&release, "default", &baseline, 1)),
            rollout,
            target: release,
            layer: Digest::of(b"layer"),
            images: BTreeMap::new(),
            image_registry: "ghcr.io".to_owned(),
            baseline,
            contents: member.clone(),
            baseline_contents: member.clone(),
            summaries: vec![member],
            stops: Vec::new(),
            stable_for: SignedDuration::from_secs(60),
            success_deadline: SignedDuration::from_mins(30),
            issued: now,
            expires: now + SignedDuration::from_hours(1),
            as_of: 0,
        };
        let name = subject::assignment(&assignment.cluster, assignment.epoch);
        let claim = fleet::v1::Assignment::from(&assignment);
        self.hub.journal.once(&name, &claim, "").await.unwrap();
    }

    /// Writes how it ended.
    pub(crate) async fn end(&self, key: &str, end: RolloutEnd) {
        let finished = RolloutFinished {
            rollout: key.parse().unwrap(),
            end,
            detail: "for a test".to_owned(),
        };
        let name = subject::rollout_finished(&finished.rollout);
        let claim = v1::RolloutFinished::from(&finished);
        self.hub.journal.once(&name, &claim, "").await.unwrap();
    }
}
