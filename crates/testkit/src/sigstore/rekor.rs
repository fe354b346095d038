//! The transparency log: an entry for a signature and the log's promise (SET) over it, as cosign keeps them
//! in the annotation `dev.sigstore.cosign/bundle`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Digest;
use jiff::Timestamp;
use olpc_cjson::CanonicalFormatter;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde::Serialize as _;
use serde_json::{Value, json};

use super::SigstoreError;

/// What is logged.
pub(super) struct Entry<'a> {
    pub(super) payload: &'a [u8],
    /// Base64.
    pub(super) signature: &'a str,
    /// PEM.
    pub(super) certificate: &'a str,
    pub(super) integrated_time: Timestamp,
    pub(super) index: i64,
}

impl Entry<'_> {
    /// The annotation: the log's signature is over the canonical JSON (RFC 8785 for this content) of what
    /// stands in `Payload`; the body is canonical JSON too.
    pub(super) fn bundle(&self, rekor: &KeyPair) -> Result<String, SigstoreError> {
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": Digest::of(self.payload).hex() } },
                "signature": {
                    "content": self.signature,
                    "publicKey": { "content": STANDARD.encode(self.certificate) },
                },
            },
        });
        let payload = json!({
            "body": STANDARD.encode(canonical(&body)?),
            "integratedTime": self.integrated_time.as_second(),
            "logID": Digest::of(&rekor.subject_public_key_info()).hex(),
            "logIndex": self.index,
        });
        let promise = rekor.sign(&canonical(&payload)?)?;
        let bundle = json!({ "SignedEntryTimestamp": STANDARD.encode(promise), "Payload": payload });
        Ok(serde_json::to_string(&bundle)?)
    }
}

/// The same bundle with another time in it than the log has promised (TOB-SIGSTORE-3).
pub(super) fn a_second_later(bundle: &str, time: Timestamp) -> String {
    let field = |second: i64| format!("\"integratedTime\":{second}");
    bundle.replace(&field(time.as_second()), &field(time.as_second() + 1))
}

fn canonical(value: &Value) -> Result<Vec<u8>, SigstoreError> {
    let mut bytes = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut bytes,
        CanonicalFormatter::new(),
    ))?;
    Ok(bytes)
}
