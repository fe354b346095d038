use std::sync::Arc;

use attest::{BundleKey, Role, SigningKey, Trust, TrustBundle};
use bus::memory::MemoryLog;
use bus::{EventLog, Judge, View};
use domain::Digest;
use domain::decision::PolicyId;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;

const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

struct World {
    log: MemoryLog,
    journal: Journal,
    _running: DropGuard,
}

async fn world() -> World {
    let ((root, _), (key, _)) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let hour = SignedDuration::from_hours(1);
    let policy = BundleKey {
        role: Role::Policy,
        public_key: key.public().to_pem(),
        not_before: NOW - hour,
        not_after: NOW + hour,
        retired_at: None,
        revoked_at: None,
    };
    let bundle = TrustBundle {
        version: 1,
        demo: true,
        keys: vec![policy],
    };
    let envelope = attest::bundle::sign(&bundle, &root, NOW).unwrap().to_bytes();
    let trust = Trust::open(root.public(), 1, &envelope).unwrap();
    let view = View::open(None, Judge::new(hub::join::SCHEMA, trust))
        .await
        .unwrap();
    let (log, stop) = (MemoryLog::new(NOW), CancellationToken::new());
    let shared: Arc<dyn EventLog> = Arc::new(log.clone());
    let (following, source, token) = (view.clone(), Arc::clone(&shared), stop.clone());
    tokio::spawn(async move { following.run(source, token).await });
    World {
        log,
        journal: Journal::new(shared, view, Arc::new(key), Arc::new(|| NOW)),
        _running: stop.drop_guard(),
    }
}

fn file(text: &str) -> wire::PolicyDocument {
    wire::PolicyDocument {
        policy: PolicyId {
            name: "default".to_owned(),
            digest: Digest::of(text.as_bytes()),
        },
        text: text.to_owned(),
    }
}

impl World {
    async fn published(&self, file: &wire::PolicyDocument, begun: &Begun) -> usize {
        publish_text(&self.journal, file, begun).await.unwrap();
        self.log.events().len()
    }
}

#[tokio::test]
async fn replicas_with_different_files_do_not_fight() {
    let world = world().await;
    let (old, new) = (file("old"), file("new"));
    let (one, two) = (Begun::default(), Begun::default());
    assert_eq!(world.published(&old, &one).await, 1);
    assert_eq!(world.published(&new, &two).await, 2);
    for _ in 0..3 {
        assert_eq!(world.published(&old, &one).await, 2);
        assert_eq!(world.published(&new, &two).await, 2);
    }
}

#[tokio::test]
async fn a_restart_publishes_its_file_once_over_another_text() {
    let world = world().await;
    let (old, new) = (file("old"), file("new"));
    world.published(&old, &Begun::default()).await;
    world.published(&new, &Begun::default()).await;
    // Back to the old file, which means: start again.
    let again = Begun::default();
    assert_eq!(world.published(&old, &again).await, 3);
    assert_eq!(world.published(&old, &again).await, 3);
    assert_eq!(world.published(&old, &Begun::default()).await, 3);
}

#[tokio::test]
async fn what_the_log_has_never_had_is_published() {
    let world = world().await;
    let begun = Begun::default();
    world.published(&file("text"), &begun).await;
    // Also where the stream was made anew, or the key that said it was revoked.
    let other = file("other");
    assert_eq!(world.published(&other, &begun).await, 2);
}
