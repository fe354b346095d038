//! A log in memory with two keys of the verifier, and a registry in memory with the release factory before it, for
//! the tests of this crate.

use std::sync::Arc;

use attest::{BundleKey, Role, SigningKey, Trust, TrustBundle};
use bus::blobs::Blobs;
use bus::memory::{MemoryBlobs, MemoryLog};
use bus::{EventLog, Journal, Judge, View, subject};
use domain::{Component, Digest, ImageContents, ReleaseKey, RoleSummary, Version};
use evidence::TrustRoot;
use jiff::{SignedDuration, Timestamp};
use runtime::Clock;
use testkit::factory::{Factory, Flavour, Published, ReleaseSpec};
use testkit::registry::MemoryRegistry;
use testkit::sigstore::DemoSigstore;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::backoff::Backoff;
use crate::baseline::{Obstacles, Statements};
use crate::release::Waiting;
use crate::reverify::Turns;
use crate::{Settings, Verifier};

pub(crate) const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

/// The images of a small release.
const SMALL: [Component; 2] = [Component::SourceController, Component::KustomizeController];

pub(crate) struct World {
    pub(crate) log: MemoryLog,
    root: SigningKey,
    old: Arc<SigningKey>,
    new: Arc<SigningKey>,
}

/// A journal whose view follows the log as long as this lives.
pub(crate) struct Service {
    pub(crate) journal: Journal,
    _running: DropGuard,
}

fn generate() -> SigningKey {
    SigningKey::generate().unwrap().0
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            log: MemoryLog::new(NOW),
            root: generate(),
            old: Arc::new(generate()),
            new: Arc::new(generate()),
        }
    }

    fn trust(&self, retired_at: Option<u64>) -> Trust {
        let hour = SignedDuration::from_hours(1);
        let key = |key: &SigningKey, retired_at| BundleKey {
            role: Role::Verifier,
            public_key: key.public().to_pem(),
            not_before: NOW - hour,
            not_after: NOW + hour,
            retired_at,
            revoked_at: None,
        };
        let bundle = TrustBundle {
            version: 1,
            demo: true,
            keys: vec![key(&self.old, retired_at), key(&self.new, None)],
        };
        let envelope = attest::bundle::sign(&bundle, &self.root, NOW).unwrap().to_bytes();
        Trust::open(self.root.public(), 1, &envelope).unwrap()
    }

    /// A service with the old key.
    pub(crate) async fn service(&self) -> Service {
        self.join(&self.old, None).await
    }

    /// A service with the new key, after the old one was retired behind everything that is there.
    pub(crate) async fn after_rotation(&self) -> Service {
        self.join(&self.new, Some(self.log.events().len() as u64)).await
    }

    async fn join(&self, key: &Arc<SigningKey>, retired_at: Option<u64>) -> Service {
        let judge = Judge::new(hub::join::SCHEMA, self.trust(retired_at));
        let view = View::open(None, judge).await.unwrap();
        let (log, stop): (Arc<dyn EventLog>, _) = (Arc::new(self.log.clone()), CancellationToken::new());
        let (following, source, token) = (view.clone(), Arc::clone(&log), stop.clone());
        tokio::spawn(async move { following.run(source, token).await });
        view.reached(self.log.events().len() as u64).await;
        Service {
            journal: Journal::new(log, view, Arc::clone(key), Arc::new(|| NOW)),
            _running: stop.drop_guard(),
        }
    }
}

/// A verifier on a registry of its own.
pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) registry: MemoryRegistry,
    pub(crate) factory: Factory,
    pub(crate) verifier: Arc<Verifier>,
    _service: Service,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let world = World::new();
        let registry = MemoryRegistry::start().await.unwrap();
        let sigstore = DemoSigstore::new(NOW).unwrap();
        let service = world.service().await;
        let verifier = Arc::new(Verifier {
            view: service.journal.view().clone(),
            journal: service.journal.clone(),
            blobs: Blobs::in_memory(MemoryBlobs::default()),
            clock: Clock::system(),
            registry: client(&registry),
            trust: TrustRoot::from_json(&sigstore.trusted_root_json().unwrap()).unwrap(),
            settings: Settings::new("unused".into()),
            statements: Statements::default(),
            releases: Backoff::default(),
            waiting: Waiting::default(),
            running: Backoff::default(),
            obstacles: Obstacles::default(),
            turns: Turns::default(),
        });
        Self {
            factory: Factory::new(registry.host(), sigstore).unwrap(),
            world,
            registry,
            verifier,
            _service: service,
        }
    }

    /// Makes a release, signed 80 h before [`NOW`].
    pub(crate) async fn publish(&self, version: &Version, flavour: Flavour) -> Published {
        self.publish_of(version, flavour, &testkit::manifests::synthetic(version))
            .await
    }

    /// The same with two images alone: for what is about one of them, or made many times.
    pub(crate) async fn publish_small(&self, version: &Version, flavour: Flavour) -> Published {
        let all = flux::manifest::parse(&testkit::manifests::synthetic(version)).unwrap();
        let objects = flux::subset::render(&all, &SMALL.into()).unwrap();
        // JSON is YAML.
        let document: String = objects
            .iter()
            .map(|object| format!("---\n{}\n", object.value))
            .collect();
        self.publish_of(version, flavour, &document).await
    }

    async fn publish_of(&self, version: &Version, flavour: Flavour, document: &str) -> Published {
        let spec = ReleaseSpec::flavoured(version.clone(), flavour);
        self.factory.release_of(&spec, document, NOW).await.unwrap()
    }

    /// The hint of release-watcher, at this time.
    pub(crate) async fn discover(&self, release: &ReleaseKey, at: Timestamp) {
        self.world.log.set_time(at);
        let found = wire::Discovered {
            release: release.clone(),
            repository: "ghcr.io/fluxcd/flux-manifests".to_owned(),
        };
        let hint = wire::release::v1::ReleaseDiscovered::from(&found);
        let name = subject::release_discovered(release);
        self.verifier
            .journal
            .publish_hint(&name, &hint, "")
            .await
            .unwrap();
    }

    /// The time has come for the timer.
    pub(crate) async fn look_at(&self, now: Timestamp) {
        self.world.log.set_time(now);
        self.verifier.unsummarised(now).await.unwrap();
    }

    /// The summaries of a release, oldest first.
    pub(crate) async fn summaries(&self, release: &ReleaseKey) -> Vec<RoleSummary> {
        let series = subject::verification_summary(release, 1);
        let facts = self.verifier.view.series(series.series()).await.unwrap();
        let read = |fact: &bus::Fact| {
            wire::decode::<wire::verification::v1::RoleSummary, _>(&fact.statement).unwrap()
        };
        facts.iter().map(read).collect()
    }
}

/// A client that fetches upstream's names from this registry.
pub(crate) fn client(registry: &MemoryRegistry) -> registry::Client {
    registry::Client::new(&registry::Config {
        mirrors: vec![registry::Mirror {
            from: "ghcr.io".to_owned(),
            to: format!("http://{}", registry.host()),
        }],
        ..registry::Config::default()
    })
    .unwrap()
}

pub(crate) fn release(patch: u64) -> ReleaseKey {
    ReleaseKey {
        version: Version::new(2, 9, patch),
        manifests: Digest::of(&patch.to_be_bytes()),
    }
}

/// An image of this component under the tag that a known release pins, with an index made from `seed`.
pub(crate) fn image(component: Component, pinned_by: &Version, seed: &str) -> ImageContents {
    let tag = flux::tables::tags(pinned_by).unwrap()[&component].to_string();
    let repository = flux::identity::repository(domain::Artifact::Image(component));
    ImageContents {
        image: domain::ImageRef::tagged(&repository, &tag).unwrap(),
        index: Digest::of(format!("{component} {tag} {seed}").as_bytes()),
        platforms: Default::default(),
    }
}
