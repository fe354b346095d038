//! SLSA verification summary attestations (slsa.dev, `verification_summary/v1`): how an outsider reads an
//! ALLOW or a DENY without knowing fluxgate.

use jiff::Timestamp;
use serde_json::{Value, json};

use domain::Digest;

/// Predicate type of a verification summary.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/verification_summary/v1";

/// The fields of a verification summary that fluxgate fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// When the decision was made.
    pub time_verified: Timestamp,
    /// What was decided about, like `oci://ghcr.io/fluxcd/flux-manifests:v2.9.4`.
    pub resource_uri: String,
    /// The policy: URI and digest of its text.
    pub policy: (String, Digest),
    /// Statements that the decision rests on.
    pub inputs: Vec<(String, Digest)>,
    /// `PASSED` or `FAILED`.
    pub passed: bool,
}

impl Summary {
    /// The predicate, with our own part beside the specified fields (SLSA: "consumers MUST ignore
    /// unrecognized fields").
    pub(crate) fn predicate(&self, own_kind: &str, own: Value) -> Value {
        let input =
            |(uri, digest): &(String, Digest)| json!({"uri": uri, "digest": {"sha256": digest.hex()}});
        let mut predicate = json!({
            "verifier": {"id": "https://fluxgate.dev/policy-engine"},
            "timeVerified": self.time_verified,
            "resourceUri": self.resource_uri,
            "policy": input(&self.policy),
            "inputAttestations": self.inputs.iter().map(input).collect::<Vec<_>>(),
            "verificationResult": if self.passed { "PASSED" } else { "FAILED" },
            "verifiedLevels": [],
            "slsaVersion": "1.0",
        });
        if let Some(map) = predicate.as_object_mut() {
            map.insert(own_kind.to_owned(), own);
        }
        predicate
    }
}
