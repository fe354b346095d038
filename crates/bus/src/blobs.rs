//! Bytes by their SHA-256, one message each. The name is the check: wrong bytes count as none, and whoever
//! holds the right ones puts them over.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::DirectGetErrorKind;
use domain::Digest;

use crate::jetstream::context;
use crate::log::ClientError;
use crate::memory::MemoryBlobs;
use crate::streams::{BLOB_PREFIX, BLOBS, MAX_BLOB};

const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Why a blob was not put or got.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// More than one message takes.
    #[error("storing a blob of {size} bytes; {MAX_BLOB} are the most")]
    Oversized {
        /// Its size.
        size: usize,
    },
    /// The server gave no answer, or refused.
    #[error("{operation} blob {digest}")]
    Server {
        /// What was done.
        operation: &'static str,
        /// The blob.
        digest: Digest,
        /// What the client said.
        #[source]
        source: ClientError,
    },
}

impl BlobError {
    /// Whether doing the same again can help.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Oversized { .. } => false,
            Self::Server { .. } => true,
        }
    }
}

/// Where blobs lie.
#[derive(Debug, Clone)]
enum Place {
    Server(Box<Context>),
    Memory(MemoryBlobs),
}

/// The blobs of the bus. Reading needs permission for `$JS.API.DIRECT.GET.FLUXGATE_BLOBS.>` alone.
#[derive(Debug, Clone)]
pub struct Blobs {
    place: Place,
}

impl Blobs {
    /// The blobs that this client sees.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self {
            place: Place::Server(Box::new(context(client))),
        }
    }

    /// Blobs in memory, for tests.
    #[must_use]
    pub const fn in_memory(blobs: MemoryBlobs) -> Self {
        Self {
            place: Place::Memory(blobs),
        }
    }

    /// The subject of a blob.
    #[must_use]
    pub fn subject(digest: Digest) -> String {
        format!("{BLOB_PREFIX}.{}", digest.hex())
    }

    /// Stores bytes, unless they are there already.
    ///
    /// # Errors
    /// If they are too many, or the server gives no definite answer.
    pub async fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        if bytes.len() > MAX_BLOB {
            return Err(BlobError::Oversized { size: bytes.len() });
        }
        let digest = Digest::of(bytes);
        let mut tries = 1;
        loop {
            match self.try_put(digest, bytes).await {
                Ok(()) => return Ok(digest),
                Err(error) if tries >= TRIES => return Err(error),
                Err(_) => tries += 1,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_put(&self, digest: Digest, bytes: &[u8]) -> Result<(), BlobError> {
        if self.get(digest).await?.is_some() {
            return Ok(());
        }
        let context = match &self.place {
            Place::Server(context) => context,
            Place::Memory(blobs) => {
                blobs.put(digest, bytes);
                return Ok(());
            }
        };
        let message = PublishMessage::build()
            .payload(bytes.to_vec().into())
            .expected_stream(BLOBS);
        let failed = |source: ClientError| BlobError::Server {
            operation: "storing",
            digest,
            source,
        };
        let sent = context.send_publish(Self::subject(digest), message).await;
        sent.map_err(|error| failed(error.into()))?
            .await
            .map_err(|error| failed(error.into()))?;
        Ok(())
    }

    /// The bytes with this digest; wrong ones count as none.
    ///
    /// # Errors
    /// If the server gives no answer.
    pub async fn get(&self, digest: Digest) -> Result<Option<Vec<u8>>, BlobError> {
        let failed = |source: ClientError| BlobError::Server {
            operation: "reading",
            digest,
            source,
        };
        let context = match &self.place {
            Place::Server(context) => context,
            Place::Memory(blobs) => return Ok(blobs.get(digest)),
        };
        let stream = context.get_stream_no_info(BLOBS).await;
        let stream = stream.map_err(|error| failed(error.into()))?;
        match stream.direct_get_last_for_subject(Self::subject(digest)).await {
            Ok(message) if Digest::of(&message.payload) == digest => Ok(Some(message.payload.to_vec())),
            Ok(message) => {
                tracing::warn!(%digest, sequence = message.sequence, "a blob has wrong bytes");
                Ok(None)
            }
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }
}
