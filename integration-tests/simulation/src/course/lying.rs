//! What lies before agents: never an older assignment or bundle than before, except where somebody who owns the bus put it there.

use anyhow::Context as _;
use attest::{Dossier, Envelope, Statement, Trust};
use bus::Subject;
use bus::buckets::Values;
use bus::streams::Bucket;
use domain::Digest;

use super::{Course, Failure};
use crate::fixture::Fixture;

impl Course {
    /// Looks at what lies there now; everything is kept, to be put back by somebody.
    pub(super) async fn look_at_dossiers(&mut self) -> Result<(), Failure> {
        let bucket = Values::in_memory(self.place.assignments.clone(), Bucket::Assignments);
        let names: Vec<String> = self.sites.iter().map(|site| site.name.to_string()).collect();
        for name in names {
            let Some(entry) = bucket.get(&name).await.context("a bucket in memory")? else {
                continue;
            };
            let digest = Digest::of(&entry.value);
            if self.lying.get(&name).is_some_and(|(lay, _)| *lay == digest) {
                continue;
            }
            if self.put_back.get(&name) == Some(&digest) {
                // Whatever comes after somebody else's is no step back.
                self.lying.insert(name.clone(), (digest, (0, 0)));
                continue;
            }
            let (bundle, epoch) = place_of(&entry.value).unwrap_or((0, 0));
            let before = self.lying.insert(name.clone(), (digest, (bundle, epoch)));
            self.put_back.remove(&name);
            self.old.push((name.clone(), entry.value));
            self.tell(|| format!("      epoch {epoch} lies before {name}"));
            let newer = |(_, before): &(Digest, (u64, u64))| before.0 > bundle || before.1 > epoch;
            if let Some((_, before)) = before.filter(newer) {
                let what = format!(
                    "epoch {epoch} under bundle {bundle} is laid before {name} where epoch {} under bundle {} lay",
                    before.1, before.0
                );
                return Err(Failure::Unsafe { at: self.moves, what });
            }
        }
        Ok(())
    }
}

/// The numbers of a dossier's bundle and assignment.
fn place_of(dossier: &[u8]) -> Option<(u64, u64)> {
    let dossier = Dossier::parse(dossier).ok()?;
    let bundle = Trust::open(Fixture::get().root.public(), 0, dossier.bundle.as_bytes()).ok()?;
    let envelope = Envelope::parse(dossier.assignment.as_bytes()).ok()?;
    let header = Statement::parse(envelope.payload()).ok()?.header().ok()?;
    Some((
        bundle.bundle().version,
        header.subject.parse::<Subject>().ok()?.n(),
    ))
}
