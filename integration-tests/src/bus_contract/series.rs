//! Series under two writers.

use bus::{Turn, Written, subject};
use domain::Epoch;

use super::*;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Assigned {
    to: String,
}

impl Claim for Assigned {
    const KIND: &'static str = "assignment";
}

fn to(name: impl Into<String>) -> Assigned {
    Assigned { to: name.into() }
}

/// A series whose events say up to where their maker had read.
fn assignment(n: u64) -> Subject {
    subject::assignment(&"edge-1".parse().expect("a name"), Epoch(n))
}

pub(super) async fn of_two_replicas_an_older_decision_never_wins(site: &mut dyn Site) {
    let world = World::new();
    let (slow, fast) = (world.service(site).await, world.service(site).await);
    let first = assignment(1);
    // The slow one begins to read; then the world changes, and the fast one decides by what it is now.
    let read = slow.view.cursor();
    let changed = site.publish_raw(&started(1), "news".into()).await;
    soon("folding", fast.view.reached(changed)).await;
    let newer = fast
        .journal
        .series_as_of(first.series(), "", changed, |_| Some(to("newer")));
    let newer = newer.await.unwrap().unwrap();
    assert!(matches!(newer, Written::Ours(_)));
    let older = slow
        .journal
        .series_as_of(first.series(), "", read, |_| Some(to("older")));
    assert_eq!(
        older.await.unwrap().unwrap(),
        Written::Theirs(newer.clone().into_fact())
    );
    // Who follows none of our rules, with the right key, still does not get an older reading counted.
    let forged = world.signed_as_of(&assignment(2), &to("older"), changed - 1);
    let forged = site.publish_raw(&assignment(2), forged).await;
    for service in [&slow, &fast, &world.service(site).await] {
        soon("folding", service.view.reached(forged)).await;
        let newest = service.view.latest(first.series()).await.unwrap();
        assert_eq!(newest.as_ref(), Some(newer.fact()));
    }
    let next = slow
        .journal
        .series_as_of(first.series(), "", forged, |turn: Turn<'_>| {
            Some(to(format!("{}", turn.n)))
        });
    let next = next.await.unwrap().unwrap();
    assert_eq!(next.fact().subject, assignment(2));
    assert_eq!(next.fact().claim::<Assigned>().unwrap(), to("2"));
}

pub(super) async fn two_writers_of_a_series_lose_nothing(site: &mut dyn Site) {
    const EACH: usize = 8;
    let world = World::new();
    let (one, two) = (world.service(site).await, world.service(site).await);
    let write = async |service: &Service, name: &str| {
        for number in 0..EACH {
            let said = to(format!("{name} {number}"));
            let name = assignment(1);
            let written = service.journal.series(name.series(), "", |_| Some(said.clone()));
            let written = written.await.unwrap().unwrap();
            assert!(matches!(&written, Written::Ours(_)), "{written:?}");
        }
    };
    tokio::join!(write(&one, "one"), write(&two, "two"));
    let last = one.log.last_sequence().await.unwrap();
    let reader = world.service(site).await;
    soon("folding", reader.view.reached(last)).await;
    let series = reader.view.series(assignment(1).series()).await.unwrap();
    let numbers: Vec<u64> = series.iter().map(|fact| fact.subject.n()).collect();
    assert_eq!(numbers, (1..=2 * EACH as u64).collect::<Vec<_>>());
    let mut said: Vec<Assigned> = series.iter().map(|fact| fact.claim().unwrap()).collect();
    said.sort();
    let all = ["one", "two"]
        .iter()
        .flat_map(|name| (0..EACH).map(move |n| to(format!("{name} {n}"))));
    assert_eq!(said, all.collect::<Vec<_>>());
    for number in numbers {
        assert_eq!(count(reader.log.as_ref(), &assignment(number)).await, 1);
    }
}
