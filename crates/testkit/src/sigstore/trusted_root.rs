//! `trusted_root.json` of the demo (protobuf-specs `dev.sigstore.trustroot.v1.TrustedRoot`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Digest;
use jiff::Timestamp;
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use super::{DemoSigstore, ORGANISATION, SigstoreError};

pub(super) fn json(demo: &DemoSigstore) -> Result<Vec<u8>, SigstoreError> {
    let valid_for = json!({ "start": demo.valid_from.to_string() });
    let certificate = |der: &[u8]| json!({ "rawBytes": STANDARD.encode(der) });
    Ok(serde_json::to_vec_pretty(&json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log("https://rekor.demo.invalid", &demo.rekor, demo.valid_from)],
        "certificateAuthorities": [{
            "subject": { "organization": ORGANISATION, "commonName": "fluxgate demo root" },
            "uri": "https://fulcio.demo.invalid",
            "certChain": {
                "certificates": [certificate(&demo.fulcio.intermediate), certificate(&demo.fulcio.root)],
            },
            "validFor": valid_for,
        }],
        "ctlogs": [log("https://ct.demo.invalid", &demo.ct_log, demo.valid_from)],
        "timestampAuthorities": [],
    }))?)
}

fn log(url: &str, key: &KeyPair, valid_from: Timestamp) -> Value {
    let der = key.subject_public_key_info();
    json!({
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": STANDARD.encode(&der),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": { "start": valid_from.to_string() },
        },
        "logId": { "keyId": STANDARD.encode(Digest::of(&der).as_bytes()) },
    })
}
