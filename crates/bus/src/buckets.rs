//! Buckets: the newest value of each key. Projections that can be deleted and written again.
//!
//! Values are read by direct get of the key's own subject: that permission lets nobody read another key, where
//! a key-value watch would.

use async_nats::Client;
use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::DirectGetErrorKind;
use bytes::Bytes;
use futures::TryStreamExt as _;
use jiff::Timestamp;

use crate::jetstream::{context, timestamp};
use crate::log::ClientError;
use crate::memory::MemoryValues;
use crate::streams::{Bucket, MAX_VALUE};

/// Header by which the key-value convention marks a deleted key.
const OPERATION: &str = "KV-Operation";

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// The bytes.
    pub value: Bytes,
    /// Its place in the bucket's stream, to expect when writing the next.
    pub revision: u64,
    /// When the server stored it.
    pub time: Timestamp,
}

/// Why a bucket was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The key is not of `[A-Za-z0-9_-]` with single dots.
    #[error("key {key:?} of bucket {bucket} is malformed")]
    Key {
        /// The bucket.
        bucket: &'static str,
        /// The key.
        key: String,
    },
    /// The value is larger than a value may be.
    #[error("value of {key} in bucket {bucket} has {size} bytes; {MAX_VALUE} are the most")]
    Oversized {
        /// The bucket.
        bucket: &'static str,
        /// The key.
        key: String,
        /// Its size.
        size: usize,
    },
    /// The key does not have the expected revision.
    #[error("key {key} of bucket {bucket} was written by somebody else")]
    Conflict {
        /// The bucket.
        bucket: &'static str,
        /// The key.
        key: String,
    },
    /// The server gave no answer, or refused.
    #[error("{operation} {key} of bucket {bucket}")]
    Server {
        /// What was done.
        operation: &'static str,
        /// The bucket.
        bucket: &'static str,
        /// The key.
        key: String,
        /// What the client said.
        #[source]
        source: ClientError,
    },
}

impl BucketError {
    /// Whether doing the same again can help.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Key { .. } | Self::Oversized { .. } | Self::Conflict { .. } => false,
            Self::Server { .. } => true,
        }
    }
}

/// Where values lie.
#[derive(Debug, Clone)]
enum Place {
    Server(Box<Context>),
    Memory(MemoryValues),
}

/// One bucket.
#[derive(Debug, Clone)]
pub struct Values {
    place: Place,
    bucket: Bucket,
}

impl Values {
    /// The bucket as this client sees it.
    #[must_use]
    pub fn new(client: &Client, bucket: Bucket) -> Self {
        Self {
            place: Place::Server(Box::new(context(client))),
            bucket,
        }
    }

    /// A bucket in memory, for tests.
    #[must_use]
    pub const fn in_memory(values: MemoryValues, bucket: Bucket) -> Self {
        Self {
            place: Place::Memory(values),
            bucket,
        }
    }

    /// The newest value of a key.
    ///
    /// # Errors
    /// If the server gives no answer. A missing permission looks like that too.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, BucketError> {
        self.check_key(key)?;
        let context = match &self.place {
            Place::Server(context) => context,
            Place::Memory(values) => return Ok(values.get(key)),
        };
        let stream = context.get_stream_no_info(self.bucket.stream()).await;
        let stream = stream.map_err(|error| self.failed("reading", key, error))?;
        match stream.direct_get_last_for_subject(self.bucket.subject(key)).await {
            Ok(message) if message.headers.get(OPERATION).is_some() => Ok(None),
            Ok(message) => Ok(Some(Entry {
                key: key.to_owned(),
                value: message.payload,
                revision: message.sequence,
                time: timestamp(message.time)
                    .ok_or_else(|| self.failed("reading", key, "a time that cannot be"))?,
            })),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("reading", key, error)),
        }
    }

    /// Writes a value, whatever is there; returns its revision.
    ///
    /// # Errors
    /// If the value is too large or the server gives no answer.
    pub async fn put(&self, key: &str, value: Bytes) -> Result<u64, BucketError> {
        self.write(key, value, None).await
    }

    /// Writes a value if the newest has this revision (0: there is none); returns the new one.
    ///
    /// # Errors
    /// As [`Self::put`]; a conflict if somebody was faster.
    pub async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<u64, BucketError> {
        self.write(key, value, Some(revision)).await
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// If the server gives no answer.
    pub async fn delete(&self, key: &str) -> Result<(), BucketError> {
        self.check_key(key)?;
        let context = match &self.place {
            Place::Server(context) => context,
            Place::Memory(values) => {
                values.delete(key);
                return Ok(());
            }
        };
        let mut headers = HeaderMap::new();
        headers.insert(OPERATION, "DEL");
        let message = PublishMessage::build()
            .headers(headers)
            .expected_stream(self.bucket.stream());
        self.send(context, key, message).await.map(|_revision| ())
    }

    /// Every key's newest value.
    ///
    /// # Errors
    /// If the server gives no answer.
    pub async fn list(&self) -> Result<Vec<Entry>, BucketError> {
        let all = "every key";
        let context = match &self.place {
            Place::Server(context) => context,
            Place::Memory(values) => return Ok(values.list()),
        };
        let stream = context.get_stream_no_info(self.bucket.stream()).await;
        let stream = stream.map_err(|error| self.failed("listing", all, error))?;
        let info = stream.info_with_subjects(self.bucket.subject(">")).await;
        let mut subjects = info.map_err(|error| self.failed("listing", all, error))?;
        let prefix = self.bucket.subject("");
        let mut entries = Vec::new();
        while let Some((subject, _)) = subjects
            .try_next()
            .await
            .map_err(|error| self.failed("listing", all, error))?
        {
            if let Some(key) = subject.strip_prefix(&prefix)
                && let Some(entry) = self.get(key).await?
            {
                entries.push(entry);
            }
        }
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    async fn write(&self, key: &str, value: Bytes, revision: Option<u64>) -> Result<u64, BucketError> {
        self.check_key(key)?;
        if value.len() > MAX_VALUE {
            let (bucket, size) = (self.bucket.name(), value.len());
            return Err(BucketError::Oversized {
                bucket,
                key: key.to_owned(),
                size,
            });
        }
        let context = match &self.place {
            Place::Server(context) => context,
            Place::Memory(values) if values.refuses(key) => {
                return Err(self.failed("writing", key, "it is refused, for a test"));
            }
            Place::Memory(values) => {
                let written = values.write(key, value, revision);
                return written.ok_or_else(|| self.conflict(key));
            }
        };
        let mut message = PublishMessage::build()
            .payload(value)
            .expected_stream(self.bucket.stream());
        if let Some(revision) = revision {
            message = message.expected_last_subject_sequence(revision);
        }
        self.send(context, key, message).await
    }

    async fn send(&self, context: &Context, key: &str, message: PublishMessage) -> Result<u64, BucketError> {
        let answer = match context.send_publish(self.bucket.subject(key), message).await {
            Ok(acknowledged) => acknowledged.await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(stored) => Ok(stored.sequence),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Err(self.conflict(key)),
            Err(error) => Err(self.failed("writing", key, error)),
        }
    }

    fn check_key(&self, key: &str) -> Result<(), BucketError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if key
            .split('.')
            .all(|token| !token.is_empty() && token.chars().all(plain))
        {
            Ok(())
        } else {
            Err(BucketError::Key {
                bucket: self.bucket.name(),
                key: key.to_owned(),
            })
        }
    }

    fn conflict(&self, key: &str) -> BucketError {
        BucketError::Conflict {
            bucket: self.bucket.name(),
            key: key.to_owned(),
        }
    }

    fn failed(&self, operation: &'static str, key: &str, source: impl Into<ClientError>) -> BucketError {
        BucketError::Server {
            operation,
            bucket: self.bucket.name(),
            key: key.to_owned(),
            source: source.into(),
        }
    }
}
