//! A log in memory with two keys of the verifier, for the tests of this crate.

use std::sync::Arc;

use attest::{BundleKey, Role, SigningKey, Trust, TrustBundle};
use bus::memory::MemoryLog;
use bus::{EventLog, Journal, Judge, View};
use domain::{Component, Digest, ImageContents, ReleaseKey, Version};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

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
