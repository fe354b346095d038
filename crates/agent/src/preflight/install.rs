//! Whether the install is as the running version's manifests say, and what the new version would do to what is
//! not: dry runs alone, a few at once, since an API server may be slow and an install has 32 objects.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use futures::stream;

use domain::Reason;
use flux::customisation::{self, Difference};
use flux::manifest::Object;

use super::{PreflightError, judged, refuse};
use crate::cluster::{Catalogue, ClusterError, label};

/// Objects that are looked at at the same time.
const AT_ONCE: usize = 8;

/// Differences that a refusal names; more are counted.
const NAMED: usize = 10;

/// No difference takes more of a refusal, in characters: a role's rules would fill it.
const LONGEST: usize = 400;

/// The install, as whoever installed it would apply it.
pub(super) struct Install<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) manager: &'a str,
    /// Paths that may differ.
    pub(super) tolerate: &'a [String],
}

impl Install<'_> {
    /// Every object is what the running version's manifests say: nobody else owns a field of it, and applying
    /// it again would change nothing. All that is not so is named at once; what is so by permission is given.
    pub(super) async fn is_uncustomised(&self, expected: &[Object]) -> Result<Tolerated, PreflightError> {
        let looks: Vec<_> = expected.iter().map(|object| self.customised(object)).collect();
        let mut looked = stream::iter(looks).buffered(AT_ONCE);
        let (mut found, mut tolerated) = (Vec::new(), Tolerated::new());
        for object in expected {
            let Some(looked) = looked.next().await else { break };
            let differences = match looked? {
                Some(differences) => differences,
                None => {
                    found.push(format!("{} of the running version is missing", label(object)));
                    continue;
                }
            };
            for difference in differences {
                if tolerates(self.tolerate, object, &difference.path) {
                    tolerated.entry(label(object)).or_default().push(difference.path);
                } else {
                    found.push(describe(object, &difference));
                }
            }
        }
        if found.is_empty() {
            return Ok(tolerated);
        }
        let more = found.len().saturating_sub(NAMED);
        found.truncate(NAMED);
        if more > 0 {
            found.push(format!("and {more} more"));
        }
        refuse(Reason::Customised, found.join("; "))
    }

    /// Everything that was changed on an object; `None` where it is missing.
    async fn customised(&self, object: &Object) -> Result<Option<Vec<Difference>>, PreflightError> {
        let live = self.catalogue.get(object).await;
        let Some(live) = live.map_err(PreflightError::Cluster)? else {
            return Ok(None);
        };
        let mut foreign = customisation::foreign_fields(&object.value, &live, self.manager);
        let changed = match self.catalogue.apply(object, self.manager, true).await {
            Ok(again) => customisation::differences(&again, &live),
            // The fields in dispute are among those of others, with both values.
            Err(ClusterError::Conflict { .. }) if !foreign.is_empty() => Vec::new(),
            Err(error) => return Err(judged(error)),
        };
        let known = foreign.len();
        for difference in changed {
            let own = foreign
                .iter()
                .take(known)
                .all(|field| field.path != difference.path);
            if own {
                foreign.push(difference);
            }
        }
        Ok(Some(foreign))
    }

    /// A dry run of the target. What is tolerated has to survive it: a customisation is never dropped.
    pub(super) async fn keeps(&self, tolerated: &Tolerated, target: &[Object]) -> Result<(), PreflightError> {
        let looks: Vec<_> = target
            .iter()
            .map(|object| self.kept(object, tolerated.get(&label(object)).map_or(&[], Vec::as_slice)))
            .collect();
        let mut looked = stream::iter(looks).buffered(AT_ONCE);
        while let Some(kept) = looked.next().await {
            kept?;
        }
        Ok(())
    }

    async fn kept(&self, object: &Object, tolerated: &[String]) -> Result<(), PreflightError> {
        let after = match self.catalogue.apply(object, self.manager, true).await {
            Ok(_) if tolerated.is_empty() => return Ok(()),
            Err(error @ ClusterError::Conflict { .. }) if !tolerated.is_empty() => Err(error),
            Err(error) => return Err(judged(error)),
            Ok(after) => Ok(after),
        };
        let live = self.catalogue.get(object).await;
        let live = live.map_err(PreflightError::Cluster)?.unwrap_or_default();
        let changed = match &after {
            Ok(after) => customisation::differences(after, &live),
            Err(_) => customisation::foreign_fields(&object.value, &live, self.manager)
                .into_iter()
                .filter(|field| field.expected.is_some() && field.expected != field.found)
                .collect(),
        };
        let touches = |difference: &&Difference| {
            let path = &difference.path;
            tolerated
                .iter()
                .any(|kept| is_below(path, kept) || is_below(kept, path))
        };
        match (changed.iter().find(touches), after) {
            (Some(difference), _) => {
                let text = describe(object, difference);
                let detail = format!("is tolerated, but the new version sets it to another value: {text}");
                refuse(Reason::Customised, detail)
            }
            (None, Ok(_)) => Ok(()),
            (None, Err(error)) => Err(judged(error)),
        }
    }
}

/// What may differ and does: paths by the name of the object.
pub(super) type Tolerated = BTreeMap<String, Vec<String>>;

/// Whether a difference may be: an entry is a path or what it begins with, behind an object's name or for all
/// objects: `spec.template.spec.tolerations`, `Deployment/source-controller spec.template.spec.volumes`.
pub(super) fn tolerates(tolerate: &[String], object: &Object, path: &str) -> bool {
    tolerate.iter().any(|entry| {
        let begin = match entry.split_once(' ') {
            Some((name, begin)) if name == label(object) => begin,
            Some(_) => return false,
            None => entry,
        };
        is_below(path, begin)
    })
}

/// Whether a path is this one, or of something in it.
fn is_below(path: &str, begin: &str) -> bool {
    let rest = path.strip_prefix(begin);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn describe(object: &Object, difference: &Difference) -> String {
    let text = format!("{} {difference}", label(object));
    let Some((end, _)) = text.char_indices().nth(LONGEST) else {
        return text;
    };
    // Who owns it stands at the end, and is what one has to know.
    let owner = difference
        .manager
        .as_ref()
        .map(|manager| format!(" (owned by {manager})"));
    format!(
        "{}...{}",
        text.get(..end).unwrap_or_default(),
        owner.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests;
