//! What is read at every look, read once: the newest valid event of each workflow that has a step.
//!
//! A reader that lists a thousand statements whenever something changes spends its time parsing what it has parsed
//! before. This keeps what they say, and takes from the view only what came since. It is dropped, and read again from
//! the beginning, whenever the view was made anew.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::{Fact, View, ViewError};
use crate::subject::Area;

/// The newest valid event of each workflow that has this step, as one type; those that do not read as it are left
/// out.
#[derive(Debug)]
pub struct Newest<T> {
    area: Area,
    step: &'static str,
    read: fn(&Fact) -> Option<T>,
    held: Mutex<Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    making: u64,
    last: u64,
    by_workflow: HashMap<String, (u64, Arc<T>)>,
    /// The same in stream order, as it is handed out.
    listed: Arc<Vec<Arc<T>>>,
}

impl<T> Held<T> {
    fn of(making: u64) -> Self {
        Self {
            making,
            last: 0,
            by_workflow: HashMap::new(),
            listed: Arc::default(),
        }
    }

    fn take(&mut self, facts: &[Fact], read: fn(&Fact) -> Option<T>) {
        for fact in facts {
            self.last = self.last.max(fact.sequence);
            let workflow = fact.subject.workflow();
            match read(fact) {
                Some(value) => {
                    let value = (fact.sequence, Arc::new(value));
                    self.by_workflow.insert(workflow.to_owned(), value);
                }
                // What stood before is not the newest any more.
                None => drop(self.by_workflow.remove(workflow)),
            }
        }
        let mut all: Vec<_> = self.by_workflow.values().collect();
        all.sort_by_key(|(sequence, _)| *sequence);
        self.listed = Arc::new(all.into_iter().map(|(_, value)| Arc::clone(value)).collect());
    }
}

impl<T> Newest<T> {
    /// Nothing is read before the first [`Self::of`].
    pub fn new(area: Area, step: &'static str, read: fn(&Fact) -> Option<T>) -> Self {
        Self {
            area,
            step,
            read,
            held: Mutex::new(Held::of(0)),
        }
    }

    /// All of them as the view has them now, in stream order. Each `Newest` is asked about one view.
    ///
    /// # Errors
    /// As [`View::get`].
    pub async fn of(&self, view: &View) -> Result<Arc<Vec<Arc<T>>>, ViewError> {
        let mut held = self.held.lock().await;
        loop {
            let facts = view.inner.store.newer(self.area, self.step, held.last).await?;
            // Asked after the reading: what was read is then of this making, or of one that is seen here.
            let making = view.making().await?;
            if making != held.making {
                *held = Held::of(making);
                continue;
            }
            if !facts.is_empty() {
                held.take(&facts, self.read);
            }
            return Ok(Arc::clone(&held.listed));
        }
    }
}
