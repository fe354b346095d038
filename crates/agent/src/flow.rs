//! How often Flux has reconciled since a moment: what shows that the controllers work, beside that they run.
//!
//! Kustomizations report it in `status.history` (Flux 2.7 and later): for each snapshot how many reconciliations
//! there were. The list keeps the newest snapshots alone, so growth is added up look by look. Where an agent starts
//! anew it counts from there: too few, never too many.

use std::collections::BTreeMap;

use serde_json::Value;

/// What `lastReconciledStatus` says of a snapshot that was applied.
const SUCCEEDED: &str = "ReconciliationSucceeded";

/// Successful reconciliations by Kustomization (uid) and snapshot (digest), as the API server has them.
pub type Totals = BTreeMap<(String, String), u64>;

/// The count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flow {
    last: Option<Totals>,
    count: u64,
}

impl Flow {
    /// Begins to count, from the next look on.
    pub fn begin(&mut self) {
        *self = Self::default();
    }

    /// Adds what came since the last look; the first one adds nothing.
    pub fn look(&mut self, totals: Totals) {
        if let Some(last) = &self.last {
            let grown = totals.iter().map(|(snapshot, total)| {
                let before = last.get(snapshot).copied().unwrap_or(0);
                total.saturating_sub(before)
            });
            self.count = self.count.saturating_add(grown.sum());
        }
        self.last = Some(totals);
    }

    /// How many were seen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

/// Reads the histories of Kustomizations; what has none counts nothing.
#[must_use]
pub fn totals<'a>(kustomizations: impl IntoIterator<Item = &'a Value>) -> Totals {
    let mut totals = Totals::new();
    for object in kustomizations {
        let uid = object.pointer("/metadata/uid").and_then(Value::as_str);
        let history = object.pointer("/status/history").and_then(Value::as_array);
        let (Some(uid), Some(history)) = (uid, history) else {
            continue;
        };
        for snapshot in history {
            let text = |field: &str| snapshot.get(field).and_then(Value::as_str);
            let total = snapshot.get("totalReconciliations").and_then(Value::as_u64);
            if let (Some(digest), Some(SUCCEEDED), Some(total)) =
                (text("digest"), text("lastReconciledStatus"), total)
            {
                totals.insert((uid.to_owned(), digest.to_owned()), total);
            }
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kustomization(uid: &str, history: &[(&str, &str, u64)]) -> Value {
        let history: Vec<Value> = history
            .iter()
            .map(|(digest, status, total)| {
                json!({"digest": digest, "lastReconciledStatus": status, "totalReconciliations": total})
            })
            .collect();
        json!({"metadata": {"uid": uid}, "status": {"history": history}})
    }

    #[test]
    fn growth_is_added_up_from_the_first_look_on() {
        let mut flow = Flow::default();
        let look = |flow: &mut Flow, objects: &[Value]| {
            flow.look(totals(objects));
            flow.count()
        };
        // What was there before does not count.
        assert_eq!(
            look(&mut flow, &[kustomization("a", &[("one", SUCCEEDED, 40)])]),
            0
        );
        assert_eq!(
            look(&mut flow, &[kustomization("a", &[("one", SUCCEEDED, 43)])]),
            3
        );
        // A new snapshot, another object; the old snapshot falls out of the list.
        let two = [
            kustomization("a", &[("two", SUCCEEDED, 2)]),
            kustomization("b", &[("one", SUCCEEDED, 1)]),
        ];
        assert_eq!(look(&mut flow, &two), 6);
        flow.begin();
        assert_eq!(look(&mut flow, &two), 0);
    }

    #[test]
    fn failures_and_objects_without_history_count_nothing() {
        let failed = kustomization("a", &[("one", "ReconciliationFailed", 7)]);
        let old = json!({"metadata": {"uid": "b"}, "status": {"conditions": []}});
        assert_eq!(totals([&failed, &old]), Totals::new());
    }
}
