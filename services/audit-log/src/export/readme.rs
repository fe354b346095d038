//! README.txt: what to type to check one statement without fluxgate.

use super::derive::{Basis, Example, key_names};
use crate::ledger::tiles::{Kind, Tile, WIDTH};

pub(super) fn text(basis: &Basis<'_>) -> String {
    let (manifest, size) = (basis.manifest, basis.tree.size());
    let what = if manifest.complete {
        format!("All {size} leaves of the ledger {}.", basis.verifier.name())
    } else {
        format!(
            "{} of the {size} leaves of the ledger {}, chosen by: {}.",
            manifest.leaves,
            basis.verifier.name(),
            manifest.chosen_by
        )
    };
    let root = basis.root.map_or_else(
        || "unknown to who made this export".to_owned(),
        attest::PublicKey::fingerprint,
    );
    let mut text = format!(
        "An export of the ledger of fluxgate ({format})\n\n{what}\n\n\
         Ledger's key  {verifier}\nRoot key      {root}\n\n\
         Whoever made this folder could have made other keys. Compare these two with what you have from\n\
         elsewhere before you believe anything that follows.\n\n{FILES}\n{WITH}",
        format = manifest.format,
        verifier = basis.verifier,
    );
    text.push_str(NOTE);
    match &basis.example {
        Some(example) => text.push_str(&statement(basis, example)),
        None => text.push_str("No statement in this export is signed by a role of the trust bundle.\n"),
    }
    text
}

const FILES: &str = "\
Files
  export.json             what was exported
  entries.ndjson          a line for each leaf: index, SHA-256 of its payload, stream sequence, subject
  envelopes/INDEX.json    the payload of a leaf: an in-toto statement in a DSSE envelope
  blobs/sha256/HEX        what statements name by digest
  checkpoint              signed note: origin, number of leaves, root of the Merkle tree
  tiles/                  the tree, as c2sp.org/tlog-tiles has it
  proofs/INDEX            inclusion proofs, as c2sp.org/tlog-proof has them, where not all leaves are here
  keys/                   the ledger's key, the root key, the trust bundle and the keys in it
";

const WITH: &str = "\
With fluxgate, offline:

    fluxgate audit verify . --key LEDGER_KEY_FILE --root ROOT_KEY_FILE

Without fluxgate, in this folder, with bash, jq, openssl 3 and coreutils. Each block ends with a line that
says OK.

";

const NOTE: &str = "\
1. The checkpoint is signed by the ledger's key (Ed25519):

    T=$(mktemp -d)
    sed '/^$/,$d' checkpoint > $T/note
    sed -n '/^$/,$p' checkpoint | sed -n '2p' | cut -d' ' -f3 | base64 -d | tail -c +5 > $T/note.sig
    openssl pkeyutl -verify -pubin -inkey keys/ledger.pem -rawin -in $T/note -sigfile $T/note.sig \\
      && echo OK checkpoint

";

fn statement(basis: &Basis<'_>, example: &Example) -> String {
    let keys = basis.trust.map(key_names).unwrap_or_default();
    let key = keys.get(example.key).cloned().unwrap_or_default();
    let Example {
        line, predicate_type, ..
    } = example;
    let index = line.index;
    let number = index / WIDTH;
    let tile = Tile {
        kind: Kind::Hashes(0),
        number,
        width: WIDTH.min(basis.tree.size() - number * WIDTH),
    };
    let path = tile.path();
    let offset = (index % WIDTH) * 32 + 1;
    format!(
        "2. Leaf {index} ({subject})\n   has this payload, and its hash stands in the tree:\n\n    \
         I={index}\n    \
         jq -rj --argjson i $I 'select(.index == $i) | .payload | ltrimstr(\"sha256:\")' entries.ndjson > $T/digest\n    \
         echo \"$(cat $T/digest)  envelopes/$I.json\" | sha256sum -c && echo OK payload\n    \
         jq -cj --argjson i $I 'select(.index == $i) | {{payload, sequence, subject}}' entries.ndjson > $T/record\n    \
         printf '\\0' | cat - $T/record | openssl dgst -sha256 -binary > $T/leaf\n    \
         tail -c +{offset} tiles/{tile} | head -c 32 | cmp - $T/leaf && echo OK leaf\n\n\
         3. It is a statement, signed by a key of the trust bundle (DSSE, P-256):\n\n    \
         test \"$(jq -r .payloadType envelopes/$I.json)\" = application/vnd.in-toto+json && echo OK type\n    \
         jq -rj .payload envelopes/$I.json | base64 -d > $T/statement.json\n    \
         jq -rj '.signatures[0].sig' envelopes/$I.json | base64 -d > $T/statement.sig\n    \
         printf 'DSSEv1 28 application/vnd.in-toto+json %d ' \"$(wc -c < $T/statement.json)\" \\\n      \
           | cat - $T/statement.json > $T/pae\n    \
         openssl dgst -sha256 -verify {key} -signature $T/statement.sig $T/pae && echo OK signature\n    \
         jq . $T/statement.json\n\n   \
         The same with cosign 2 or later:\n\n    \
         cosign verify-blob-attestation --key {key} --insecure-ignore-tlog --check-claims=false \\\n      \
           --signature envelopes/$I.json --type {predicate_type} && echo OK cosign\n\n\
         4. The key stands in the trust bundle, which the root key signed:\n\n    \
         jq -rj .payload keys/bundle.json | base64 -d > $T/bundle\n    \
         jq -e --rawfile k {key} '.predicate.body.keys | any(.publicKey == $k)' $T/bundle && echo OK key\n    \
         jq -rj '.signatures[0].sig' keys/bundle.json | base64 -d > $T/bundle.sig\n    \
         printf 'DSSEv1 28 application/vnd.in-toto+json %d ' \"$(wc -c < $T/bundle)\" | cat - $T/bundle > $T/pae\n    \
         openssl dgst -sha256 -verify keys/root.pub -signature $T/bundle.sig $T/pae && echo OK bundle\n\n\
         What a signature can't prove is time. For that have somebody else date the checkpoint (RFC 3161). Keep the\n\
         query and the answer outside of this folder, which holds what was exported and nothing else:\n\n    \
         openssl ts -query -data checkpoint -sha256 -cert -out ../checkpoint.tsq\n",
        subject = line.subject,
        tile = path.display(),
    )
}
