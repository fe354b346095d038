//! The event log on NATS JetStream, and everything that reads or writes it.
//!
//! Names (`subject`), the log behind one trait (`log`), what counts on it (`judge`), the projection that
//! every service reads (`view`), the one way to write (`journal`), effects (`worker`), bytes by digest
//! (`blobs`), deletable buckets (`buckets`) and what an agent may do (`agent`). Stream definitions live in
//! `streams` alone.
//!
//! The bus is not trusted: a publish error means "unknown", the value of a subject is the first valid event
//! by stream sequence, and nothing here ever reads the last message of an event subject.

#![warn(missing_docs)]

pub mod agent;
pub mod blobs;
pub mod buckets;
pub mod config;
pub mod connection;
pub mod jetstream;
pub mod journal;
pub mod judge;
pub mod log;
pub mod memory;
pub mod refill;
pub mod streams;
pub mod subject;
pub mod view;
pub mod worker;

#[cfg(test)]
mod fixture;

pub use connection::{connect, connect_when_possible};
pub use jetstream::JetStreamLog;
pub use journal::{Journal, Turn, Written};
pub use judge::{Invalid, Judge, Schema};
pub use log::{Appended, EventLog, Expect, LogError, Stored};
pub use subject::{Area, Rule, Series, Subject, rule};
pub use view::{Fact, Newest, View, ViewError};
pub use worker::{Handler, Outcome, Worker};
