//! Folding events: each one judged by what stood before it.

use std::sync::Arc;

use attest::Trust;
use sqlx::SqliteConnection;

use super::store::{self, Meta};
use super::{Fact, Inner, ViewError};
use crate::judge::{Invalid, Judge, Known};
use crate::log::Stored;
use crate::subject::{Author, Rule, Subject};

/// What folding some events came to.
pub(super) enum Folded {
    /// They are in the view.
    All,
    /// A newer bundle was among them: everything up to the last of them is to be judged under it.
    NewTrust(Arc<Trust>),
}

/// Folds events into an open transaction. Nothing is committed here.
pub(super) async fn fold(
    inner: &Inner,
    connection: &mut SqliteConnection,
    trust: &Arc<Trust>,
    events: &[Stored],
) -> Result<Folded, ViewError> {
    for event in events {
        if let Some(newer) = fold_one(inner, connection, trust, event).await? {
            return Ok(Folded::NewTrust(Arc::new(newer)));
        }
    }
    if let Some(last) = events.last() {
        let cursor = last.sequence.to_string();
        store::set_meta(connection, Meta::Cursor, cursor.as_bytes()).await?;
    }
    Ok(Folded::All)
}

async fn fold_one(
    inner: &Inner,
    connection: &mut SqliteConnection,
    trust: &Trust,
    event: &Stored,
) -> Result<Option<Trust>, ViewError> {
    let (subject, rule) = match Judge::name(&event.subject) {
        Ok(named) => named,
        Err(invalid) => return note_invalid(connection, event, &invalid).await,
    };
    if store::exists(connection, &subject).await? {
        // The first valid event of a subject is its value for ever.
        return Ok(None);
    }
    let known = known(connection, &subject, &rule).await?;
    let statement = match inner.judge.decide(trust, (&subject, &rule), event, &known) {
        Ok(statement) => statement,
        Err(invalid) => return note_invalid(connection, event, &invalid).await,
    };
    if rule.author == Author::Root && subject.n() > trust.bundle().version {
        let mut newer = trust.clone();
        // The judge has just opened it with the same root key.
        if newer.advance(&event.payload).is_ok() {
            return Ok(Some(newer));
        }
    }
    let fact = Fact {
        subject,
        sequence: event.sequence,
        time: event.time,
        traceparent: event.traceparent.clone(),
        envelope: event.payload.clone(),
        statement,
    };
    store::insert_fact(connection, &fact).await?;
    Ok(None)
}

async fn known(
    connection: &mut SqliteConnection,
    subject: &Subject,
    rule: &Rule,
) -> Result<Known, ViewError> {
    let needs = Judge::needs(subject, rule);
    let mut known = Known::default();
    if let Some(needed) = needs.predecessor {
        known.predecessor = store::get(connection, &needed).await?;
    }
    if let Some(series) = needs.member {
        known.member = store::latest(connection, &series).await?;
    }
    Ok(known)
}

async fn note_invalid(
    connection: &mut SqliteConnection,
    event: &Stored,
    invalid: &Invalid,
) -> Result<Option<Trust>, ViewError> {
    let why = chain(invalid);
    tracing::warn!(
        subject = event.subject,
        sequence = event.sequence,
        why,
        "an event does not count"
    );
    store::insert_invalid(connection, (event.sequence, &event.subject), &why).await?;
    Ok(None)
}

/// An error with its causes, for people.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
