//! Configuration: defaults < one TOML file < `FLUXGATE__SECTION__KEY` in the environment.
//!
//! Defaults are those of serde (`#[serde(default)]`). Unknown keys are refused, in the file and in the
//! environment, by every struct that says `#[serde(deny_unknown_fields)]`; a configuration without it is a
//! mistake. This is the only module that reads the environment.
//!
//! Not possible: lists in the environment, and keys of maps with upper-case letters (the `config` crate
//! lower-cases them).

mod diagnosis;
mod print;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

pub use print::print_config;

/// What every variable starts with: `FLUXGATE__NATS__URL` sets `nats.url`. `FLUXGATE_LOG` and the
/// `FLUXGATE_SERVICE_HOST` that Kubernetes injects are not read.
pub const PREFIX: &str = "FLUXGATE";

/// Longest file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A rule that spans more than one key, or that serde cannot say.
pub trait Validate {
    /// Checks the values, before anything is connected.
    ///
    /// # Errors
    /// The first key that cannot stand.
    fn validate(&self) -> Result<(), Invalid>;
}

/// A key whose value cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {found}, expected {expected}; {remedy}")]
pub struct Invalid {
    /// The key with its sections, like `grpc.listen`.
    pub key: String,
    /// The value, or what it comes to; never a secret.
    pub found: String,
    /// What it has to be.
    pub expected: String,
    /// What to do.
    pub remedy: String,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path} cannot be read; name an existing file, or none for the defaults")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not fit.
    #[error(
        "configuration file {path} does not fit at line {line}, column {column}: {message}\n{excerpt}\ncorrect \
         this line; --print-config shows every key with its value in force"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What was found and what was expected.
        message: String,
        /// The line with a caret below the place.
        excerpt: String,
    },
    /// A variable does not fit.
    #[error("environment variable {variable} (key {key}) does not fit: {message}; correct or unset it")]
    Environment {
        /// Its name.
        variable: String,
        /// The key that it sets.
        key: String,
        /// What was found and what was expected.
        message: String,
    },
    /// File and environment together do not fit, and no single place is to blame.
    #[error("configuration does not fit: {message}; set it in the file or as {PREFIX}__SECTION__KEY")]
    Whole {
        /// What was found and what was expected.
        message: String,
    },
    /// Each value fits, but one cannot stand.
    #[error("{place} cannot stand")]
    Invalid {
        /// Who said it.
        place: Place,
        /// What and why.
        source: Invalid,
    },
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The file.
    File {
        /// Its path.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// A variable in the environment.
    Variable(String),
    /// Nobody: a default, or something that is not there.
    Nowhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => {
                write!(
                    f,
                    "configuration file {}, line {line}, column {column}",
                    path.display()
                )
            }
            Self::Variable(name) => write!(f, "configuration in environment variable {name}"),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

impl ConfigError {
    /// Whether loading again may succeed: only after someone changed something.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        false
    }
}

/// The folders in a variable like `PATH`, in their order; none where it is not set. For finding programs,
/// never for configuration.
#[must_use]
pub fn search_path(variable: &str) -> Vec<PathBuf> {
    std::env::var_os(variable)
        .iter()
        .flat_map(std::env::split_paths)
        .collect()
}

/// Loads the configuration of this process.
///
/// # Errors
/// If the file cannot be read, a key is unknown, a value has the wrong type, or [`Validate`] refuses. The
/// text names the file with line and column, or the variable.
pub fn load<T: DeserializeOwned + Validate>(file: Option<&Path>) -> Result<T, ConfigError> {
    load_with(file, std::env::vars().collect())
}

/// [`load`] with the environment as an argument.
///
/// # Errors
/// As [`load`].
pub fn load_with<T: DeserializeOwned + Validate>(
    file: Option<&Path>,
    mut variables: HashMap<String, String>,
) -> Result<T, ConfigError> {
    variables.retain(|name, _| name.starts_with(&format!("{PREFIX}__")));
    let text = file.map(read).transpose()?.unwrap_or_default();
    let sources = Sources {
        file,
        text: &text,
        variables,
    };
    let config = sources
        .build::<T>(&sources.variables)
        .map_err(|error| diagnosis::diagnose::<T>(&sources, &error))?;
    // The `config` crate takes "yes" for true and "5" for 5, which is right for variables alone.
    if let Some(error) = diagnosis::wrong_type::<T>(&sources) {
        return Err(error);
    }
    match config.validate() {
        Ok(()) => Ok(config),
        Err(source) => Err(ConfigError::Invalid {
            place: diagnosis::place_of(&sources, &source),
            source,
        }),
    }
}

struct Sources<'a> {
    file: Option<&'a Path>,
    text: &'a str,
    variables: HashMap<String, String>,
}

impl Sources<'_> {
    fn build<T: DeserializeOwned>(
        &self,
        variables: &HashMap<String, String>,
    ) -> Result<T, ::config::ConfigError> {
        let environment = ::config::Environment::with_prefix(PREFIX)
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .source(Some(variables.clone()));
        ::config::Config::builder()
            .add_source(::config::File::from_str(self.text, ::config::FileFormat::Toml))
            .add_source(environment)
            .build()?
            .try_deserialize()
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_FILE_BYTES {
        return Err(failed(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "longer than 1 MiB",
        )));
    }
    std::fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests;
