//! What every service of the hub is made of: its connection to the bus, its view of the log, its journal
//! and the blobs, under one configuration; and what their gRPC interfaces share.
//!
//! A service is a function of its view and of the time, run again on every change and every few seconds
//! ([`Hub::each_change`]). It holds no state of its own.

pub mod config;
pub mod grpc;
pub mod join;
pub mod ledger;
pub mod names;
pub mod page;
pub mod process;
pub mod watch;

pub use config::{HubConfig, NatsConfig, TrustConfig};
pub use grpc::Grpc;
pub use join::{Hub, HubError, SCHEMA};
pub use ledger::LedgerState;
pub use process::Host;
