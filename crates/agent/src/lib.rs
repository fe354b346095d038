//! What a cluster-agent does: check, preflight, apply, judge, report.
