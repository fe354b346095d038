//! `sigstore-verify`, and what its errors mean in our words.
//!
//! Sigstore client specification, "Verification", in the order of `sigstore-verify` 0.15: (0) signing times
//! from the promise (SET), (1) chain to Fulcio at each of them, (2) SCT, (3) identity and issuer, (4) and (5)
//! log entry, (6) log time inside the certificate's validity, (7) signature over the payload, (8) log entry
//! describes this signature (CVE-2022-36056). Step 4's inclusion proof does not exist in legacy signatures:
//! Rekor's promise stands for it, as in cosign.

use domain::Reason;
use jiff::Timestamp;
use sigstore_verify::{CertificateError, Error, IdentityMatcher, TransparencyLogError, VerificationPolicy};

use crate::material::Signature;
use crate::trust::TrustRoot;

/// Verifies steps 0 to 8 for one subject alternative name and issuer, each exactly; the time at which the
/// log says that it took the signature.
pub(crate) fn verify(
    signature: &Signature<'_>,
    subject: &str,
    issuer: &str,
    trust: &TrustRoot,
) -> Result<Timestamp, (Reason, String)> {
    let policy = VerificationPolicy::new(IdentityMatcher::Uri(subject.to_owned()), issuer);
    let result = trust
        .verifier()
        .verify(signature.bytes, &signature.bundle, &policy)
        .map_err(|error| (reason(&error), error.to_string()))?;
    // The getters say which steps ran: a change in the crate must not turn into a pass.
    if !result.certificate_verified() || !result.sct_verified() || !result.identity_policy_checked() {
        return Err((
            Reason::CertificateInvalid,
            "certificate, SCT or identity was not verified".to_owned(),
        ));
    }
    match result.integrated_time() {
        Some(time) if result.tlog_verified() => Ok(time),
        Some(_) | None => Err((
            Reason::LogEntryInvalid,
            "the log's time was not verified".to_owned(),
        )),
    }
}

fn reason(error: &Error) -> Reason {
    match error {
        Error::IdentityMismatch { .. } | Error::IssuerMismatch { .. } => Reason::IdentityMismatch,
        Error::SignatureInvalid(_) | Error::Crypto(_) => Reason::SignatureInvalid,
        // Our bundles carry no message digest, so only step 8 can say this: the entry is of other bytes.
        Error::ArtifactMismatch(_) => Reason::LogEntryInvalid,
        Error::Certificate(CertificateError::Malformed(_)) => Reason::MaterialMalformed,
        Error::TransparencyLog(TransparencyLogError::MalformedEntry(_)) => Reason::MaterialMalformed,
        Error::Certificate(_) => Reason::CertificateInvalid,
        Error::TransparencyLog(_) | Error::Timestamp(_) => Reason::LogEntryInvalid,
        // Neither happens after `TrustRoot::from_json`; if one does, no chain was verified.
        Error::InvalidTrustRoot(_) | Error::TrustRoot(_) | Error::TrustedCertificate(_) => {
            Reason::CertificateInvalid
        }
        Error::UnsupportedArtifact(_)
        | Error::InvalidBundle(_)
        | Error::UnsupportedBundle(_)
        | Error::Types(_)
        | Error::Bundle(_)
        | Error::ArtifactRead(_) => Reason::MaterialMalformed,
        // `Error` is non-exhaustive: a variant that is not known yet is a failure too.
        _ => Reason::SignatureInvalid,
    }
}
