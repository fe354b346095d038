//! Resume tokens: opaque to clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use uuid::Uuid;

/// Where a watcher is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// When the stream was made.
    pub(super) stream: Timestamp,
    /// The sequence that was folded.
    pub(super) sequence: u64,
    /// The board whose place it is.
    pub(super) board: Uuid,
    /// The place among its changes; before all of them where a snapshot was not complete.
    pub(super) place: u64,
}

impl Token {
    /// As a client gets it.
    pub(super) fn encode(&self, kind: &str) -> String {
        let Self {
            stream,
            sequence,
            board,
            place,
        } = self;
        URL_SAFE_NO_PAD.encode(format!("{kind} {stream} {sequence} {board} {place}"))
    }

    /// Reads what [`Self::encode`] gave for the same kind of watch.
    pub(super) fn parse(kind: &str, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let mut words = text.split(' ');
        if words.next() != Some(kind) {
            return None;
        }
        let token = Self {
            stream: words.next()?.parse().ok()?,
            sequence: words.next()?.parse().ok()?,
            board: words.next()?.parse().ok()?,
            place: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(token)
    }
}
