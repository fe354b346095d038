//! The fake event log, and one that goes wrong: as often as it is told to, the same way for the same seed.
//!
//! [`MemoryLog`] passes the contract of the log on JetStream (`integration-tests`, `bus_contract`); it stands in
//! `bus::memory`, beside the unit tests that need it. [`Faulty`] is one replica's way to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bus::Subject;
use bus::log::{Appended, EventLog, Expect, LogError, Stored, Tail};
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::watch;

pub use bus::memory::{Failure, MemoryBlobs, MemoryLog, MemoryValues};

/// A generator whose numbers follow from its seed alone, on every machine and in every version of this code
/// (SplitMix64). Clones share it.
#[derive(Debug, Clone)]
pub struct Dice(Arc<Mutex<u64>>);

impl Dice {
    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed)))
    }

    /// The next number.
    #[must_use]
    pub fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where that is 0.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// Whether something happens that happens so many times in a thousand.
    #[must_use]
    pub fn happens(&self, permille: u64) -> bool {
        self.below(1000) < permille
    }
}

/// How often what goes wrong, in a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// A publish is not stored, and answered by an error.
    pub lost: u64,
    /// A publish is stored, and answered by an error.
    pub answer_lost: u64,
    /// A publish is answered by an error and lands some publishes later, if what it expects is still so.
    pub late: u64,
    /// A publish that was stored is stored once more, by somebody who expects nothing.
    pub duplicated: u64,
    /// A read of one event is answered by a replica that has nothing of it.
    pub lagging: u64,
}

/// A publish that is on its way: after so many others.
#[derive(Debug)]
struct Late {
    after: u64,
    subject: Subject,
    payload: Bytes,
    traceparent: Option<String>,
    expect: Expect,
}

/// What the replicas of one log share.
#[derive(Debug, Default)]
struct Weather {
    faults: Faults,
    late: Vec<Late>,
    /// Publishes so far.
    publishes: u64,
}

/// One replica's way to the log. Publishes go wrong as the dice say; what the tail delivers ends where
/// [`Self::show`] says, whatever the log holds. [`Self::replica`] makes another one.
#[derive(Debug)]
pub struct Faulty {
    log: MemoryLog,
    dice: Dice,
    weather: Arc<Mutex<Weather>>,
    shown: watch::Sender<u64>,
}

/// How a publish ends.
enum Fate {
    Fine,
    Lost,
    AnswerLost,
    Late,
}

impl Faulty {
    /// The first replica of a log.
    #[must_use]
    pub fn new(log: MemoryLog, dice: Dice, faults: Faults) -> Self {
        let weather = Weather {
            faults,
            ..Weather::default()
        };
        Self {
            log,
            dice,
            weather: Arc::new(Mutex::new(weather)),
            shown: watch::Sender::new(0),
        }
    }

    /// Another replica, to whose tail nothing has been shown yet.
    #[must_use]
    pub fn replica(&self) -> Self {
        Self {
            log: self.log.clone(),
            dice: self.dice.clone(),
            weather: Arc::clone(&self.weather),
            shown: watch::Sender::new(0),
        }
    }

    /// Lets this replica's tail deliver up to this sequence; never less than before.
    pub fn show(&self, sequence: u64) {
        self.shown.send_if_modified(|shown| {
            let more = *shown < sequence;
            *shown = sequence.max(*shown);
            more
        });
    }

    /// Up to where this replica's tail delivers.
    #[must_use]
    pub fn shown(&self) -> u64 {
        *self.shown.borrow()
    }

    /// How often what goes wrong from now on, for every replica. What was on its way stays there.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Lets everything land that is on its way; says how many there were.
    pub async fn settle(&self) -> usize {
        let late = std::mem::take(&mut self.lock().late);
        let count = late.len();
        for publish in late {
            self.land(publish).await;
        }
        count
    }

    fn lock(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How this publish ends; all the dice of a publish are thrown, so that one fault does not move the others.
    fn fate(&self) -> Fate {
        let faults = self.lock().faults;
        let lost = self.dice.happens(faults.lost);
        let answer_lost = self.dice.happens(faults.answer_lost);
        let late = self.dice.happens(faults.late);
        match (lost, answer_lost, late) {
            (true, _, _) => Fate::Lost,
            (false, true, _) => Fate::AnswerLost,
            (false, false, true) => Fate::Late,
            (false, false, false) => Fate::Fine,
        }
    }

    /// Lets land what has waited for long enough.
    async fn pass(&self) {
        let due: Vec<Late> = {
            let mut weather = self.lock();
            weather.publishes += 1;
            let publishes = weather.publishes;
            weather
                .late
                .extract_if(.., |late| late.after <= publishes)
                .collect()
        };
        for publish in due {
            self.land(publish).await;
        }
    }

    async fn land(&self, late: Late) {
        let traceparent = late.traceparent.as_deref();
        let landed = self
            .log
            .append(&late.subject, late.payload, traceparent, late.expect);
        // Whoever sent it has long gone on: a conflict is nobody's news.
        let _unheard = landed.await;
    }
}

fn unknown(subject: &Subject) -> LogError {
    LogError::Unknown {
        subject: subject.to_string(),
        source: "no answer came".into(),
    }
}

#[async_trait]
impl EventLog for Faulty {
    async fn append(
        &self,
        subject: &Subject,
        payload: Bytes,
        traceparent: Option<&str>,
        expect: Expect,
    ) -> Result<Appended, LogError> {
        self.pass().await;
        let fate = self.fate();
        match fate {
            Fate::Lost => return Err(unknown(subject)),
            Fate::Late => {
                let mut weather = self.lock();
                let after = weather.publishes + 1 + self.dice.below(12);
                weather.late.push(Late {
                    after,
                    subject: subject.clone(),
                    payload,
                    traceparent: traceparent.map(str::to_owned),
                    expect,
                });
                return Err(unknown(subject));
            }
            Fate::Fine | Fate::AnswerLost => {}
        }
        let appended = self
            .log
            .append(subject, payload.clone(), traceparent, expect)
            .await;
        if let Ok(Appended::Stored(_)) = appended {
            let faults = self.lock().faults;
            if self.dice.happens(faults.duplicated) {
                self.log.inject(subject.to_string(), payload);
            }
        }
        match fate {
            Fate::AnswerLost => Err(unknown(subject)),
            Fate::Fine | Fate::Lost | Fate::Late => appended,
        }
    }

    async fn first_after(&self, subject: &str, after: u64) -> Result<Option<Stored>, LogError> {
        let faults = self.lock().faults;
        if self.dice.happens(faults.lagging) {
            return Ok(None);
        }
        self.log.first_after(subject, after).await
    }

    async fn get(&self, sequence: u64) -> Result<Option<Stored>, LogError> {
        let faults = self.lock().faults;
        if self.dice.happens(faults.lagging) {
            return Ok(None);
        }
        self.log.get(sequence).await
    }

    async fn last_sequence(&self) -> Result<u64, LogError> {
        self.log.last_sequence().await
    }

    async fn created(&self) -> Result<Timestamp, LogError> {
        self.log.created().await
    }

    async fn tail(&self, from: u64, filters: Vec<String>) -> Result<Tail, LogError> {
        let tail = self.log.tail(from, filters).await?;
        let state = (tail, self.shown.subscribe());
        let gated = futures::stream::unfold(state, async |(mut tail, mut shown)| {
            let next = tail.next().await?;
            if let Ok(event) = &next {
                let sequence = event.sequence;
                shown.wait_for(|shown| *shown >= sequence).await.ok()?;
            }
            Some((next, (tail, shown)))
        });
        Ok(gated.boxed())
    }
}

#[cfg(test)]
mod tests;
