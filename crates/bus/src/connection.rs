//! Connecting to NATS: one way for services and agents.
//!
//! Reconnects for ever, with short pauses; what is being published meanwhile answers "unknown".

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};

use crate::jetstream::TIMEOUT;

const LONGEST_RECONNECT_PAUSE: Duration = Duration::from_secs(2);

/// Who connects.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Credentials {
    /// Nobody in particular; a server of the lab.
    #[default]
    None,
    /// A user and a password.
    Password {
        /// User.
        user: String,
        /// Password.
        password: String,
    },
    /// The seed of an NKey.
    NKey(String),
    /// A `.creds` file: JWT and seed.
    File(PathBuf),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password { .. } => "Password",
            Self::NKey(_) => "NKey",
            Self::File(_) => "File",
        })
    }
}

/// Where to connect, as whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// `nats://host:port` or `tls://host:port`; several with commas.
    pub url: String,
    /// Name of the connection, as the server lists it.
    pub name: String,
    /// Who connects.
    pub credentials: Credentials,
    /// PEM of the certificate authority, where it is not one of the system's.
    pub root_certificate: Option<PathBuf>,
    /// What the subjects of answers begin with, for users who may not read `_INBOX.>`.
    pub inbox_prefix: Option<String>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The credentials file can't be read.
    #[error("reading credentials {path}")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The server does not answer, or does not let us in.
    #[error("connecting to {url}")]
    Connect {
        /// The address.
        url: String,
        /// What the client said.
        #[source]
        source: async_nats::ConnectError,
    },
}

impl ConnectError {
    /// Whether doing the same again can help.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Credentials { .. } => false,
            Self::Connect { source, .. } => !matches!(
                source.kind(),
                async_nats::ConnectErrorKind::AuthorizationViolation
            ),
        }
    }
}

/// Connects.
///
/// # Errors
/// If the server can't be reached now, or does not let us in.
pub async fn connect(settings: &Settings) -> Result<Client, ConnectError> {
    open(settings, options(settings).await?).await
}

/// As [`connect`], for somebody who has work to do before the server is there: comes back at once, and goes
/// on trying behind.
///
/// # Errors
/// If the credentials can't be read.
pub async fn connect_when_possible(settings: &Settings) -> Result<Client, ConnectError> {
    open(settings, options(settings).await?.retry_on_initial_connect()).await
}

async fn options(settings: &Settings) -> Result<ConnectOptions, ConnectError> {
    let mut options = match &settings.credentials {
        Credentials::None => ConnectOptions::new(),
        Credentials::Password { user, password } => {
            ConnectOptions::with_user_and_password(user.clone(), password.clone())
        }
        Credentials::NKey(seed) => ConnectOptions::with_nkey(seed.clone()),
        Credentials::File(path) => ConnectOptions::with_credentials_file(path)
            .await
            .map_err(|source| ConnectError::Credentials {
                path: path.clone(),
                source,
            })?,
    };
    options = options
        .name(&settings.name)
        .request_timeout(Some(TIMEOUT))
        .connection_timeout(Duration::from_secs(5))
        .ping_interval(Duration::from_secs(10))
        .max_reconnects(None)
        .reconnect_delay_callback(pause)
        .event_callback(|event| async move { note(&event) });
    if let Some(path) = &settings.root_certificate {
        options = options.add_root_certificates(path.clone());
    }
    if let Some(prefix) = &settings.inbox_prefix {
        options = options.custom_inbox_prefix(prefix);
    }
    Ok(options)
}

async fn open(settings: &Settings, options: ConnectOptions) -> Result<Client, ConnectError> {
    let addresses: Vec<&str> = settings.url.split(',').map(str::trim).collect();
    let connected = options.connect(addresses.as_slice()).await;
    connected.map_err(|source| ConnectError::Connect {
        url: settings.url.clone(),
        source,
    })
}

fn pause(attempts: usize) -> Duration {
    let exponent = u32::try_from(attempts.min(8)).unwrap_or(8);
    Duration::from_millis(10)
        .saturating_mul(2_u32.saturating_pow(exponent))
        .min(LONGEST_RECONNECT_PAUSE)
}

fn note(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to the bus"),
        Event::Disconnected => tracing::warn!("lost the connection to the bus"),
        Event::Closed => tracing::debug!("closed a connection to the bus"),
        other => tracing::warn!(event = %other, "the bus says"),
    }
}
