//! Following the log from the cursor, through reconnects, new streams and new bundles.

use std::sync::Arc;
use std::time::Duration;

use attest::Trust;
use futures::StreamExt as _;
use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};
use tokio_util::sync::CancellationToken;

use super::fold::{Folded, fold};
use super::store::{self, Meta, failed};
use super::{View, ViewError};
use crate::log::{EventLog, Stored};

/// Changed whenever the rules or the tables change: everything is judged again after an upgrade.
const RULES: u32 = 3;
/// Events in one transaction at most.
const BATCH: usize = 256;
/// How often the stream's creation time is compared while nothing else happens: on a stream that was made
/// anew a consumer from an old cursor is accepted and silently skips.
const COMPARE_EVERY: Duration = Duration::from_secs(3);
/// A log that is read from its beginning to an event that was seen has no reason for a longer pause.
const SILENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// Where the view stands.
struct Position {
    created: Timestamp,
    trust: Arc<Trust>,
}

impl Position {
    fn judged_under(&self) -> String {
        format!(
            "{RULES} {} {}",
            self.trust.root().fingerprint(),
            self.trust.bundle().version
        )
    }
}

impl View {
    /// Follows the log until shut down.
    ///
    /// # Errors
    /// Only what trying again cannot help, like a damaged file.
    pub async fn run(&self, log: Arc<dyn EventLog>, shutdown: CancellationToken) -> Result<(), ViewError> {
        loop {
            let Some(ended) = shutdown
                .run_until_cancelled(Box::pin(self.follow(log.as_ref())))
                .await
            else {
                return Ok(());
            };
            match ended {
                Ok(()) => tracing::info!("the stream was made anew"),
                Err(error) if error.retryable() => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "following the log");
                    if shutdown
                        .run_until_cancelled(tokio::time::sleep(PAUSE))
                        .await
                        .is_none()
                    {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Follows one stream; ends where it was made anew.
    async fn follow(&self, log: &dyn EventLog) -> Result<(), ViewError> {
        let mut position = Position {
            created: log.created().await?,
            trust: self.trust(),
        };
        if !self.stands_at(&position).await? {
            let target = log.last_sequence().await?;
            Box::pin(self.rebuild(log, &mut position, target)).await?;
        }
        let cursor = self.inner.store.cursor().await?;
        self.inner.cursor.send_replace(cursor);
        let mut events = log
            .tail(cursor.saturating_add(1), Vec::new())
            .await?
            .ready_chunks(BATCH);
        let mut compare = tokio::time::interval(COMPARE_EVERY);
        loop {
            tokio::select! {
                chunk = events.next() => {
                    let Some(chunk) = chunk else { return Ok(()) };
                    let chunk = chunk.into_iter().collect::<Result<Vec<Stored>, _>>()?;
                    Box::pin(self.fold_chunk(log, &mut position, &chunk)).await?;
                }
                _ = compare.tick() => {
                    if log.created().await? != position.created {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Whether what is in the file was made from this stream, under this trust and these rules.
    async fn stands_at(&self, position: &Position) -> Result<bool, ViewError> {
        let store = &self.inner.store;
        let created = store.meta(Meta::StreamCreated).await?;
        let under = store.meta(Meta::JudgedUnder).await?;
        Ok(
            created.is_some_and(|created| created == position.created.to_string().as_bytes())
                && under.is_some_and(|under| under == position.judged_under().as_bytes()),
        )
    }

    async fn fold_chunk(
        &self,
        log: &dyn EventLog,
        position: &mut Position,
        chunk: &[Stored],
    ) -> Result<(), ViewError> {
        let Some(last) = chunk.last() else { return Ok(()) };
        let mut transaction = self.begin().await?;
        match fold(&self.inner, &mut transaction, &position.trust, chunk).await? {
            Folded::All => {
                transaction.commit().await.map_err(failed("writing"))?;
                self.inner.cursor.send_replace(last.sequence);
                Ok(())
            }
            Folded::NewTrust(trust) => {
                transaction.rollback().await.map_err(failed("writing"))?;
                position.trust = trust;
                self.rebuild(log, position, last.sequence).await
            }
        }
    }

    /// Judges everything up to `target` again, in one transaction.
    async fn rebuild(
        &self,
        log: &dyn EventLog,
        position: &mut Position,
        target: u64,
    ) -> Result<(), ViewError> {
        loop {
            let version = position.trust.bundle().version;
            tracing::info!(
                target,
                bundle_version = version,
                "judging the log from its beginning"
            );
            let mut transaction = self.begin().await?;
            match self.judge_again(log, &mut transaction, position, target).await? {
                Folded::All => {
                    transaction.commit().await.map_err(failed("writing"))?;
                    self.inner.trust.send_replace(Arc::clone(&position.trust));
                    self.inner.cursor.send_replace(target);
                    return Ok(());
                }
                Folded::NewTrust(trust) => {
                    transaction.rollback().await.map_err(failed("writing"))?;
                    position.trust = trust;
                }
            }
        }
    }

    async fn judge_again(
        &self,
        log: &dyn EventLog,
        transaction: &mut Transaction<'_, Sqlite>,
        position: &Position,
        target: u64,
    ) -> Result<Folded, ViewError> {
        let making = self.making().await?.saturating_add(1);
        store::wipe(transaction).await?;
        store::set_meta(transaction, Meta::Making, making.to_string().as_bytes()).await?;
        let created = position.created.to_string();
        store::set_meta(transaction, Meta::StreamCreated, created.as_bytes()).await?;
        store::set_meta(transaction, Meta::JudgedUnder, position.judged_under().as_bytes()).await?;
        store::set_meta(transaction, Meta::Bundle, position.trust.envelope()).await?;
        store::set_meta(transaction, Meta::Cursor, target.to_string().as_bytes()).await?;
        let mut events = log.tail(1, Vec::new()).await?;
        let mut after = 0;
        while after < target {
            let next = tokio::time::timeout(SILENCE, events.next()).await;
            let Ok(Some(event)) = next else {
                return Err(ViewError::Silent {
                    after,
                    wanted: target,
                });
            };
            let event = event?;
            after = event.sequence;
            if event.sequence > target {
                break;
            }
            let folded = fold(&self.inner, transaction, &position.trust, &[event]).await?;
            if let Folded::NewTrust(_) = folded {
                return Ok(folded);
            }
        }
        store::set_meta(transaction, Meta::Cursor, target.to_string().as_bytes()).await?;
        Ok(Folded::All)
    }

    async fn begin(&self) -> Result<Transaction<'_, Sqlite>, ViewError> {
        self.inner
            .store
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed("writing"))
    }
}
