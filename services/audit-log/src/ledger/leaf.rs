//! What a leaf of the tree is: which payload stood under which subject and sequence, nothing else.
//!
//! The record holds no value of ours (no time, no host), so that whoever holds the stream makes the same
//! tree. It is one line of JSON with sorted keys and no blanks, so that `jq -Sc` makes the same bytes.

use serde::Serialize;

use domain::Digest;

use super::merkle::TreeHash;

/// A leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leaf {
    // Fields in the order of their names: that is the order in the record.
    /// Digest of the payload's bytes.
    pub payload: Digest,
    /// Stream sequence.
    pub sequence: u64,
    /// Subject that the payload was published under.
    pub subject: String,
}

impl Leaf {
    /// The record: `{"payload":"sha256:...","sequence":1,"subject":"..."}`.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        // A digest, a number and a text always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The leaf's hash in the tree.
    #[must_use]
    pub fn hash(&self) -> TreeHash {
        TreeHash::of_leaf(&self.record())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_has_sorted_keys_and_no_blanks() {
        let leaf = Leaf {
            payload: Digest::of(b""),
            sequence: 7,
            subject: "fluxgate.v1.a".to_owned(),
        };
        let text = "{\"payload\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\
                    \"sequence\":7,\"subject\":\"fluxgate.v1.a\"}";
        assert_eq!(leaf.record(), text.as_bytes());
        let sorted: serde_json::Value = serde_json::from_slice(&leaf.record()).unwrap();
        assert_eq!(serde_json::to_vec(&sorted).unwrap(), leaf.record());
    }
}
