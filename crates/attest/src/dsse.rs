//! DSSE envelopes (secure-systems-lab/dsse, protocol and envelope 1.0.2), as strict as they can be read:
//! JSON with these keys alone, exactly one signature, payload type in-toto.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::keys::{KeyError, PublicKey, SigningKey};

/// Payload type of an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// No envelope of ours is larger; a larger one is refused unread.
pub const MAX_ENVELOPE: usize = 900 * 1024;

/// Why bytes are no envelope that counts.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Larger than [`MAX_ENVELOPE`].
    #[error("envelope has {0} bytes, more than allowed")]
    TooLarge(usize),
    /// Not the JSON of an envelope.
    #[error("reading the envelope")]
    Json(#[source] serde_json::Error),
    /// Another payload type than in-toto's.
    #[error("payload type is not {PAYLOAD_TYPE}")]
    PayloadType,
    /// None or several signatures. Which of several counts is a question nobody should have to ask.
    #[error("envelope has {0} signatures, not one")]
    Signatures(usize),
    /// Payload or signature are not base64.
    #[error("reading base64 of the {0}")]
    Base64(&'static str, #[source] base64::DecodeError),
}

/// An envelope with one signature. Holding one says nothing about who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload: Vec<u8>,
    key_id: String,
    signature: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    payload_type: String,
    payload: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// Pre-authentication encoding: what is really signed.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// Signs a payload.
    ///
    /// # Errors
    /// If the key can't sign.
    pub fn sign(payload: Vec<u8>, key: &SigningKey) -> Result<Self, KeyError> {
        let signature = key.sign(&pae(PAYLOAD_TYPE, &payload))?;
        Ok(Self {
            payload,
            key_id: key.public().fingerprint(),
            signature,
        })
    }

    /// Reads an envelope. Checks its form, not its signature.
    ///
    /// # Errors
    /// If it is not exactly of the form described at the top.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_ENVELOPE {
            return Err(EnvelopeError::TooLarge(bytes.len()));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(EnvelopeError::Json)?;
        if wire.payload_type != PAYLOAD_TYPE {
            return Err(EnvelopeError::PayloadType);
        }
        let [signature] = wire.signatures.as_slice() else {
            return Err(EnvelopeError::Signatures(wire.signatures.len()));
        };
        let decode = |what, text: &str| {
            STANDARD
                .decode(text)
                .map_err(|error| EnvelopeError::Base64(what, error))
        };
        Ok(Self {
            payload: decode("payload", &wire.payload)?,
            key_id: signature.keyid.clone(),
            signature: decode("signature", &signature.sig)?,
        })
    }

    /// The envelope's JSON: what travels, and what its digest is of.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: STANDARD.encode(&self.payload),
            signatures: vec![WireSignature {
                keyid: self.key_id.clone(),
                sig: STANDARD.encode(&self.signature),
            }],
        };
        // Strings and vectors of strings always serialise.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// The signed payload: meaningless until [`Self::is_by`] said yes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The key id that the signer wrote: a hint, never a proof.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Whether this key signed the payload.
    #[must_use]
    pub fn is_by(&self, key: &PublicKey) -> bool {
        key.verifies(&pae(PAYLOAD_TYPE, &self.payload), &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pae_is_that_of_the_specification() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn an_envelope_reads_back() {
        let (key, _) = SigningKey::generate().unwrap();
        let envelope = Envelope::sign(b"{}".to_vec(), &key).unwrap();
        let again = Envelope::parse(&envelope.to_bytes()).unwrap();
        assert_eq!(again, envelope);
        assert!(again.is_by(key.public()));
    }

    #[test]
    fn two_signatures_unknown_keys_and_doubled_keys_are_refused() {
        let (key, _) = SigningKey::generate().unwrap();
        let text = String::from_utf8(Envelope::sign(b"{}".to_vec(), &key).unwrap().to_bytes()).unwrap();
        let two = text.replace("}]", "},{\"keyid\":\"\",\"sig\":\"\"}]");
        assert!(matches!(
            Envelope::parse(two.as_bytes()),
            Err(EnvelopeError::Signatures(2))
        ));
        let unknown = text.replacen('{', "{\"x\":1,", 1);
        assert!(matches!(
            Envelope::parse(unknown.as_bytes()),
            Err(EnvelopeError::Json(_))
        ));
        let doubled = text.replacen('{', "{\"payload\":\"\",", 1);
        assert!(matches!(
            Envelope::parse(doubled.as_bytes()),
            Err(EnvelopeError::Json(_))
        ));
        let other = text.replace("in-toto", "other");
        assert!(matches!(
            Envelope::parse(other.as_bytes()),
            Err(EnvelopeError::PayloadType)
        ));
    }
}
