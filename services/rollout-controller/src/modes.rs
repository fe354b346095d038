//! Which mode holds for the members of a scope after a person's word, where that is another one.

use domain::{ClusterMember, Mode};
use planner::reducer::Modes;
use wire::Scope;

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
