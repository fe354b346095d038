//! From an upstream name to the place where its bytes are fetched.

use reqwest::Url;

use crate::config::{Config, ConfigError};
use crate::error::Failure;

/// Docker Hub's name is not the host of its registry.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// The checked mirrors, longest prefix first.
#[derive(Debug)]
pub(crate) struct Endpoints {
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    from: String,
    base: Url,
    prefix: String,
}

/// A repository at the registry that serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    base: Url,
    /// The repository's path there, without host.
    pub(crate) path: String,
}

impl Endpoints {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut routes = Vec::<Route>::with_capacity(config.mirrors.len());
        for mirror in &config.mirrors {
            if !is_prefix(&mirror.from) {
                return Err(ConfigError::From {
                    from: mirror.from.clone(),
                });
            }
            if routes.iter().any(|route| route.from == mirror.from) {
                return Err(ConfigError::Twice {
                    from: mirror.from.clone(),
                });
            }
            let (base, prefix) = target(&mirror.to)?;
            routes.push(Route {
                from: mirror.from.clone(),
                base,
                prefix,
            });
        }
        routes.sort_by_key(|route| std::cmp::Reverse(route.from.len()));
        Ok(Self { routes })
    }

    /// Where `repository` (upstream name with host) is served.
    pub(crate) fn of(&self, repository: &str) -> Result<Endpoint, Failure> {
        if domain::ImageRef::tagged(repository, "latest").is_err() {
            return Err(Failure::Repository);
        }
        for route in &self.routes {
            let Some(rest) = below(&route.from, repository) else {
                continue;
            };
            let path = [route.prefix.as_str(), rest]
                .into_iter()
                .filter(|part| !part.is_empty());
            let path = path.collect::<Vec<_>>().join("/");
            return Ok(Endpoint {
                base: route.base.clone(),
                path,
            });
        }
        let (host, path) = repository.split_once('/').ok_or(Failure::Repository)?;
        let host = if host == DOCKER_HUB.0 { DOCKER_HUB.1 } else { host };
        match Url::parse(&format!("https://{host}/")) {
            Ok(base) => Ok(Endpoint {
                base,
                path: path.to_owned(),
            }),
            Err(_) => Err(Failure::Repository),
        }
    }
}

impl Endpoint {
    /// The address of an object: `kind` is `manifests`, `blobs` or `tags`. A name that a URL would write in
    /// another way, like one with `..`, is refused.
    pub(crate) fn url(&self, kind: &str, name: &str) -> Result<Url, Failure> {
        let path = format!("v2/{}/{kind}/{name}", self.path);
        match self.base.join(&path) {
            Ok(url) if url.as_str() == format!("{}{path}", self.base) => Ok(url),
            Ok(_) | Err(_) => Err(Failure::Repository),
        }
    }
}

/// Whether a request that started at `origin` may go on to `next`: HTTPS anywhere, plain HTTP from loopback
/// to loopback alone. A public registry cannot send us to a service of this machine.
pub(crate) fn may_follow(origin: &Url, next: &Url) -> bool {
    match next.scheme() {
        "https" => true,
        "http" => is_loopback(next) && is_loopback(origin),
        _ => false,
    }
}

/// Same scheme, host and port: where a token may be sent.
pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

/// Whether a URL names this machine by a loopback address or as `localhost` (RFC 6761, section 6.3).
fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The rest of `repository` behind `from`, on a boundary of path segments.
fn below<'a>(from: &str, repository: &'a str) -> Option<&'a str> {
    match repository.strip_prefix(from)? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

fn is_prefix(from: &str) -> bool {
    domain::ImageRef::tagged(&format!("{from}/x"), "latest").is_ok()
}

fn target(to: &str) -> Result<(Url, String), ConfigError> {
    let malformed = || ConfigError::To { to: to.to_owned() };
    let text = if to.contains("://") {
        to.to_owned()
    } else {
        format!("https://{to}")
    };
    let Ok(url) = Url::parse(&text) else {
        return Err(malformed());
    };
    let bare = url.username().is_empty() && url.password().is_none();
    if !bare || url.query().is_some() || url.fragment().is_some() || url.host_str().is_none() {
        return Err(malformed());
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(ConfigError::PlainHttp { to: to.to_owned() }),
        _ => return Err(malformed()),
    }
    let prefix = url.path().trim_matches('/').to_owned();
    match url.join("/") {
        Ok(base) => Ok((base, prefix)),
        Err(_) => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mirror;

    fn endpoints(mirrors: &[(&str, &str)]) -> Result<Endpoints, ConfigError> {
        let mirrors = mirrors
            .iter()
            .map(|(from, to)| Mirror {
                from: (*from).into(),
                to: (*to).into(),
            })
            .collect();
        Endpoints::new(&Config {
            mirrors,
            ..Config::default()
        })
    }

    fn url(endpoints: &Endpoints, repository: &str) -> String {
        endpoints
            .of(repository)
            .unwrap()
            .url("manifests", "v1")
            .unwrap()
            .to_string()
    }

    #[test]
    fn an_upstream_name_without_mirror_is_https() {
        let none = endpoints(&[]).unwrap();
        assert_eq!(
            url(&none, "ghcr.io/fluxcd/x"),
            "https://ghcr.io/v2/fluxcd/x/manifests/v1"
        );
        assert_eq!(
            url(&none, "docker.io/fluxcd/x"),
            "https://registry-1.docker.io/v2/fluxcd/x/manifests/v1"
        );
        assert_eq!(
            url(&none, "127.0.0.1:5000/x"),
            "https://127.0.0.1:5000/v2/x/manifests/v1"
        );
    }

    #[test]
    fn the_longest_mirror_on_a_segment_boundary_wins() {
        let mirrors = endpoints(&[
            ("ghcr.io", "http://127.0.0.1:5000"),
            ("ghcr.io/fluxcd", "mirror.example.org/ghcr/flux"),
        ])
        .unwrap();
        assert_eq!(
            url(&mirrors, "ghcr.io/other/x"),
            "http://127.0.0.1:5000/v2/other/x/manifests/v1"
        );
        assert_eq!(
            url(&mirrors, "ghcr.io/fluxcd/x"),
            "https://mirror.example.org/v2/ghcr/flux/x/manifests/v1"
        );
        assert_eq!(
            url(&mirrors, "ghcr.io/fluxcd-evil/x"),
            "http://127.0.0.1:5000/v2/fluxcd-evil/x/manifests/v1"
        );
    }

    #[test]
    fn plain_http_is_for_loopback_hosts_alone() {
        for good in [
            "http://127.0.0.1:5000",
            "http://[::1]:5000",
            "http://localhost:5000",
            "127.0.0.1:5000",
        ] {
            assert!(endpoints(&[("ghcr.io", good)]).is_ok(), "{good}");
        }
        for bad in [
            "http://10.0.0.1",
            "http://localhost.example.org",
            "http://127.0.0.1.example.org",
        ] {
            let refused = endpoints(&[("ghcr.io", bad)]);
            assert!(matches!(refused, Err(ConfigError::PlainHttp { .. })), "{bad}");
        }
    }

    #[test]
    fn malformed_and_doubled_mirrors_are_refused() {
        for bad in ["", "ftp://x", "user:pw@x", "x?y", "x#y"] {
            assert!(
                matches!(endpoints(&[("ghcr.io", bad)]), Err(ConfigError::To { .. })),
                "{bad}"
            );
        }
        for bad in ["", "fluxcd", "ghcr.io/", "https://ghcr.io"] {
            assert!(
                matches!(endpoints(&[(bad, "x")]), Err(ConfigError::From { .. })),
                "{bad}"
            );
        }
        let twice = endpoints(&[("ghcr.io", "a"), ("ghcr.io", "b")]);
        assert!(matches!(twice, Err(ConfigError::Twice { .. })));
    }

    #[test]
    fn nothing_leaves_https_but_from_loopback_to_loopback() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(may_follow(
            &url("https://ghcr.io"),
            &url("https://pkg.example.org/x")
        ));
        assert!(may_follow(
            &url("http://127.0.0.1:1"),
            &url("http://127.0.0.1:2/x")
        ));
        assert!(!may_follow(&url("https://ghcr.io"), &url("http://127.0.0.1:2/x")));
        assert!(!may_follow(
            &url("http://127.0.0.1:1"),
            &url("http://example.org/x")
        ));
        assert!(!may_follow(
            &url("http://127.0.0.1:1"),
            &url("file:///etc/passwd")
        ));
    }

    #[test]
    fn a_repository_cannot_climb_out_of_its_path() {
        let none = endpoints(&[]).unwrap();
        for bad in [
            "ghcr.io",
            "ghcr.io/../x",
            "ghcr.io/x?y",
            "fluxcd/x",
            "ghcr.io/x/../../y",
        ] {
            let found = none.of(bad).and_then(|e| e.url("tags", "list"));
            let safe = matches!(&found, Err(Failure::Repository));
            assert!(safe, "{bad}: {found:?}");
        }
    }
}
