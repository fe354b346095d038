//! Stops: one of each kind, and one that was lifted.

use wire::rollout::v1::{Stop, StopKind, StopSet};

use super::time;

/// A stop as the hub tells it.
pub(crate) fn stop(scope: &str, active: bool, reason: &str, request_id: &str) -> Stop {
    let kind = match scope.split('/').next().unwrap() {
        "rollout" => StopKind::Pause,
        "cluster" => StopKind::Hold,
        "version" => StopKind::Recall,
        _ => StopKind::Freeze,
    };
    Stop {
        set: Some(StopSet {
            scope: scope.to_owned(),
            kind: kind.into(),
            active,
            reason: reason.to_owned(),
            principal: "local operator (loopback)".to_owned(),
            request_id: request_id.to_owned(),
        }),
        set_time: time("11:00:00"),
        sequence: 77,
    }
}

pub(crate) fn stops() -> Vec<Stop> {
    let id = "6d2f2f0e-8a0e-4a3b-9a53-2f4dfe5f7c11";
    vec![
        stop("wave/main", true, "end of quarter", id),
        stop("cluster/edge-1", true, "rolled back by hand", id),
        stop("rollout/flux-v2.9.3-1", false, "seen enough", id),
        stop("version/v2.9.2", true, "upstream took it back", id),
    ]
}
