//! P-256 keys and the roles that they act for.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

/// What a key may speak for. Agents are not here: their keys stand in the fleet's membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// signature-verifier: contents, signature evidence, its summary.
    Verifier,
    /// sbom-scanner: inventories, findings, its summary.
    Scanner,
    /// policy-engine: policy texts, approvals, decisions.
    Policy,
    /// rollout-controller: members, assignments, stops, modes, steps of a rollout.
    Controller,
    /// audit-log: status of the ledger.
    Ledger,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Verifier,
        Self::Scanner,
        Self::Policy,
        Self::Controller,
        Self::Ledger,
    ];

    /// The role's name, as in the bundle and in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verifier => "verifier",
            Self::Scanner => "scanner",
            Self::Policy => "policy",
            Self::Controller => "controller",
            Self::Ledger => "ledger",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Role {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or(KeyError::Role)
    }
}

/// Why a key can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM, or not of the expected kind.
    #[error("key is not PEM of kind {0}")]
    Pem(&'static str),
    /// The DER inside is no P-256 key.
    #[error("key is no P-256 key")]
    NotP256,
    /// The system's randomness or the key refused to work.
    #[error("making a key or a signature failed in the cryptographic library")]
    Library,
    /// No such role.
    #[error("role is none of verifier, scanner, policy, controller, ledger")]
    Role,
}

const PUBLIC: &str = "PUBLIC KEY";
const PRIVATE: &str = "PRIVATE KEY";

/// A P-256 public key, as DER SubjectPublicKeyInfo (RFC 5480).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    spki: Vec<u8>,
}

impl PublicKey {
    /// Reads PEM `PUBLIC KEY`.
    ///
    /// # Errors
    /// If it is no PEM of that kind or no P-256 key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        match pem::parse(text) {
            Ok(pem) if pem.tag() == PUBLIC => Self::from_spki(pem.into_contents()),
            Ok(_) | Err(_) => Err(KeyError::Pem(PUBLIC)),
        }
    }

    /// Reads DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// If it is no P-256 key.
    pub fn from_spki(spki: Vec<u8>) -> Result<Self, KeyError> {
        match ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &spki) {
            Ok(_) => Ok(Self { spki }),
            Err(_) => Err(KeyError::NotP256),
        }
    }

    /// PEM `PUBLIC KEY`.
    #[must_use]
    pub fn to_pem(&self) -> String {
        encode_pem(PUBLIC, &self.spki)
    }

    /// `SHA256:` and the unpadded base64 of the SHA-256 of the SPKI: how keys are named everywhere.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = domain::Digest::of(&self.spki);
        format!("SHA256:{}", STANDARD_NO_PAD.encode(digest.as_bytes()))
    }

    /// Whether `signature` (ASN.1 DER) is by this key over `message` (ECDSA, SHA-256).
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.spki)
            .is_ok_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

fn encode_pem(tag: &str, contents: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(tag, contents), config)
}

/// A P-256 private key. Its `Debug` shows the fingerprint alone.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// A new key and its PKCS#8 PEM.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn generate() -> Result<(Self, String), KeyError> {
        match EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()) {
            Ok(document) => Ok((
                Self::from_pkcs8(document.as_ref())?,
                encode_pem(PRIVATE, document.as_ref()),
            )),
            Err(_) => Err(KeyError::Library),
        }
    }

    /// Reads PEM `PRIVATE KEY` (PKCS#8).
    ///
    /// # Errors
    /// If it is no PEM of that kind or no P-256 key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        match pem::parse(text) {
            Ok(pem) if pem.tag() == PRIVATE => Self::from_pkcs8(pem.contents()),
            Ok(_) | Err(_) => Err(KeyError::Pem(PRIVATE)),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der) else {
            return Err(KeyError::NotP256);
        };
        let Ok(spki) = pair.public_key().as_der() else {
            return Err(KeyError::Library);
        };
        let public = PublicKey::from_spki(spki.as_ref().to_vec())?;
        Ok(Self { pair, public })
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message`: ECDSA over its SHA-256, ASN.1 DER.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match self.pair.sign(&SystemRandom::new(), message) {
            Ok(signature) => Ok(signature.as_ref().to_vec()),
            Err(_) => Err(KeyError::Library),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_pem() {
        let (key, pem) = SigningKey::generate().unwrap();
        let again = SigningKey::from_pem(&pem).unwrap();
        assert_eq!(key.public(), again.public());
        let public = PublicKey::from_pem(&key.public().to_pem()).unwrap();
        assert_eq!(public.fingerprint(), key.public().fingerprint());
        assert!(public.fingerprint().starts_with("SHA256:"));
    }

    #[test]
    fn a_signature_is_good_for_its_key_and_message_alone() {
        let (key, _) = SigningKey::generate().unwrap();
        let (other, _) = SigningKey::generate().unwrap();
        let signature = key.sign(b"message").unwrap();
        assert!(key.public().verifies(b"message", &signature));
        assert!(!key.public().verifies(b"massage", &signature));
        assert!(!other.public().verifies(b"message", &signature));
    }

    #[test]
    fn other_keys_are_refused() {
        let (_, private) = SigningKey::generate().unwrap();
        assert_eq!(PublicKey::from_pem(&private), Err(KeyError::Pem("PUBLIC KEY")));
        let wrong = pem::encode(&pem::Pem::new("PUBLIC KEY", vec![1, 2, 3]));
        assert_eq!(PublicKey::from_pem(&wrong), Err(KeyError::NotP256));
    }
}
