//! The schemas: those that are shipped in `deploy/schemas`, which a test compares with the types that files are
//! read into.

use crate::cli::SchemaKind;

macro_rules! shipped {
    ($name:literal) => {
        include_str!(concat!("../../../../../deploy/schemas/", $name, ".schema.json"))
    };
}

/// The schema of a kind of file.
pub(super) const fn text(kind: SchemaKind) -> &'static str {
    match kind {
        SchemaKind::Policy => shipped!("policy"),
        SchemaKind::Strategy => shipped!("strategy"),
        SchemaKind::Fleet => shipped!("fleet"),
        SchemaKind::Agent => shipped!("cluster-agent"),
        SchemaKind::Dev => shipped!("dev"),
        SchemaKind::ReleaseWatcher => shipped!("release-watcher"),
        SchemaKind::SignatureVerifier => shipped!("signature-verifier"),
        SchemaKind::PolicyEngine => shipped!("policy-engine"),
        SchemaKind::RolloutController => shipped!("rollout-controller"),
        SchemaKind::AuditLog => shipped!("audit-log"),
    }
}
