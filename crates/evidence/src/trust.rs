//! The trust root: which Fulcio, CT logs and Rekor logs are believed, fixed by the digest of its bytes.

use std::fmt;
use std::sync::Arc;

use domain::Digest;
use sigstore_trust_root::TrustedRoot;
use sigstore_verify::Verifier;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::oid::ObjectIdentifier;

/// Organisation in the subject of every certificate authority of the demo (`testkit::sigstore`).
const DEMO_ORGANISATION: &str = "fluxgate demo";

/// Attribute type organizationName (RFC 5280 appendix A, X.520).
const ORGANISATION_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// A `trusted_root.json` is about 7 KB; the cap keeps an operator's wrong file from being parsed.
const MAX_BYTES: usize = 1024 * 1024;

/// A Sigstore trusted root (protobuf-specs, `dev.sigstore.trustroot.v1.TrustedRoot` as JSON), ready to
/// verify with. Cheap to clone.
#[derive(Clone)]
pub struct TrustRoot {
    verifier: Arc<Verifier>,
    digest: Digest,
    demo: bool,
}

/// Why bytes are no usable trust root.
#[derive(Debug, thiserror::Error)]
pub enum TrustRootError {
    /// Larger than any trust root.
    #[error("trust root has {bytes} bytes, more than {MAX_BYTES}")]
    Size {
        /// How many bytes there were.
        bytes: usize,
    },
    /// Not UTF-8.
    #[error("reading the trust root as text")]
    Encoding(#[source] std::str::Utf8Error),
    /// Not a trusted root in JSON.
    #[error("reading the trust root")]
    Read(#[source] Box<sigstore_trust_root::Error>),
    /// A key, certificate or validity in it can't be used.
    #[error("preparing the keys of the trust root")]
    Keys(#[source] Box<sigstore_verify::Error>),
    /// A certificate authority whose certificate can't be read.
    #[error("reading a certificate authority of the trust root")]
    Authority(#[source] x509_cert::der::Error),
    /// Without a certificate authority, a CT log and a transparency log nothing could ever be verified.
    #[error("trust root lacks a certificate authority, a CT log or a transparency log")]
    Incomplete,
}

impl TrustRoot {
    /// Reads a trusted root.
    ///
    /// # Errors
    /// If the bytes are none, hold a key or certificate that can't be used, or lack one of the three
    /// kinds of authority that a signature needs.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TrustRootError> {
        if bytes.len() > MAX_BYTES {
            return Err(TrustRootError::Size { bytes: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(TrustRootError::Encoding)?;
        let root = TrustedRoot::from_json(text).map_err(|e| TrustRootError::Read(Box::new(e)))?;
        if root.certificate_authorities.is_empty() || root.ctlogs.is_empty() || root.tlogs.is_empty() {
            return Err(TrustRootError::Incomplete);
        }
        let verifier = Verifier::new(&root).map_err(|e| TrustRootError::Keys(Box::new(e)))?;
        let demo = has_demo_authority(&root).map_err(TrustRootError::Authority)?;
        Ok(Self {
            verifier: Arc::new(verifier),
            digest: Digest::of(bytes),
            demo,
        })
    }

    /// The digest of the bytes that it was read from: part of every key under which results are kept.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether it trusts a certificate authority of the demo: one certificate whose subject has the
    /// organisation `fluxgate demo`. Read from the certificates, not from the JSON beside them, which can
    /// say anything.
    #[must_use]
    pub const fn is_demo(&self) -> bool {
        self.demo
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

impl fmt::Debug for TrustRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustRoot")
            .field("digest", &self.digest)
            .field("demo", &self.demo)
            .finish()
    }
}

fn has_demo_authority(root: &TrustedRoot) -> Result<bool, x509_cert::der::Error> {
    for authority in &root.certificate_authorities {
        for entry in &authority.cert_chain.certificates {
            let certificate = Certificate::from_der(entry.raw_bytes.as_bytes())?;
            let subject = &certificate.tbs_certificate.subject;
            let mut attributes = subject.0.iter().flat_map(|set| set.0.iter());
            if attributes
                .any(|a| a.oid == ORGANISATION_NAME && a.value.value() == DEMO_ORGANISATION.as_bytes())
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_good_root_is_no_demo() {
        let json = sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;
        let root = TrustRoot::from_json(json.as_bytes()).unwrap();
        assert!(!root.is_demo());
        assert_eq!(root.digest(), Digest::of(json.as_bytes()));
    }

    #[test]
    fn a_root_that_can_verify_nothing_is_refused() {
        let empty = br#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;
        assert!(matches!(
            TrustRoot::from_json(empty),
            Err(TrustRootError::Incomplete)
        ));
        assert!(matches!(TrustRoot::from_json(b"{"), Err(TrustRootError::Read(_))));
        assert!(matches!(
            TrustRoot::from_json(&[0xff]),
            Err(TrustRootError::Encoding(_))
        ));
        assert!(matches!(
            TrustRoot::from_json(&vec![b' '; MAX_BYTES + 1]),
            Err(TrustRootError::Size { .. })
        ));
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let json = sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;
        let mut value: serde_json::Value = serde_json::from_str(json).unwrap();
        value["tlogs"][0]["publicKey"]["rawBytes"] = "AAAA".into();
        let bytes = serde_json::to_vec(&value).unwrap();
        assert!(matches!(
            TrustRoot::from_json(&bytes),
            Err(TrustRootError::Keys(_))
        ));
    }
}
