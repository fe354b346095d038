//! Seeds, played. `FLUXGATE_SIM_SEEDS` plays more of them, `FLUXGATE_SIM_SEED` one again, with its transcript.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests: they assert, and a failing seed says how it is played again"
)]

use std::sync::Mutex;
use std::time::Instant;

use simulation::{Bug, Failure, Plan, Played, play};

/// Seeds that are played where nobody says otherwise.
const SEEDS: u64 = 6;
/// Within so many seeds a rule that is taken out is found.
const FOUND_WITHIN: u64 = 24;
/// Courses side by side: two cores.
const AT_ONCE: usize = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn on_a_runtime(seed: u64, plan: Plan) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(play(seed, plan))
}

/// Plays seeds side by side, in order, until one is enough.
fn side_by_side(seeds: Vec<u64>, plan: Plan, enough: impl Fn(u64, Played) -> bool + Sync) {
    let seeds = Mutex::new(seeds.into_iter());
    let next = || seeds.lock().expect("no thread panics with it").next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(seed) = next() {
                    if enough(seed, on_a_runtime(seed, plan)) {
                        seeds
                            .lock()
                            .expect("no thread panics with it")
                            .by_ref()
                            .for_each(drop);
                    }
                }
            });
        }
    });
}

#[test]
fn no_seed_is_unsafe_and_all_finish() {
    let again = number("FLUXGATE_SIM_SEED");
    let count = number("FLUXGATE_SIM_SEEDS").unwrap_or(SEEDS);
    let seeds: Vec<u64> = again.map_or_else(|| (1..=count).collect(), |seed| vec![seed]);
    let (failures, begun) = (Mutex::new(Vec::new()), Instant::now());
    side_by_side(seeds, Plan::default(), |seed, played| {
        if again.is_some() {
            played.transcript.iter().for_each(|line| eprintln!("{line}"));
        }
        match played.result {
            Ok(report) => eprintln!("seed {seed}: {report:?}, after {:?}", begun.elapsed()),
            Err(failure) => {
                let chain = format!("{:?}", anyhow::Error::from(failure));
                let command = "cargo test -p simulation --test seeds no_seed -- --nocapture";
                let text = format!("seed {seed}: {chain}\nagain: FLUXGATE_SIM_SEED={seed} {command}");
                eprintln!("{text}");
                failures.lock().expect("no thread panics with it").push(text);
            }
        }
        false
    });
    let failures = failures.into_inner().expect("no thread panics with it");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_seed_takes_the_same_course_again() {
    let [first, second] = [1, 1].map(|seed| {
        on_a_runtime(
            seed,
            Plan {
                calm: 300,
                ..Plan::default()
            },
        )
    });
    assert!(first.transcript.len() > 100, "{:?}", first.transcript);
    assert_eq!(first.transcript, second.transcript);
    let another = on_a_runtime(
        2,
        Plan {
            calm: 300,
            ..Plan::default()
        },
    );
    assert_ne!(first.transcript, another.transcript);
}

/// The first seed in which the bug is found, and what was found.
fn found(bug: Bug) -> Option<(u64, String)> {
    let plan = Plan {
        calm: 100,
        bug: Some(bug),
        ..Plan::default()
    };
    let found = Mutex::new(None);
    side_by_side((1..=FOUND_WITHIN).collect(), plan, |seed, played| {
        match played.result {
            Err(Failure::Unsafe { what, .. }) => {
                *found.lock().expect("no thread panics with it") = Some((seed, what));
                true
            }
            Ok(_) | Err(Failure::Unfinished { .. } | Failure::Harness(_)) => false,
        }
    });
    found.into_inner().expect("no thread panics with it")
}

macro_rules! found {
    ($($name:ident: $bug:ident finds $what:literal),* $(,)?) => {$(
        #[test]
        fn $name() {
            let (seed, what) = found(Bug::$bug).expect("the bug is found");
            eprintln!("{:?} is found by seed {seed}: {what}", Bug::$bug);
            assert!(what.contains($what), "{what}");
        }
    )*};
}

// What a reader takes for the value decides where it goes wrong first: any objection is the bug found.
found![
    publishers_that_expect_nothing_are_found: IgnoresExpectation finds "published over the valid event",
    readers_of_the_last_event_are_found: ReadsTheLast finds "",
    a_decider_that_says_it_has_read_everything_is_found: IgnoresAsOf finds "rests on",
    agents_that_forget_epochs_are_found: ForgetsEpochs finds "follows epoch",
    deciders_that_take_the_ledger_for_sure_are_found: IgnoresLedger finds "ledger",
    a_controller_that_ignores_stops_is_found: IgnoresStops finds "the stop of",
    agents_that_keep_to_the_first_bundle_are_found: KeepsTheFirstBundle finds "ended key",
    an_answer_before_a_stop_is_applied_is_found: AnswersEarly finds "was answered as applied",
];
