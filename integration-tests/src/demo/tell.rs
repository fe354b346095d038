//! Telling: a line for each thing that happens, with the time since the scene began. The ledger is what the story is
//! told from: what is not there did not happen.

use std::sync::Mutex;
use std::time::Instant;

use crate::stage::{Hub, StageError};

/// Writes the story, line by line.
#[derive(Debug)]
pub struct Teller {
    begun: Mutex<Instant>,
    write: fn(&str),
    read: Mutex<String>,
}

impl Teller {
    /// A teller that hands each line to `write`.
    #[must_use]
    pub fn new(write: fn(&str)) -> Self {
        Self {
            begun: Mutex::new(Instant::now()),
            write,
            read: Mutex::default(),
        }
    }

    /// Says a line with the time.
    pub fn say(&self, line: &str) {
        let seconds = self
            .begun
            .lock()
            .map_or(0.0, |begun| begun.elapsed().as_secs_f64());
        (self.write)(&format!("{seconds:6.1}s  {line}"));
    }

    /// Says a line as it is.
    pub fn plain(&self, line: &str) {
        (self.write)(line);
    }

    /// A new story: the clock starts again, and the ledger is read from its beginning.
    pub fn begin(&self, title: &str) {
        if let Ok(mut begun) = self.begun.lock() {
            *begun = Instant::now();
        }
        if let Ok(mut read) = self.read.lock() {
            read.clear();
        }
        self.plain("");
        self.plain(title);
    }

    /// Says what the ledger has got since the last time.
    ///
    /// # Errors
    /// If the hub does not answer.
    pub async fn catch_up(&self, hub: &Hub) -> Result<(), StageError> {
        let from = self.read.lock().map(|read| read.clone()).unwrap_or_default();
        let known: usize = from.parse().unwrap_or(0);
        let entries = hub.entries("").await?.entries;
        for entry in entries.iter().skip(known) {
            let kind = match entry.kind.as_str() {
                // Said about every artifact; the summary says it once.
                "evidence" | "" => continue,
                kind => kind,
            };
            self.say(&format!(
                "ledger {:>3}  {kind:<17} {}",
                entry.sequence, entry.summary
            ));
        }
        if let Ok(mut read) = self.read.lock() {
            *read = entries.len().to_string();
        }
        Ok(())
    }
}
