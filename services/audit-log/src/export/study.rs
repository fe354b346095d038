//! What the payloads of an export say: which trust bundle counts, who signed what, which blobs are named, and
//! which statement the README tells how to check.

use std::collections::BTreeMap;

use attest::{Claim as _, Envelope, PublicKey, Statement, Trust, bundle};
use bus::judge::Judge;
use bus::subject::Author;
use domain::Digest;
use wire::fleet::v1::ClusterMember;
use wire::policy::v1::Decision;

use super::derive::Example;
use super::layout::Line;
use super::statements::{Signers, Standing};
use crate::describe::describe;

/// A blob that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    /// Index of the first leaf that names it.
    pub(super) by: u64,
    /// Whether that, or a later one, is signed by whoever may speak there: then it must be there.
    pub(super) needed: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Study {
    /// The newest bundle that the root key signed.
    pub(super) trust: Option<Trust>,
    /// Who said each payload, in the order of the lines; none where there is no bundle or no payload.
    pub(super) standings: Vec<Option<Standing>>,
    pub(super) blobs: BTreeMap<Digest, Named>,
    pub(super) example: Option<Example>,
}

/// Reads payloads through `payload`, which answers none where one is missing or wrong.
pub(super) fn study<E>(
    root: Option<&PublicKey>,
    lines: &[Line],
    mut payload: impl FnMut(&Line) -> Result<Option<Vec<u8>>, E>,
) -> Result<Study, E> {
    let mut trust: Option<Trust> = None;
    for line in lines
        .iter()
        .filter(|line| may_stand(line, attest::TrustBundle::KIND))
    {
        if let (Some(root), Some(bytes)) = (root, payload(line)?) {
            let opened = Trust::open(root, 0, &bytes).ok();
            let own = |one: &Trust| bundle::bundle_subject(one.bundle().version) == line.subject;
            let held = trust.as_ref().map_or(0, |held| held.bundle().version);
            let newer = opened.filter(|one| own(one) && (trust.is_none() || one.bundle().version > held));
            trust = newer.or(trust);
        }
    }
    let mut found = Study::default();
    match &trust {
        Some(trust) => found.read(&mut Signers::new(trust), lines, payload)?,
        None => found.standings = vec![None; lines.len()],
    }
    found.trust = trust;
    Ok(found)
}

/// Whether a claim of this kind may stand under the line's subject.
fn may_stand(line: &Line, kind: &str) -> bool {
    Judge::name(&line.subject).is_ok_and(|(_, rule)| rule.kinds.contains(&kind))
}

impl Study {
    fn read<E>(
        &mut self,
        signers: &mut Signers<'_>,
        lines: &[Line],
        mut payload: impl FnMut(&Line) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<(), E> {
        for line in lines.iter().filter(|line| may_stand(line, ClusterMember::KIND)) {
            if let Some(bytes) = payload(line)? {
                signers.learn(line, &bytes);
            }
        }
        for line in lines {
            let standing = payload(line)?.map(|bytes| {
                let standing = signers.judge(line, &bytes);
                self.take(line, &bytes, &standing);
                standing
            });
            self.standings.push(standing);
        }
        Ok(())
    }

    fn take(&mut self, line: &Line, payload: &[u8], standing: &Standing) {
        let needed = !matches!(standing, Standing::Void(_));
        for digest in describe(&line.subject, payload).blobs {
            let named = self.blobs.entry(digest).or_insert(Named {
                by: line.index,
                needed,
            });
            named.needed |= needed;
        }
        if let Standing::Role(_, key) = standing {
            self.offer(line, payload, *key);
        }
    }

    /// The newest decision is what the README is about; where there is none, the newest statement of a role.
    fn offer(&mut self, line: &Line, payload: &[u8], key: usize) {
        let held = self.example.as_ref().map(|held| &held.line);
        if held.is_some_and(|held| is_decision(held) && !is_decision(line)) {
            return;
        }
        let envelope = Envelope::parse(payload).ok();
        let statement = envelope.and_then(|envelope| Statement::parse(envelope.payload()).ok());
        if let Some(statement) = statement {
            self.example = Some(Example {
                line: line.clone(),
                key,
                predicate_type: statement.predicate_type,
            });
        }
    }
}

fn is_decision(line: &Line) -> bool {
    Judge::name(&line.subject)
        .is_ok_and(|(_, rule)| rule.kinds.contains(&Decision::KIND) && matches!(rule.author, Author::Role(_)))
}
