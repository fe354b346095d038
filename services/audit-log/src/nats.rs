//! The bus behind the service's two small interfaces.

use async_trait::async_trait;
use bytes::Bytes;

use bus::blobs::Blobs;
use bus::buckets::Values;
use domain::Digest;

use crate::service::{BlobSource, PortError, StatusBoard};

/// Key of the LedgerStatus in the bucket `status`.
pub const STATUS_KEY: &str = "ledger";

#[async_trait]
impl BlobSource for Blobs {
    async fn get(&self, digest: Digest) -> Result<Option<Bytes>, PortError> {
        Ok(Self::get(self, digest).await?.map(Bytes::from))
    }
}

/// The bucket [`bus::streams::Bucket::Status`].
#[async_trait]
impl StatusBoard for Values {
    async fn put_status(&self, envelope: Bytes) -> Result<(), PortError> {
        self.put(STATUS_KEY, envelope).await?;
        Ok(())
    }
}
