//! The table of stops.

use wire::rollout::v1::{Stop, StopKind};

use super::{Look, row, table};
use crate::names;
use crate::table::Table;
use crate::words::{age, instant, or_nothing};

/// Stops, as they come.
pub(crate) fn stops(items: &[Stop], look: Look) -> Table {
    let headers = ["SCOPE", "KIND", "STATE", "REASON", "BY", "AGE"];
    let mut table = table(look, &headers, &["SINCE", "SEQUENCE", "REQUEST"]);
    for item in items {
        let Some(set) = &item.set else { continue };
        let cells = [
            names::scope(&set.scope),
            kind(set.kind()).to_owned(),
            if set.active { "ACTIVE" } else { "LIFTED" }.to_owned(),
            or_nothing(&set.reason),
            or_nothing(&set.principal),
            age(item.set_time, look.now),
        ];
        let more = [
            instant(item.set_time),
            item.sequence.to_string(),
            or_nothing(&set.request_id),
        ];
        row(&mut table, look, cells, more);
    }
    table
}

/// The word for a stop.
const fn kind(kind: StopKind) -> &'static str {
    match kind {
        StopKind::Unspecified => "UNSPECIFIED",
        StopKind::Pause => "PAUSE",
        StopKind::Freeze => "FREEZE",
        StopKind::Hold => "HOLD",
        StopKind::Recall => "RECALL",
    }
}
