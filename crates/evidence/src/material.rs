//! From the annotations of a `.sig` layer to a Sigstore bundle v0.1.
//!
//! The parser is stricter than `sigstore-verify`: sizes are capped before anything is read, JSON must hold
//! the known fields once and nothing else, and there is exactly one certificate, one log entry and one
//! promise (SET). A v0.1 bundle with a promise and no inclusion proof is accepted by `sigstore-verify`
//! whatever it was before; only this converter makes such bundles, so nothing can be downgraded to one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::evidence::SignatureMaterial;
use domain::identity::SignerIdentity;
use jiff::Timestamp;
use serde::Deserialize;
use sigstore_types::{
    Bundle, CanonicalizedBody, DerCertificate, InclusionPromise, KindVersion, LogId, LogIndex, LogKeyId,
    MediaType, MessageSignature, SignatureBytes, SignatureContent, SignedTimestamp, TransparencyLogEntry,
    VerificationMaterial, VerificationMaterialContent, X509Certificate,
};
use sigstore_verify::crypto::{CertificateInfo, parse_certificate_info};

use crate::payload::Payload;

/// A payload of cosign has about 250 bytes.
const MAX_PAYLOAD: usize = 16 * 1024;
/// A Fulcio certificate of a GitHub workflow has about 2.6 KB as PEM.
const MAX_CERTIFICATE: usize = 16 * 1024;
/// A bundle annotation has about 5 KB.
const MAX_BUNDLE: usize = 64 * 1024;
/// An ECDSA signature has about 100 characters in base64.
const MAX_SIGNATURE: usize = 1024;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// One signature, read: everything in it comes from the same layer.
#[derive(Debug)]
pub(crate) struct Signature<'a> {
    /// The signed bytes.
    pub(crate) bytes: &'a [u8],
    /// What they say.
    pub(crate) payload: Payload,
    /// Certificate, signature and log entry.
    pub(crate) bundle: Bundle,
    /// What the certificate says; nothing is believed of it before the bundle is verified.
    pub(crate) certificate: CertificateInfo,
}

/// Why material is not in a form that is accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MaterialError {
    #[error("the {part} has {bytes} bytes, more than {limit}")]
    Size {
        part: &'static str,
        bytes: usize,
        limit: usize,
    },
    #[error("the {part} is missing")]
    Missing { part: &'static str },
    #[error("the {part} is not base64")]
    Base64 { part: &'static str },
    #[error("the {part} is not JSON with the known fields, each once: {source}")]
    Json {
        part: &'static str,
        source: serde_json::Error,
    },
    #[error("the certificate annotation is not exactly one PEM certificate")]
    Pem,
    #[error("the certificate can't be read: {source}")]
    Certificate {
        source: Box<sigstore_verify::crypto::Error>,
    },
    #[error("the log entry's {field} is not possible")]
    Entry { field: &'static str },
}

/// Annotation `dev.sigstore.cosign/bundle` (cosign SIGNATURE_SPEC, "Bundle").
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotation {
    #[serde(rename = "SignedEntryTimestamp")]
    signed_entry_timestamp: String,
    #[serde(rename = "Payload")]
    payload: Entry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// The head of a Rekor entry; what it says about signature, certificate and payload is compared by
/// `sigstore-verify`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Body {
    api_version: String,
    kind: String,
    #[serde(rename = "spec")]
    _spec: HashedRekord,
}

/// Rekor `hashedrekord` 0.0.1: read for its exact fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashedRekord {
    #[serde(rename = "data")]
    _data: Data,
    #[serde(rename = "signature")]
    _signature: EntrySignature,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    #[serde(rename = "hash")]
    _hash: Hash,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hash {
    #[serde(rename = "algorithm")]
    _algorithm: String,
    #[serde(rename = "value")]
    _value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntrySignature {
    #[serde(rename = "content")]
    _content: String,
    #[serde(rename = "publicKey")]
    _public_key: EntryKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryKey {
    #[serde(rename = "content")]
    _content: String,
}

impl<'a> Signature<'a> {
    /// Reads one layer's material.
    pub(crate) fn read(material: &'a SignatureMaterial) -> Result<Self, MaterialError> {
        let SignatureMaterial {
            payload,
            signature,
            certificate,
            bundle,
        } = material;
        sized("payload", payload.len(), MAX_PAYLOAD)?;
        sized("signature", signature.len(), MAX_SIGNATURE)?;
        sized("bundle", bundle.len(), MAX_BUNDLE)?;
        let leaf = leaf(certificate)?;
        let certificate = read_certificate(&leaf)?;
        let json = |source| MaterialError::Json {
            part: "payload",
            source,
        };
        Ok(Self {
            bytes: payload,
            payload: serde_json::from_slice(payload).map_err(json)?,
            bundle: Bundle::new(
                MediaType::Bundle0_1,
                VerificationMaterial::new(VerificationMaterialContent::X509CertificateChain {
                    certificates: vec![X509Certificate::new(leaf)],
                })
                .with_tlog_entries(vec![entry(bundle)?]),
                SignatureContent::MessageSignature(MessageSignature::new(SignatureBytes::new(decode(
                    "signature",
                    signature,
                )?))),
            ),
            certificate,
        })
    }
}

/// The identity in the certificate of this material, if one can be read at all.
pub(crate) fn signer(material: &SignatureMaterial) -> Option<SignerIdentity> {
    leaf(&material.certificate)
        .and_then(|leaf| read_certificate(&leaf))
        .ok()
        .map(|c| identity(&c))
}

/// The identity that a certificate carries; a claim that is missing is an empty text, which equals none.
pub(crate) fn identity(certificate: &CertificateInfo) -> SignerIdentity {
    let claims = &certificate.ci_claims;
    let text = |claim: &Option<String>| claim.clone().unwrap_or_default();
    SignerIdentity {
        subject_alternative_name: certificate
            .identity
            .as_ref()
            .map(|san| san.as_str().to_owned())
            .unwrap_or_default(),
        issuer: text(&certificate.issuer),
        source_repository: text(&claims.source_repository_uri),
        source_ref: text(&claims.source_repository_ref),
        source_digest: text(&claims.source_repository_digest),
        trigger: text(&claims.build_trigger),
    }
}

fn sized(part: &'static str, bytes: usize, limit: usize) -> Result<(), MaterialError> {
    match bytes {
        0 => Err(MaterialError::Missing { part }),
        _ if bytes > limit => Err(MaterialError::Size { part, bytes, limit }),
        _ => Ok(()),
    }
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, MaterialError> {
    let bytes = STANDARD.decode(text).or(Err(MaterialError::Base64 { part }))?;
    sized(part, bytes.len(), MAX_BUNDLE)?;
    Ok(bytes)
}

/// The leaf, from a text that is one PEM block and nothing else (RFC 7468). The chain annotation is not
/// read: intermediates come from the trust root.
fn leaf(pem: &str) -> Result<DerCertificate, MaterialError> {
    sized("certificate", pem.len(), MAX_CERTIFICATE)?;
    let inner = pem
        .trim_ascii_end()
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(END))
        .ok_or(MaterialError::Pem)?;
    let text: String = inner.lines().collect();
    STANDARD
        .decode(text)
        .map(DerCertificate::new)
        .or(Err(MaterialError::Pem))
}

fn read_certificate(leaf: &DerCertificate) -> Result<CertificateInfo, MaterialError> {
    parse_certificate_info(leaf).map_err(|e| MaterialError::Certificate { source: Box::new(e) })
}

fn entry(annotation: &str) -> Result<TransparencyLogEntry, MaterialError> {
    let json = |part| move |source| MaterialError::Json { part, source };
    let Annotation {
        signed_entry_timestamp,
        payload,
    } = serde_json::from_str(annotation).map_err(json("bundle"))?;
    let body = decode("log entry's body", &payload.body)?;
    let head: Body = serde_json::from_slice(&body).map_err(json("log entry's body"))?;
    if head.kind != KindVersion::HashedRekordV001.kind()
        || head.api_version != KindVersion::HashedRekordV001.version()
    {
        return Err(MaterialError::Entry { field: "kind" });
    }

    let log_id = hex::decode(&payload.log_id).or(Err(MaterialError::Entry { field: "log id" }))?;
    let index = LogIndex::try_from(payload.log_index).or(Err(MaterialError::Entry { field: "index" }))?;
    let time = Timestamp::from_second(payload.integrated_time).or(Err(MaterialError::Entry {
        field: "integrated time",
    }))?;
    let promise = decode("signed entry timestamp", &signed_entry_timestamp)?;
    Ok(TransparencyLogEntry::new(
        index,
        LogId::new(LogKeyId::new(log_id)),
        KindVersion::HashedRekordV001,
        CanonicalizedBody::new(body),
    )
    .with_integrated_time(time)
    .with_inclusion_promise(InclusionPromise::new(SignedTimestamp::new(promise))))
}
