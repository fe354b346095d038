use super::*;

const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);
const NOTHING: Faults = Faults {
    lost: 0,
    answer_lost: 0,
    late: 0,
    duplicated: 0,
    lagging: 0,
};

fn name(ordinal: u32) -> Subject {
    bus::subject::rollout_started(&domain::RolloutKey {
        version: domain::Version::new(2, 9, 4),
        ordinal,
    })
}

async fn append(log: &Faulty, ordinal: u32) -> Result<Appended, LogError> {
    log.append(&name(ordinal), "x".into(), None, Expect::Absent).await
}

fn log(faults: Faults) -> (MemoryLog, Faulty) {
    let log = MemoryLog::new(NOW);
    (log.clone(), Faulty::new(log, Dice::new(7), faults))
}

#[test]
fn one_seed_gives_the_same_numbers_and_another_gives_others() {
    let numbers = |seed| {
        let dice = Dice::new(seed);
        (0..32).map(|_| dice.next()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(1), numbers(1));
    assert_ne!(numbers(1), numbers(2));
    // The first number of SplitMix64 for seed 0, as published.
    assert_eq!(Dice::new(0).next(), 0xe220_a839_7b1d_cdaf);
}

#[tokio::test]
async fn a_lost_publish_is_not_stored_and_a_lost_answer_is() {
    let (stored, faulty) = log(Faults {
        lost: 1000,
        ..NOTHING
    });
    assert!(append(&faulty, 1).await.is_err());
    assert!(stored.events().is_empty());
    faulty.set_faults(Faults {
        answer_lost: 1000,
        ..NOTHING
    });
    assert!(append(&faulty, 1).await.is_err());
    assert_eq!(stored.events().len(), 1);
    faulty.set_faults(NOTHING);
    assert_eq!(append(&faulty, 1).await.unwrap(), Appended::Conflict);
}

#[tokio::test]
async fn a_late_publish_lands_with_its_own_expectation() {
    let (stored, faulty) = log(Faults {
        late: 1000,
        ..NOTHING
    });
    assert!(append(&faulty, 1).await.is_err());
    assert!(append(&faulty, 2).await.is_err());
    faulty.set_faults(NOTHING);
    assert_eq!(append(&faulty, 1).await.unwrap(), Appended::Stored(1));
    faulty.settle().await;
    let subjects: Vec<String> = stored
        .events()
        .iter()
        .map(|event| event.subject.clone())
        .collect();
    assert_eq!(subjects, [name(1).to_string(), name(2).to_string()]);
    // Without anybody who settles it lands after a few others.
    faulty.set_faults(Faults {
        late: 1000,
        ..NOTHING
    });
    assert!(append(&faulty, 3).await.is_err());
    faulty.set_faults(NOTHING);
    for ordinal in 10..25 {
        append(&faulty, ordinal).await.unwrap();
    }
    assert!(
        stored
            .events()
            .iter()
            .any(|event| event.subject == name(3).to_string())
    );
}

#[tokio::test]
async fn a_duplicate_stands_behind_what_it_repeats() {
    let (stored, faulty) = log(Faults {
        duplicated: 1000,
        ..NOTHING
    });
    assert_eq!(append(&faulty, 1).await.unwrap(), Appended::Stored(1));
    assert_eq!(stored.events().len(), 2);
    assert_eq!(stored.events()[0].payload, stored.events()[1].payload);
}

#[tokio::test]
async fn a_replica_that_lags_answers_none_and_its_tail_ends_where_it_is_shown() {
    let (stored, faulty) = log(Faults {
        lagging: 1000,
        ..NOTHING
    });
    for ordinal in 1..=3 {
        stored.inject(name(ordinal).to_string(), "x");
    }
    assert_eq!(faulty.get(1).await.unwrap(), None);
    assert_eq!(faulty.first_after(&name(1).to_string(), 0).await.unwrap(), None);
    assert_eq!(faulty.last_sequence().await.unwrap(), 3);
    let mut tail = faulty.tail(1, Vec::new()).await.unwrap();
    faulty.show(2);
    faulty.show(1);
    assert_eq!(tail.next().await.unwrap().unwrap().sequence, 1);
    assert_eq!(tail.next().await.unwrap().unwrap().sequence, 2);
    let third = tail.next();
    tokio::pin!(third);
    assert!(futures::poll!(third.as_mut()).is_pending());
    faulty.show(3);
    assert_eq!(third.await.unwrap().unwrap().sequence, 3);
    assert_eq!((faulty.shown(), faulty.replica().shown()), (3, 0));
}
