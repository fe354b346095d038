//! Names as people type them, made into names of the API.

/// `releases/flux/v2.9.4` from `v2.9.4`, `flux/v2.9.4` or the whole.
pub(crate) fn release(text: &str) -> String {
    let bare = text.strip_prefix("releases/").unwrap_or(text);
    let version = bare
        .strip_prefix(domain::release::PRODUCT)
        .and_then(|rest| rest.strip_prefix('/'));
    match version {
        Some(version) => format!("releases/{}/{version}", domain::release::PRODUCT),
        None if bare.contains('/') => format!("releases/{bare}"),
        None => format!("releases/{}/{bare}", domain::release::PRODUCT),
    }
}

/// The name with its collection in front, once.
pub(crate) fn in_collection(collection: &str, text: &str) -> String {
    match text
        .strip_prefix(collection)
        .and_then(|rest| rest.strip_prefix('/'))
    {
        Some(name) => format!("{collection}/{name}"),
        None => format!("{collection}/{text}"),
    }
}

/// The scope of a stop as people type it: `waves/canary`, `releases/v2.9.4`.
pub(crate) fn scope(scope: &str) -> String {
    match scope.split_once('/') {
        Some(("version", version)) => format!("releases/{version}"),
        Some((kind @ ("wave" | "label" | "cluster" | "rollout"), name)) => format!("{kind}s/{name}"),
        Some(_) | None => scope.to_owned(),
    }
}

/// What lifts the stop of a scope.
pub(crate) fn lift(of: &str) -> String {
    let verb = match of.split_once('/').map(|(kind, _)| kind) {
        Some("rollout") => "rollout resume",
        Some("cluster") => "hold clear",
        Some("version") => "recall clear",
        Some(_) | None => "freeze clear",
    };
    format!("fluxgate {verb} {} --reason TEXT", scope(of))
}

/// The last part of a name.
pub(crate) fn bare(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, rest)| rest)
}

/// A release key without its digest.
pub(crate) fn without_digest(release: &str) -> &str {
    release.split_once('@').map_or(release, |(version, _)| version)
}

/// A release key, as short as it can be told from the others: with the first digits of its digest where two
/// have the same version.
pub(crate) fn among<'a>(release: &'a str, mut others: impl Iterator<Item = &'a str>) -> String {
    let short = without_digest(release);
    if others.any(|other| other != release && without_digest(other) == short) {
        short_digest(release)
    } else {
        short.to_owned()
    }
}

/// A text with a digest in it, cut behind twelve digits of that.
pub(crate) fn short_digest(text: &str) -> String {
    match text.split_once("sha256:") {
        Some((before, hex)) => format!("{before}sha256:{}", hex.chars().take(12).collect::<String>()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_named_as_briefly_as_people_like() {
        for text in ["v2.9.4", "flux/v2.9.4", "releases/flux/v2.9.4", "releases/v2.9.4"] {
            assert_eq!(release(text), "releases/flux/v2.9.4", "{text}");
        }
        assert_eq!(release("helm/v1"), "releases/helm/v1");
    }

    #[test]
    fn stops_are_lifted_by_the_verb_that_set_them() {
        for (scope, command) in [
            ("fleet", "fluxgate freeze clear fleet --reason TEXT"),
            ("label/a/b=c", "fluxgate freeze clear labels/a/b=c --reason TEXT"),
            ("cluster/prod", "fluxgate hold clear clusters/prod --reason TEXT"),
            (
                "version/v2.9.4",
                "fluxgate recall clear releases/v2.9.4 --reason TEXT",
            ),
            (
                "rollout/flux-v2.9.4-1",
                "fluxgate rollout resume rollouts/flux-v2.9.4-1 --reason TEXT",
            ),
        ] {
            assert_eq!(lift(scope), command);
        }
    }

    #[test]
    fn collections_are_written_once() {
        assert_eq!(in_collection("clusters", "prod"), "clusters/prod");
        assert_eq!(in_collection("clusters", "clusters/prod"), "clusters/prod");
    }

    #[test]
    fn two_digests_of_one_version_are_told_apart() {
        let (a, b) = (
            "flux/v1@sha256:aaaaaaaaaaaaaaaa",
            "flux/v1@sha256:bbbbbbbbbbbbbbbb",
        );
        assert_eq!(among(a, [a].into_iter()), "flux/v1");
        assert_eq!(among(a, [a, b].into_iter()), "flux/v1@sha256:aaaaaaaaaaaa");
    }
}
