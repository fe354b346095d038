//! `audit show`: one entry whole. What the ledger says about it is checked here, not believed.

use attest::{Claim as _, Envelope, PublicKey, Statement, TrustBundle};
use audit_log::NoteVerifier;
use audit_log::ledger::Head;
use audit_log::ledger::merkle::{TreeHash, verify_inclusion};
use domain::Digest;
use serde_json::{Value, json};
use wire::audit::v1::get_entry_request::Entry as Wanted;
use wire::audit::v1::{EntryProof, GetEntryRequest, ListEntriesRequest};

use super::args::{Entry, ShowArgs};
use super::{AuditError, failed, ledger_key};
use crate::cli::Format;
use crate::client::{Client, failed as call_failed};
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Screen, Sign};
use crate::table::clean;
use crate::words;

pub(super) async fn run(args: &ShowArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let key = args.key.as_deref().map(ledger_key).transpose().map_err(failed)?;
    let client = context.connect().await?;
    let (wanted, name) = wanted(args);
    let proof = get(&client, wanted, &name).await?;
    let signer = signer(&client, &proof.payload).await?;
    let checks = check(&proof, key.as_ref());
    let shown = Shown {
        statement: statement(&proof.payload),
        pinned: key.is_some(),
        proof,
        signer,
        checks,
    };
    shown.print(context.screen)?;
    let good = shown.checks.iter().all(|(_, good)| *good);
    Ok(if good { Exit::Done } else { Exit::No })
}

/// What is asked for, and what it is called.
fn wanted(args: &ShowArgs) -> (Wanted, String) {
    match &args.entry {
        Some(Entry::Sequence(sequence)) => (Wanted::Sequence(*sequence), format!("entries/{sequence}")),
        Some(Entry::Subject(subject)) => (Wanted::Subject(subject.clone()), format!("entries/{subject}")),
        // Clap wants one of the two.
        None => {
            let index = args.index.unwrap_or_default();
            (Wanted::Index(index), format!("the entry with index {index}"))
        }
    }
}

async fn get(client: &Client, wanted: Wanted, name: &str) -> Result<EntryProof, Failure> {
    let request = GetEntryRequest { entry: Some(wanted) };
    let answer = client.audit().get_entry(request).await;
    let proof = answer
        .map_err(call_failed(format!("getting {name}")))?
        .into_inner();
    if proof.entry.is_some() {
        Ok(proof)
    } else {
        Err(failed(AuditError::Answer("an entry is missing in its proof")))
    }
}

/// What was checked, and whether it is so.
type Checks = Vec<(String, bool)>;

fn check(proof: &EntryProof, key: Option<&NoteVerifier>) -> Checks {
    let entry = proof.entry.clone().unwrap_or_default();
    let own = NoteVerifier::parse(&proof.verifier_key).ok();
    let head = key
        .or(own.as_ref())
        .and_then(|key| Head::open(&proof.checkpoint, key).ok());
    let leaf = TreeHash::of_leaf(proof.record.as_bytes());
    let hashes: Option<Vec<TreeHash>> = proof.inclusion_proof.iter().map(|text| hash(text)).collect();
    let payload = Digest::of(&proof.payload);
    let recorded = json!({ "payload": payload, "sequence": entry.sequence, "subject": entry.subject });
    let record = serde_json::from_str::<Value>(&proof.record).is_ok_and(|record| record == recorded);
    let included = match (head, hashes) {
        (Some(head), Some(hashes)) => verify_inclusion(leaf, entry.index, (head.size, head.root), &hashes),
        (None | Some(_), _) => false,
    };
    let size = head.map_or_else(|| "?".to_owned(), |head| head.size.to_string());
    vec![
        (
            "the leaf is about this subject, sequence and payload".to_owned(),
            record,
        ),
        (
            "the checkpoint is signed by the ledger's key".to_owned(),
            head.is_some(),
        ),
        (
            format!(
                "the leaf has index {}, from 0, among the {size} of that checkpoint",
                entry.index
            ),
            included,
        ),
    ]
}

fn hash(text: &str) -> Option<TreeHash> {
    let digest: Digest = format!("sha256:{text}").parse().ok()?;
    Some(TreeHash::from_bytes(*digest.as_bytes()))
}

/// The statement in a payload; none where it is no JSON of that form.
fn statement(payload: &[u8]) -> Option<Value> {
    let statement = match Envelope::parse(payload) {
        Ok(envelope) => Statement::parse(envelope.payload()),
        Err(_) => Statement::parse(payload),
    };
    serde_json::to_value(statement.ok()?).ok()
}

/// Who signed a payload, as far as the newest trust bundle and the statement itself say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Signer {
    /// No envelope: a hint, or junk.
    Nobody,
    /// A key of this role.
    Role { key: String, role: String, bundle: u64 },
    /// An agent, whose key stands in the statement.
    Agent { key: String, cluster: String },
    /// The key calls itself so, and nobody here knows it.
    Unknown { key: String },
}

async fn signer(client: &Client, payload: &[u8]) -> Result<Signer, Failure> {
    let Ok(envelope) = Envelope::parse(payload) else {
        return Ok(Signer::Nobody);
    };
    if let Some(bundle) = newest_bundle(client).await? {
        for key in &bundle.keys {
            let public = PublicKey::from_pem(&key.public_key).ok();
            if let Some(public) = public.filter(|public| envelope.is_by(public)) {
                return Ok(Signer::Role {
                    key: public.fingerprint(),
                    role: key.role.to_string(),
                    bundle: bundle.version,
                });
            }
        }
    }
    let header = Statement::parse(envelope.payload())
        .ok()
        .and_then(|statement| statement.header().ok());
    let agent = header.and_then(|header| Some((PublicKey::from_pem(&header.key).ok()?, header.cluster)));
    Ok(match agent {
        Some((key, cluster)) if envelope.is_by(&key) => Signer::Agent {
            key: key.fingerprint(),
            cluster,
        },
        Some(_) | None => Signer::Unknown {
            key: envelope.key_id().to_owned(),
        },
    })
}

/// The newest bundle in the ledger. Whether the root key signed it is not known here: the root key is not.
async fn newest_bundle(client: &Client) -> Result<Option<TrustBundle>, Failure> {
    let filter = ListEntriesRequest {
        kind: TrustBundle::KIND.to_owned(),
        ..ListEntriesRequest::default()
    };
    let Some(newest) = client.all_entries(filter).await?.items.pop() else {
        return Ok(None);
    };
    let proof = get(client, Wanted::Index(newest.index), &newest.subject).await?;
    Ok(crate::bundle::read(&proof.payload).ok())
}

impl Signer {
    fn text(&self) -> String {
        match self {
            Self::Nobody => "nobody: it is no signed envelope".to_owned(),
            Self::Role { key, role, bundle } => format!("{key}, role {role} in trust bundle {bundle}"),
            Self::Agent { key, cluster } => {
                format!("{key}, the agent of {cluster} as it says; its cluster-member says whether it is")
            }
            Self::Unknown { key } => format!("{key} as it says, in no trust bundle"),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Nobody => Value::Null,
            Self::Role { key, role, bundle } => json!({ "key": key, "role": role, "bundleVersion": bundle }),
            Self::Agent { key, cluster } => json!({ "key": key, "role": "agent", "cluster": cluster }),
            Self::Unknown { key } => json!({ "key": key, "role": Value::Null }),
        }
    }
}

/// All that is shown.
struct Shown {
    proof: EntryProof,
    statement: Option<Value>,
    signer: Signer,
    checks: Checks,
    pinned: bool,
}

impl Shown {
    fn print(&self, screen: &Screen) -> Result<(), Failure> {
        if screen.format() == Format::Json {
            return screen.json(&self.to_json());
        }
        for (name, value) in self.fields() {
            screen.data(format!("{name:<12}{}", clean(&value)).trim_end());
        }
        screen.data("");
        for (text, good) in &self.checks {
            let sign = if *good { Sign::Good } else { Sign::Bad };
            screen.data(&screen.signed(sign, text));
        }
        if !self.pinned {
            screen.hint(
                Sign::Warning,
                "the ledger's key is the one that it says itself: give --key to pin it",
            );
        }
        screen.data("");
        match &self.statement {
            Some(statement) => {
                let text = serde_json::to_string_pretty(statement).map_err(Failure::Json)?;
                text.lines().for_each(|line| screen.data(&clean(line)));
            }
            None => screen.data("The payload is no statement."),
        }
        Ok(())
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let proof = &self.proof;
        let entry = proof.entry.clone().unwrap_or_default();
        let mut fields = vec![
            ("sequence", entry.sequence.to_string()),
            ("index", format!("{} (of the leaf, from 0)", entry.index)),
            ("subject", entry.subject),
            ("kind", words::or_nothing(&entry.kind)),
            ("summary", words::or_nothing(&entry.summary)),
            ("author", words::or_nothing(&entry.author)),
            ("signed by", self.signer.text()),
            ("made", words::instant(entry.make_time)),
            ("stored", words::instant(entry.store_time)),
            ("trace", words::or_nothing(&entry.trace_id)),
            ("span", words::or_nothing(&entry.span_id)),
            ("payload", words::digest(entry.payload.as_ref())),
            ("leaf hash", proof.leaf_hash.clone()),
            ("ledger", proof.verifier_key.clone()),
        ];
        for blob in &proof.blobs {
            let missing = if proof.missing_blobs.contains(blob) {
                " (not held yet)"
            } else {
                ""
            };
            fields.push(("blob", format!("{}{missing}", words::digest(Some(blob)))));
        }
        for hash in &proof.inclusion_proof {
            fields.push(("proof", hash.clone()));
        }
        if !proof.later.is_empty() {
            let later: Vec<String> = proof.later.iter().map(ToString::to_string).collect();
            fields.push(("later", format!("{} under the same subject", later.join(", "))));
        }
        fields
    }

    fn to_json(&self) -> Value {
        let proof = &self.proof;
        let checks = self
            .checks
            .iter()
            .map(|(text, good)| json!({ "check": text, "good": good }));
        let digests = |all: &[wire::common::v1::Digest]| -> Vec<String> {
            all.iter().map(|digest| words::digest(Some(digest))).collect()
        };
        json!({
            "entry": proof.entry,
            "statement": self.statement,
            "signer": self.signer.to_json(),
            "record": proof.record,
            "leafHash": proof.leaf_hash,
            "inclusionProof": proof.inclusion_proof,
            "checkpoint": proof.checkpoint,
            "verifierKey": proof.verifier_key,
            "blobs": digests(&proof.blobs),
            "missingBlobs": digests(&proof.missing_blobs),
            "later": proof.later,
            "checks": checks.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use audit_log::NoteKey;
    use audit_log::ledger::Leaf;

    use super::*;

    fn proof() -> EntryProof {
        let leaf = Leaf {
            payload: Digest::of(b"payload"),
            sequence: 1,
            subject: "fluxgate.v1.a".to_owned(),
        };
        let head = Head {
            size: 1,
            root: leaf.hash(),
        };
        let (key, _) = NoteKey::generate("ledger.example/fleet").unwrap();
        EntryProof {
            entry: Some(wire::audit::v1::Entry {
                sequence: 1,
                subject: leaf.subject.clone(),
                ..Default::default()
            }),
            record: String::from_utf8(leaf.record()).unwrap(),
            payload: b"payload".to_vec(),
            leaf_hash: leaf.hash().to_string(),
            checkpoint: head.sign(&key),
            verifier_key: key.verifier().to_string(),
            ..EntryProof::default()
        }
    }

    fn good(proof: &EntryProof) -> Vec<bool> {
        check(proof, None).into_iter().map(|(_, good)| good).collect()
    }

    #[test]
    fn what_the_ledger_says_is_checked() {
        assert_eq!(good(&proof()), [true, true, true]);
        let payload = EntryProof {
            payload: b"other".to_vec(),
            ..proof()
        };
        assert_eq!(good(&payload), [false, true, true]);
        let record = EntryProof {
            record: proof().record.replace("v1.a", "v1.b"),
            ..proof()
        };
        assert_eq!(good(&record), [false, true, false]);
        let longer = EntryProof {
            inclusion_proof: vec!["00".repeat(32)],
            ..proof()
        };
        assert_eq!(good(&longer), [true, true, false]);
        let foreign = EntryProof {
            verifier_key: NoteKey::generate("ledger.example/fleet")
                .unwrap()
                .0
                .verifier()
                .to_string(),
            ..proof()
        };
        assert_eq!(good(&foreign), [true, false, false]);
    }
}
