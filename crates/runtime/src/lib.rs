//! What every service shares: configuration, telemetry, health, shutdown.
//!
//! A service's `main` loads its configuration ([`config::load`]), starts telemetry once for the process
//! ([`telemetry::init`]), makes a [`Shutdown`] that listens to signals, and calls the service's
//! `run(config, shutdown)`. `run` binds its ports with [`listen::bind`] and serves gRPC with
//! [`grpc::serve`] and the operations port with [`ops::serve`].
//!
//! Invariants:
//! - The environment is read in [`config`] alone, the clock in [`clock`] alone.
//! - No port is bound on an address other than loopback.
//! - A trace id exists for each unit of work, whether or not spans are exported: it stands in signed events.
//!
//! Deliberately not here: the bus (`bus`), what a service does, and identities, which do not exist yet.

pub mod clock;
pub mod config;
pub mod errors;
pub mod grpc;
pub mod listen;
pub mod ops;
pub mod process;
pub mod secret;
pub mod shutdown;
pub mod telemetry;

pub use clock::Clock;
pub use secret::SecretFile;
pub use shutdown::Shutdown;
