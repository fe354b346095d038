//! Signed notes and checkpoints (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), Ed25519 alone.
//!
//! A note is a text that ends in a newline, an empty line, and lines `— <name> <base64>` where the base64
//! is of the key id (4 bytes) and the signature. Key id = first 4 bytes of
//! `SHA-256(<name> || "\n" || 0x01 || <public key>)`. The text of a checkpoint has three lines: origin,
//! size in decimal, root in base64. We write no extension lines and refuse them: nothing of ours needs one.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::merkle::TreeHash;

/// Signature type of Ed25519 in a verifier key and in the key id.
const ED25519_TYPE: u8 = 0x01;
const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";
/// DER of a SubjectPublicKeyInfo of Ed25519 (RFC 8410) up to the key's 32 bytes.
const SPKI_PREFIX: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// Em dash and blank: how each signature line begins.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// Why a key or a note can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The key's name is empty or has a blank or a plus sign.
    #[error("name of the ledger's key is empty or has a blank or a plus sign")]
    Name,
    /// Not a PEM `PRIVATE KEY` with an Ed25519 key.
    #[error("ledger's key is no PEM PRIVATE KEY with an Ed25519 key")]
    Key,
    /// The system's randomness failed.
    #[error("making a key failed in the cryptographic library")]
    Library,
    /// Not `<name>+<key id>+<key>`.
    #[error("verifier key is not <name>+<key id>+<base64> of Ed25519")]
    Verifier,
    /// Not the form of a note.
    #[error("note is not a text, an empty line and signature lines")]
    Form,
    /// None of its signatures is by this key.
    #[error("note has no signature by the ledger's key")]
    Unsigned,
    /// A signature under the key's name and id is wrong.
    #[error("signature of the note by the ledger's key is wrong")]
    Signature,
    /// The text is no checkpoint.
    #[error("checkpoint is not origin, size and root hash on three lines")]
    Checkpoint,
    /// The checkpoint is of another log.
    #[error("checkpoint has another origin than the name of the ledger's key")]
    Origin,
}

/// The public half: who the ledger is for outsiders.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    key: Vec<u8>,
}

impl NoteVerifier {
    fn new(name: &str, key: Vec<u8>) -> Result<Self, NoteError> {
        let bad = name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+');
        if bad {
            Err(NoteError::Name)
        } else {
            Ok(Self {
                name: name.to_owned(),
                key,
            })
        }
    }

    /// Reads a verifier key as [`fmt::Display`] writes it.
    ///
    /// # Errors
    /// If it is not of that form, or its key id is not that of name and key.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Verifier);
        };
        let Ok(key) = STANDARD.decode(key) else {
            return Err(NoteError::Verifier);
        };
        let verifier = match key.split_first() {
            Some((&ED25519_TYPE, raw)) if raw.len() == 32 => Self::new(name, raw.to_vec())?,
            Some(_) | None => return Err(NoteError::Verifier),
        };
        if hex::encode(verifier.id()) == id {
            Ok(verifier)
        } else {
            Err(NoteError::Verifier)
        }
    }

    /// The key alone as PEM `PUBLIC KEY` (RFC 8410), for tools that know nothing of notes.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let spki = [SPKI_PREFIX, self.key.as_slice()].concat();
        pem::encode_config(&pem::Pem::new(PUBLIC, spki), config)
    }

    /// Name of the key, which is the origin of the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> [u8; 4] {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update(b"\n")
            .chain_update([ED25519_TYPE])
            .chain_update(&self.key)
            .finalize()
            .into();
        let [a, b, c, d, ..] = hash;
        [a, b, c, d]
    }

    /// The text of a note that this key signed. Signatures by other keys are ignored, as the format wants.
    ///
    /// # Errors
    /// If it is no note, or has no good signature by this key.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let at = note.rfind("\n\n").ok_or(NoteError::Form)?;
        let (text, rest) = note.split_at(at + 1);
        let lines = rest
            .strip_prefix('\n')
            .and_then(|l| l.strip_suffix('\n'))
            .ok_or(NoteError::Form)?;
        let mut ours = None;
        for line in lines.split('\n') {
            let (name, data) = line
                .strip_prefix(SIGNATURE_PREFIX)
                .and_then(|line| line.split_once(' '))
                .ok_or(NoteError::Form)?;
            let Ok(data) = STANDARD.decode(data) else {
                return Err(NoteError::Form);
            };
            let (id, signature) = data.split_at_checked(4).ok_or(NoteError::Form)?;
            if name == self.name && id == self.id() {
                let good = UnparsedPublicKey::new(&ED25519, &self.key)
                    .verify(text.as_bytes(), signature)
                    .is_ok();
                ours = Some(ours.unwrap_or(true) && good);
            }
        }
        match ours {
            Some(true) => Ok(text),
            Some(false) => Err(NoteError::Signature),
            None => Err(NoteError::Unsigned),
        }
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519_TYPE], self.key.as_slice()].concat();
        write!(
            f,
            "{}+{}+{}",
            self.name,
            hex::encode(self.id()),
            STANDARD.encode(key)
        )
    }
}

impl fmt::Debug for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The key that signs checkpoints. Its `Debug` shows the public half alone.
pub struct NoteKey {
    pair: Ed25519KeyPair,
    verifier: NoteVerifier,
}

impl NoteKey {
    /// A new key of this name and its PKCS#8 PEM.
    ///
    /// # Errors
    /// If the name can't be one, or the system has no randomness to give.
    pub fn generate(name: &str) -> Result<(Self, String), NoteError> {
        let Ok(document) = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()) else {
            return Err(NoteError::Library);
        };
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let text = pem::encode_config(&pem::Pem::new(PRIVATE, document.as_ref()), config);
        Ok((Self::from_pkcs8(name, document.as_ref())?, text))
    }

    /// Reads PEM `PRIVATE KEY` (PKCS#8), as openssl makes it too.
    ///
    /// # Errors
    /// If the name can't be one, or the text is no such key.
    pub fn from_pem(name: &str, text: &str) -> Result<Self, NoteError> {
        match pem::parse(text) {
            Ok(pem) if pem.tag() == PRIVATE => Self::from_pkcs8(name, pem.contents()),
            Ok(_) | Err(_) => Err(NoteError::Key),
        }
    }

    fn from_pkcs8(name: &str, der: &[u8]) -> Result<Self, NoteError> {
        let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) else {
            return Err(NoteError::Key);
        };
        let verifier = NoteVerifier::new(name, pair.public_key().as_ref().to_vec())?;
        Ok(Self { pair, verifier })
    }

    /// The public half.
    #[must_use]
    pub const fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// The note with this text, which must end in a newline.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        let data = [self.verifier.id().as_slice(), signature.as_ref()].concat();
        format!(
            "{text}\n{SIGNATURE_PREFIX}{} {}\n",
            self.verifier.name,
            STANDARD.encode(data)
        )
    }
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteKey({})", self.verifier)
    }
}

/// What a tree is at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of leaves.
    pub size: u64,
    /// Root.
    pub root: TreeHash,
}

impl Head {
    /// The checkpoint: a note about this head.
    #[must_use]
    pub fn sign(&self, key: &NoteKey) -> String {
        let root = STANDARD.encode(self.root.as_bytes());
        key.sign(&format!("{}\n{}\n{root}\n", key.verifier.name, self.size))
    }

    /// Reads a checkpoint and checks its signature and origin.
    ///
    /// # Errors
    /// If it is no checkpoint of this log by this key.
    pub fn open(checkpoint: &str, verifier: &NoteVerifier) -> Result<Self, NoteError> {
        let lines: Vec<&str> = verifier.open(checkpoint)?.split_terminator('\n').collect();
        let [origin, size, root] = lines.as_slice() else {
            return Err(NoteError::Checkpoint);
        };
        if *origin != verifier.name {
            return Err(NoteError::Origin);
        }
        let root = STANDARD.decode(root).ok().and_then(|bytes| bytes.try_into().ok());
        match (size.parse::<u64>(), root) {
            (Ok(number), Some(root)) if number.to_string() == *size => Ok(Self {
                size: number,
                root: TreeHash::from_bytes(root),
            }),
            (Ok(_) | Err(_), Some(_) | None) => Err(NoteError::Checkpoint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Example of golang.org/x/mod/sumdb/note.
    const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_of_go_verifies() {
        let verifier = NoteVerifier::parse(GO_KEY).unwrap();
        assert_eq!(verifier.to_string(), GO_KEY);
        assert!(verifier.open(GO_NOTE).unwrap().ends_with("problem is.\n"));
        let other = GO_KEY.replace("c74f20a3", "c74f20a4");
        assert_eq!(NoteVerifier::parse(&other), Err(NoteError::Verifier));
    }

    #[test]
    fn a_checkpoint_reads_back_and_a_changed_one_does_not() {
        let (key, pem) = NoteKey::generate("ledger.example/fleet").unwrap();
        let head = Head {
            size: 20,
            root: TreeHash::empty(),
        };
        let note = head.sign(&NoteKey::from_pem("ledger.example/fleet", &pem).unwrap());
        assert_eq!(Head::open(&note, key.verifier()), Ok(head));
        let bigger = note.replacen("20", "21", 1);
        assert_eq!(Head::open(&bigger, key.verifier()), Err(NoteError::Signature));
        let (stranger, _) = NoteKey::generate("ledger.example/fleet").unwrap();
        assert_eq!(Head::open(&note, stranger.verifier()), Err(NoteError::Unsigned));
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            assert!(Head::open(&text, key.verifier()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn other_origins_extensions_and_numbers_are_refused() {
        let (key, _) = NoteKey::generate("a").unwrap();
        let root = STANDARD.encode(TreeHash::empty().as_bytes());
        let open = |text: String| Head::open(&key.sign(&text), key.verifier());
        assert!(open(format!("a\n1\n{root}\n")).is_ok());
        assert_eq!(open(format!("b\n1\n{root}\n")), Err(NoteError::Origin));
        assert_eq!(open(format!("a\n01\n{root}\n")), Err(NoteError::Checkpoint));
        assert_eq!(
            open(format!("a\n1\n{root}\nextension\n")),
            Err(NoteError::Checkpoint)
        );
        assert_eq!(open("a\n1\nAAAA\n".to_owned()), Err(NoteError::Checkpoint));
        assert_eq!(NoteKey::generate("a b").unwrap_err(), NoteError::Name);
        assert_eq!(NoteKey::from_pem("a", "x").unwrap_err(), NoteError::Key);
    }

    #[test]
    fn signatures_by_others_are_ignored() {
        let (key, _) = NoteKey::generate("a").unwrap();
        let (witness, _) = NoteKey::generate("w").unwrap();
        let head = Head {
            size: 1,
            root: TreeHash::empty(),
        };
        let note = head.sign(&key);
        let (text, _) = note.split_once("\n\n").unwrap();
        let cosigned = witness.sign(&format!("{text}\n"));
        let both = format!("{note}{}", cosigned.split_once("\n\n").unwrap().1);
        assert_eq!(Head::open(&both, key.verifier()), Ok(head));
        assert_eq!(Head::open(&both, witness.verifier()), Err(NoteError::Origin));
    }

    #[test]
    fn a_key_of_openssl_is_read() {
        // RFC 8410 section 10.3, without the public half, as `openssl genpkey -algorithm ed25519` writes it.
        let pem = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
            -----END PRIVATE KEY-----\n";
        let key = NoteKey::from_pem("a", pem).unwrap();
        let public = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        assert_eq!(STANDARD.encode(&key.verifier().key), public);
    }
}
