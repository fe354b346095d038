//! `migrate`: makes the streams and puts the trust bundle on the bus.

use std::path::{Path, PathBuf};

use bus::connection::{self, ConnectError, Credentials};
use bus::streams::{self, Change, Finding, StreamsError};
use bus::{Appended, EventLog as _, JetStreamLog};
use serde_json::json;

use super::Context;
use crate::bundle::{self, BundleError};
use crate::cli::{Format, MigrateArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Sign;
use crate::table::Table;
