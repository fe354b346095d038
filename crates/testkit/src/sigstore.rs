//! A demo Fulcio, CT log and Rekor whose signatures a stock cosign accepts.
//!
//! Follows the measured recipe of `reference/lab.md` section 6: what it takes so that cosign 2.6 and
//! `sigstore-verify` accept a signature offline with `--trusted-root`. Root and intermediate carry the
//! organisation `fluxgate demo`, by which fluxgate knows demo trust wherever it meets it.
//!
//! Keys are random, so two of these never trust each other; [`DemoSigstore::save`] and
//! [`DemoSigstore::load`] keep one across processes.

mod fulcio;
mod rekor;
mod trusted_root;
mod workflow;

use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::evidence::SignatureMaterial;
use domain::{Digest, ImageRef, Reason};
use jiff::{SignedDuration, Timestamp};
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use serde::{Deserialize, Serialize};

use fulcio::{Fulcio, Request, SavedFulcio, Sct};
pub use workflow::Workflow;

/// Organisation in the subject of root and intermediate.
pub const ORGANISATION: &str = "fluxgate demo";

/// How long before `now` the authorities became valid: longer than any release is backdated.
const BACKDATED: SignedDuration = SignedDuration::from_hours(24 * 365);

/// Everything that signs and logs in the demo.
#[derive(Debug)]
pub struct DemoSigstore {
    fulcio: Fulcio,
    ct_log: KeyPair,
    rekor: KeyPair,
    valid_from: Timestamp,
    next_index: AtomicI64,
}

/// Why the demo could not make or sign something.
#[derive(Debug, thiserror::Error)]
pub enum SigstoreError {
    /// A key or a certificate could not be made.
    #[error("making a key or certificate of the demo")]
    Certificate(#[from] rcgen::Error),
    /// A certificate that was just made can't be read back.
    #[error("reading back a certificate of the demo")]
    Der(#[from] x509_cert::der::Error),
    /// A text is no URI of a certificate.
    #[error("workflow {subject:?} can't stand in a certificate")]
    Subject {
        /// The subject alternative name that was wanted.
        subject: String,
        /// What is wrong with it.
        source: rcgen::Error,
    },
    /// JSON could not be written, or saved keys not be read.
    #[error("writing or reading JSON of the demo")]
    Json(#[from] serde_json::Error),
    /// A time is beyond what a certificate can say.
    #[error("computing a time of the demo")]
    Time(#[from] jiff::Error),
    /// A structure is longer than its length field.
    #[error("a certificate of {bytes} bytes does not fit into an SCT")]
    Length {
        /// Its length.
        bytes: usize,
    },
    /// Saved keys are not base64.
    #[error("reading saved keys")]
    Base64(#[from] base64::DecodeError),
}

/// A way in which a signature of the demo is wrong, for the tests of what refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The certificate is of a Fulcio that nobody trusts, with the SCT and log entry of trusted logs.
    ForeignFulcio,
    /// The certificate has no SCT.
    NoSct,
    /// The SCT is signed by a CT log that nobody trusts.
    ForeignCtLog,
    /// The promise is signed by a Rekor that nobody trusts.
    ForeignRekor,
    /// The certificate does not allow signing code: it has the usage of a TLS server.
    TlsCertificate,
    /// The entry was logged a minute after the certificate's end.
    LoggedTooLate,
    /// The log entry describes the payload of another signature (CVE-2022-36056).
    OtherEntry,
    /// The SCT is by the trusted CT log, over another certificate.
    OtherSct,
    /// The promise is by the trusted Rekor, over another time.
    OtherPromise,
}

impl Fault {
    /// All of them, certificate first.
    pub const ALL: [Self; 9] = [
        Self::ForeignFulcio,
        Self::TlsCertificate,
        Self::NoSct,
        Self::OtherSct,
        Self::ForeignCtLog,
        Self::OtherPromise,
        Self::ForeignRekor,
        Self::OtherEntry,
        Self::LoggedTooLate,
    ];

    /// What a verifier has to find.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::ForeignFulcio
            | Self::TlsCertificate
            | Self::NoSct
            | Self::OtherSct
            | Self::ForeignCtLog
            | Self::LoggedTooLate => Reason::CertificateInvalid,
            Self::OtherPromise | Self::ForeignRekor | Self::OtherEntry => Reason::LogEntryInvalid,
        }
    }

    /// For people: what is wrong.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::ForeignFulcio => "certificate of a foreign Fulcio",
            Self::TlsCertificate => "certificate for TLS servers",
            Self::NoSct => "no SCT",
            Self::OtherSct => "SCT that does not verify",
            Self::ForeignCtLog => "SCT of a foreign CT log",
            Self::OtherPromise => "SET that does not verify",
            Self::ForeignRekor => "entry of a foreign Rekor",
            Self::OtherEntry => "log entry of another signature",
            Self::LoggedTooLate => "logged after the certificate's end",
        }
    }
}

/// A [`DemoSigstore`] as it is kept in a file: private keys, worth nothing outside the demo.
#[derive(Serialize, Deserialize)]
struct Saved {
    fulcio: SavedFulcio,
    ct_log: String,
    rekor: String,
    /// Seconds since 1970.
    valid_from: i64,
    next_index: i64,
}

impl DemoSigstore {
    /// A new one, whose authorities are valid from a year before `now`.
    ///
    /// # Errors
    /// If a key or certificate can't be made.
    pub fn new(now: Timestamp) -> Result<Self, SigstoreError> {
        let valid_from = Timestamp::from_second(now.checked_sub(BACKDATED)?.as_second())?;
        Ok(Self {
            fulcio: Fulcio::new(valid_from)?,
            ct_log: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
            rekor: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
            valid_from,
            next_index: AtomicI64::new(1),
        })
    }

    /// Everything that [`Self::load`] needs: JSON with the private keys.
    ///
    /// # Errors
    /// If JSON can't be written.
    pub fn save(&self) -> Result<Vec<u8>, SigstoreError> {
        Ok(serde_json::to_vec_pretty(&Saved {
            fulcio: self.fulcio.save(),
            ct_log: STANDARD.encode(self.ct_log.serialized_der()),
            rekor: STANDARD.encode(self.rekor.serialized_der()),
            valid_from: self.valid_from.as_second(),
            next_index: self.next_index.load(Ordering::Relaxed),
        })?)
    }

    /// The one that was saved.
    ///
    /// # Errors
    /// If the bytes are not what [`Self::save`] wrote.
    pub fn load(bytes: &[u8]) -> Result<Self, SigstoreError> {
        let saved: Saved = serde_json::from_slice(bytes)?;
        let valid_from = Timestamp::from_second(saved.valid_from)?;
        Ok(Self {
            fulcio: Fulcio::load(&saved.fulcio, valid_from)?,
            ct_log: load_key(&saved.ct_log, &PKCS_ECDSA_P256_SHA256)?,
            rekor: load_key(&saved.rekor, &PKCS_ECDSA_P256_SHA256)?,
            valid_from,
            next_index: AtomicI64::new(saved.next_index),
        })
    }

    /// `trusted_root.json` of the demo, for fluxgate and for `cosign verify --trusted-root`.
    ///
    /// # Errors
    /// If JSON can't be written.
    pub fn trusted_root_json(&self) -> Result<Vec<u8>, SigstoreError> {
        trusted_root::json(self)
    }

    /// Intermediate and root as PEM: annotation `dev.sigstore.cosign/chain`.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.fulcio.chain_pem()
    }

    /// Signs an image as `cosign sign` in this workflow at this time would.
    ///
    /// # Errors
    /// If a certificate or entry can't be made.
    pub fn sign_image(
        &self,
        image: &ImageRef,
        digest: Digest,
        workflow: &Workflow,
        at: Timestamp,
    ) -> Result<SignatureMaterial, SigstoreError> {
        self.sign(&simplesigning(image.repository(), digest), workflow, at)
    }

    /// Signs a payload in this workflow; the certificate is valid for ten minutes from `at`, and the entry
    /// is logged at `at`.
    ///
    /// # Errors
    /// If a certificate or entry can't be made.
    pub fn sign(
        &self,
        payload: &[u8],
        workflow: &Workflow,
        at: Timestamp,
    ) -> Result<SignatureMaterial, SigstoreError> {
        self.sign_as(payload, workflow, at, None)
    }

    /// The same, wrong in one way.
    ///
    /// # Errors
    /// If a certificate or entry can't be made.
    pub fn sign_with_fault(
        &self,
        payload: &[u8],
        workflow: &Workflow,
        at: Timestamp,
        fault: Fault,
    ) -> Result<SignatureMaterial, SigstoreError> {
        self.sign_as(payload, workflow, at, Some(fault))
    }

    fn sign_as(
        &self,
        payload: &[u8],
        workflow: &Workflow,
        at: Timestamp,
        fault: Option<Fault>,
    ) -> Result<SignatureMaterial, SigstoreError> {
        let foreign = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let sct = match fault {
            Some(Fault::NoSct) => Sct::None,
            Some(Fault::ForeignCtLog) => Sct::By(&foreign),
            Some(Fault::OtherSct) => Sct::OfAnother(&self.ct_log),
            _ => Sct::By(&self.ct_log),
        };
        let tls = fault == Some(Fault::TlsCertificate);
        let usage = if tls {
            ExtendedKeyUsagePurpose::ServerAuth
        } else {
            ExtendedKeyUsagePurpose::CodeSigning
        };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let request = Request {
            key: &key,
            workflow,
            at,
            usage,
        };
        let certificate = if fault == Some(Fault::ForeignFulcio) {
            Fulcio::new(self.valid_from)?.issue(&request, sct)?
        } else {
            self.fulcio.issue(&request, sct)?
        };
        let signature = STANDARD.encode(key.sign(payload)?);
        let late = fulcio::LEAF_LIFETIME + SignedDuration::from_mins(1);
        let entry = rekor::Entry {
            payload: if fault == Some(Fault::OtherEntry) {
                b"another payload"
            } else {
                payload
            },
            signature: &signature,
            certificate: &certificate,
            integrated_time: if fault == Some(Fault::LoggedTooLate) {
                at.checked_add(late)?
            } else {
                at
            },
            index: self.next_index.fetch_add(1, Ordering::Relaxed),
        };
        let rekor = if fault == Some(Fault::ForeignRekor) {
            &foreign
        } else {
            &self.rekor
        };
        let mut bundle = entry.bundle(rekor)?;
        if fault == Some(Fault::OtherPromise) {
            bundle = rekor::a_second_later(&bundle, entry.integrated_time);
        }
        Ok(SignatureMaterial {
            payload: payload.to_vec(),
            signature,
            certificate,
            bundle,
        })
    }
}

/// The simplesigning payload as cosign writes it: repository without tag.
#[must_use]
pub fn simplesigning(repository: &str, digest: Digest) -> Vec<u8> {
    serde_json::json!({
        "critical": {
            "identity": { "docker-reference": repository },
            "image": { "docker-manifest-digest": digest },
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string()
    .into_bytes()
}

fn load_key(text: &str, algorithm: &'static rcgen::SignatureAlgorithm) -> Result<KeyPair, SigstoreError> {
    let der = STANDARD.decode(text)?;
    Ok(KeyPair::from_pkcs8_der_and_sign_algo(
        &der.as_slice().into(),
        algorithm,
    )?)
}
