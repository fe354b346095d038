//! Who may be written to: a person's word, stored once for each request.
//!
//! The same request again is answered by what it stored the first time; its id with another word is refused.
//! Only the active replica stores, one request at a time, and looks at everything that is stored before it
//! does: that is what makes an id count once across all scopes.

use std::time::Duration;

use bus::journal::JournalError;
use bus::{Area, LogError, Turn, ViewError, subject};
use domain::{ClusterMember, Mode};
use planner::reducer::Modes;
use tokio::time::timeout;
use wire::rollout::v1;
use wire::{ModeSetting, Scope};

use crate::Controller;

/// How long is waited for what the log has already.
const CATCH_UP: Duration = Duration::from_secs(5);
/// Nobody else writes modes while this replica holds the lease, so the first try settles it.
const TRIES: usize = 3;

/// Why a mode was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetModeError {
    #[error("request {request} has set {scope} to {mode} before; use another id for another wish")]
    Reused {
        request: String,
        scope: Scope,
        mode: Mode,
    },
    #[error("asking how far the log is")]
    Log(#[from] LogError),
    #[error("reading the view")]
    View(#[from] ViewError),
    #[error("the view did not catch up with the log in time")]
    Behind,
    #[error("publishing the mode of {0}")]
    Journal(Scope, #[source] JournalError),
    #[error("the mode of {0} is being set by somebody else")]
    Moving(Scope),
}

/// What was stored before a request.
#[derive(Debug, PartialEq, Eq)]
enum Before {
    /// The request itself, as this event.
    Same { sequence: u64 },
    /// Others alone. The newest number of the scope's series; 0 if there is none.
    Others { n: u64 },
}

/// A stored setting.
#[derive(Debug)]
struct Stored {
    setting: ModeSetting,
    sequence: u64,
    n: u64,
}

impl Controller {
    /// Stores a mode, and says as which event.
    pub(crate) async fn set_mode(&self, wanted: &ModeSetting) -> Result<u64, SetModeError> {
        let _one_at_a_time = self.setting.lock().await;
        let name = subject::mode(&wanted.scope.to_string(), 1);
        for _ in 0..TRIES {
            let n = match before(&self.stored_modes().await?, wanted)? {
                Before::Same { sequence } => return Ok(sequence),
                Before::Others { n } => n,
            };
            // Something newer than what was looked at has to be looked at first.
            let evaluate = |turn: Turn<'_>| (turn.n == n + 1).then(|| v1::ModeSet::from(wanted));
            let written = self.hub.journal.series(name.series(), "", evaluate).await;
            let written = written.map_err(|error| SetModeError::Journal(wanted.scope.clone(), error))?;
            if let Some(bus::Written::Ours(fact)) = written {
                tracing::info!(scope = %wanted.scope, mode = %wanted.mode, "mode set");
                return Ok(fact.sequence);
            }
        }
        Err(SetModeError::Moving(wanted.scope.clone()))
    }

    /// Every mode that was ever set, up to now.
    async fn stored_modes(&self) -> Result<Vec<Stored>, SetModeError> {
        let last = self.hub.log.last_sequence().await?;
        let reached = timeout(CATCH_UP, self.hub.view.reached(last)).await;
        reached.map_err(|_late| SetModeError::Behind)?;
        let facts = self.hub.view.all_of(Area::Rollout, "mode").await?;
        let read = |fact: &bus::Fact| {
            let setting = wire::decode::<v1::ModeSet, ModeSetting>(&fact.statement).ok()?;
            let own = subject::mode(&setting.scope.to_string(), fact.subject.n()) == fact.subject;
            own.then(|| Stored {
                setting,
                sequence: fact.sequence,
                n: fact.subject.n(),
            })
        };
        Ok(facts.iter().filter_map(read).collect())
    }
}

fn before(stored: &[Stored], wanted: &ModeSetting) -> Result<Before, SetModeError> {
    let same_id = |stored: &&Stored| stored.setting.request_id == wanted.request_id;
    if let Some(found) = stored.iter().find(same_id) {
        let setting = &found.setting;
        if setting.scope == wanted.scope && setting.mode == wanted.mode {
            let sequence = found.sequence;
            return Ok(Before::Same { sequence });
        }
        return Err(SetModeError::Reused {
            request: wanted.request_id.clone(),
            scope: setting.scope.clone(),
            mode: setting.mode,
        });
    }
    let own = stored
        .iter()
        .filter(|stored| stored.setting.scope == wanted.scope);
    let n = own.map(|stored| stored.n).max().unwrap_or(0);
    Ok(Before::Others { n })
}

/// What was said, with one more word.
pub(crate) fn with(mut modes: Modes, scope: &Scope, mode: Mode) -> Modes {
    match scope {
        Scope::Wave(wave) => modes.waves.insert(wave.clone(), mode),
        Scope::Cluster(cluster) => modes.clusters.insert(cluster.clone(), mode),
    };
    modes
}

/// Why another mode holds for a member than was said for a scope that it is in, if one does.
pub(crate) fn differs(
    member: &ClusterMember,
    wave: Option<&str>,
    (scope, mode): (&Scope, Mode),
    modes: &Modes,
) -> Option<String> {
    let (name, holds) = (&member.cluster, modes.of(wave, member));
    let own = modes.clusters.get(name);
    if holds == mode {
        None
    } else if member.max_mode < mode {
        Some(format!(
            "{name}: maxMode is {} in the fleet's file",
            member.max_mode
        ))
    } else if let (Scope::Wave(wave), Some(_)) = (scope, own) {
        Some(format!(
            "{name}: stays at {holds}: what was said for this cluster itself goes before what is said for wave \
             {wave}; say it for cluster/{name} too"
        ))
    } else {
        Some(format!(
            "{name}: is at {holds}: something else was said after this request"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn setting(scope: &str, mode: Mode, request_id: &str) -> ModeSetting {
        ModeSetting {
            scope: scope.parse().unwrap(),
            mode,
            principal: "someone".to_owned(),
            request_id: request_id.to_owned(),
        }
    }

    fn stored() -> Vec<Stored> {
        let all = [
            ("wave/canary", Mode::Enforce, "a"),
            ("wave/canary", Mode::Observe, "b"),
            ("cluster/c1", Mode::Enforce, "c"),
        ];
        let stored = |(index, (scope, mode, id)): (usize, (&str, Mode, &str))| Stored {
            setting: setting(scope, mode, id),
            sequence: 40 + index as u64,
            n: [1, 2, 1][index],
        };
        all.into_iter().enumerate().map(stored).collect()
    }

    #[test]
    fn the_same_request_again_is_answered_by_what_it_stored() {
        // Also where somebody has said something else since.
        let again = setting("wave/canary", Mode::Enforce, "a");
        assert_eq!(before(&stored(), &again).unwrap(), Before::Same { sequence: 40 });
        let new = setting("wave/canary", Mode::Enforce, "d");
        assert_eq!(before(&stored(), &new).unwrap(), Before::Others { n: 2 });
        let first = setting("wave/main", Mode::Enforce, "d");
        assert_eq!(before(&stored(), &first).unwrap(), Before::Others { n: 0 });
    }

    #[test]
    fn an_id_with_another_word_or_for_another_scope_is_refused() {
        for other in [
            setting("wave/canary", Mode::Observe, "a"),
            setting("wave/main", Mode::Enforce, "a"),
            setting("cluster/c1", Mode::Enforce, "a"),
        ] {
            let refused = before(&stored(), &other).unwrap_err();
            assert!(matches!(refused, SetModeError::Reused { .. }), "{refused}");
            assert!(
                refused.to_string().contains("wave/canary to Enforce"),
                "{refused}"
            );
        }
    }

    #[test]
    fn says_why_another_mode_holds_than_was_asked_for() {
        let member = |max_mode| ClusterMember {
            cluster: "c1".parse().unwrap(),
            labels: BTreeMap::new(),
            agent_key: String::new(),
            max_mode,
            image_registry: "ghcr.io".to_owned(),
            removed: false,
        };
        let free = member(Mode::Enforce);
        let (wave, own): (Scope, Scope) = ("wave/w".parse().unwrap(), "cluster/c1".parse().unwrap());
        let why = |member: &ClusterMember, scope: &Scope, modes: &Modes| {
            differs(member, Some("w"), (scope, Mode::Enforce), modes)
        };
        let modes = with(Modes::default(), &wave, Mode::Enforce);
        assert_eq!(why(&free, &wave, &modes), None);
        assert_eq!(
            why(&member(Mode::Observe), &wave, &modes).unwrap(),
            "c1: maxMode is Observe in the fleet's file"
        );
        let observed = with(modes.clone(), &own, Mode::Observe);
        let text = why(&free, &wave, &observed).unwrap();
        assert!(text.starts_with("c1: stays at Observe"), "{text}");
        assert!(text.ends_with("say it for cluster/c1 too"), "{text}");
        let later = with(modes, &wave, Mode::Observe);
        assert!(why(&free, &wave, &later).unwrap().contains("after this request"));
        assert_eq!(why(&free, &own, &with(later, &own, Mode::Enforce)), None);
        // The other way round: Observe for the wave leaves a cluster with its own word where it is.
        let enforced = with(with(Modes::default(), &own, Mode::Enforce), &wave, Mode::Observe);
        let text = differs(&free, Some("w"), (&wave, Mode::Observe), &enforced).unwrap();
        assert!(text.starts_with("c1: stays at Enforce"), "{text}");
    }
}
