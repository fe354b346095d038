use bus::Journal;

use super::*;
use crate::fixture::{NOW, World, release};

mod fetches;
mod flavours;
mod late;
mod requests;

fn summary(attempt: u64) -> v1::RoleSummary {
    v1::RoleSummary::from(&RoleSummary {
        release: release(4),
        attempt,
        contents: None,
        checks: Vec::new(),
    })
}

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

async fn open_attempt(journal: &Journal, release: &ReleaseKey) -> Result<Option<u64>, ViewError> {
    attempt::open(journal, release, Ask::time(NOW), DAY).await
}

async fn summarise(journal: &Journal, attempt: u64) {
    let name = subject::verification_summary(&release(4), attempt);
    let written = journal.once(&name, &summary(attempt), "").await.unwrap();
    assert!(matches!(written, bus::Written::Ours(_)));
}

#[tokio::test]
async fn a_release_is_verified_once_as_long_as_the_key_acts() {
    let world = World::new();
    let service = world.service().await;
    let key = release(4);
    let open = || open_attempt(&service.journal, &key);
    assert_eq!(open().await.unwrap(), Some(1));
    summarise(&service.journal, 1).await;
    assert_eq!(open().await.unwrap(), None);
}

#[tokio::test]
async fn a_further_attempt_is_opened_where_the_key_does_not_act_any_more() {
    let world = World::new();
    summarise(&world.service().await.journal, 1).await;
    let service = world.after_rotation().await;
    let key = release(4);
    let open = || open_attempt(&service.journal, &key);
    assert_eq!(open().await.unwrap(), Some(2));
    summarise(&service.journal, 2).await;
    assert_eq!(open().await.unwrap(), None);
}

#[tokio::test]
async fn contents_by_a_key_that_does_not_act_any_more_open_an_attempt_too() {
    let world = World::new();
    let contents = v1::ReleaseContents::from(&ReleaseContents {
        release: release(4),
        layer: Digest::of(b"l"),
        document: Digest::of(b"d"),
        images: BTreeMap::new(),
    });
    let key = release(4);
    let name = subject::verification_contents(Scope::Release(&key), 1);
    let before = world.service().await;
    before.journal.once(&name, &contents, "").await.unwrap();
    // The key was retired between contents and summary.
    let service = world.after_rotation().await;
    assert_eq!(open_attempt(&service.journal, &key).await.unwrap(), Some(1));
    summarise(&service.journal, 1).await;
    assert_eq!(open_attempt(&service.journal, &key).await.unwrap(), Some(2));
}
