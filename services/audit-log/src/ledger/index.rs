//! The index over what statements say of themselves: made anew from the payloads when it says more than it did.
//!
//! It is for finding, and the only part of the ledger that is derived: no leaf, node or checkpoint rests on it.

use super::{About, Ledger, LedgerError, rows};

/// Version of the index; rows of an older one are described again.
pub const VERSION: i64 = 2;

/// Leaves that are described in one transaction.
const PAGE: i64 = 256;

type Row = (i64, i64, String, String, Vec<u8>);

impl Ledger {
    /// Describes the leaves whose row is older than [`VERSION`] again, and says how many there were.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn index_again(&self, describe: impl Fn(&str, &[u8]) -> About) -> Result<u64, LedgerError> {
        let mut count = 0;
        loop {
            let page: Vec<Row> = sqlx::query_as(
                "SELECT l.leaf_index, l.sequence, l.subject, l.store_time, p.bytes FROM leaves l \
                 JOIN payloads p ON p.digest = l.payload WHERE l.described < ? ORDER BY l.leaf_index LIMIT ?",
            )
            .bind(VERSION)
            .bind(PAGE)
            .fetch_all(&self.reader)
            .await
            .map_err(LedgerError::database("reading rows of an older index"))?;
            if page.is_empty() {
                return Ok(count);
            }
            count += page.len() as u64;
            self.index_page(page, &describe).await?;
        }
    }

    async fn index_page(
        &self,
        page: Vec<Row>,
        describe: &impl Fn(&str, &[u8]) -> About,
    ) -> Result<(), LedgerError> {
        let mut transaction = self
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(LedgerError::database("beginning"))?;
        for (index, sequence, subject, stored, bytes) in page {
            let about = describe(&subject, &bytes);
            sqlx::query(
                "UPDATE leaves SET kind = ?, trace_id = ?, release = ?, rollout = ?, cluster = ?, decision = ?, \
                 summary = ?, span_id = ?, make_time = ?, described = ? WHERE leaf_index = ?",
            )
            .bind(&about.kind)
            .bind(&about.trace_id)
            .bind(&about.release)
            .bind(&about.rollout)
            .bind(&about.cluster)
            .bind(&about.decision)
            .bind(&about.summary)
            .bind(&about.span_id)
            .bind(rows::optional_time(about.made))
            .bind(VERSION)
            .bind(index)
            .execute(&mut *transaction)
            .await
            .map_err(LedgerError::database("describing a leaf again"))?;
            rows::name_blobs(&mut transaction, &about, rows::unsigned(sequence)?, &stored).await?;
        }
        transaction
            .commit()
            .await
            .map_err(LedgerError::database("committing"))
    }
}
