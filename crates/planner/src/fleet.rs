//! The fleet as the operator writes it (`fleet.yaml`, protocol section 9).
//!
//! Whatever the file says that this version does not implement is refused, never ignored. Deliberately not
//! here: which clusters were there before; the caller compares, and publishes those that are gone as removed.

use std::collections::BTreeMap;

use domain::{ClusterMember, Mode};
use policy::load::{Document, LoadError, Problem, Refused, Spanned, present};
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// `apiVersion` of a fleet.
pub const API_VERSION: &str = "fleet.fluxgate.dev/v1alpha1";
/// `kind` of a fleet.
pub const KIND: &str = "Fleet";
/// Where a cluster pulls from when nothing is said: upstream.
pub const UPSTREAM_REGISTRY: &str = "ghcr.io";

/// The fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Its clusters, sorted by name; names and agent keys are unique.
    pub clusters: Vec<ClusterMember>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    api_version: Spanned<String>,
    kind: Spanned<String>,
    clusters: Vec<RawCluster>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawCluster {
    name: Spanned<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    agent_key: Spanned<String>,
    #[serde(default, deserialize_with = "present")]
    max_mode: Option<RawMode>,
    #[serde(default, deserialize_with = "present")]
    time_zone: Refused,
    #[serde(default, deserialize_with = "present")]
    images: Option<RawImages>,
    #[serde(default, deserialize_with = "present")]
    method: Option<Spanned<RawMethod>>,
}

#[derive(Debug, Deserialize)]
enum RawMode {
    Observe,
    Enforce,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawImages {
    registry: Spanned<String>,
}

#[derive(Debug, Deserialize)]
enum RawMethod {
    Detect,
    Git,
    #[serde(rename = "OCI")]
    Oci,
    FluxInstance,
    Helm,
    Direct,
    Terraform,
}

impl Fleet {
    /// Reads a fleet; `file_name` stands in errors alone.
    ///
    /// # Errors
    /// If the text is no fleet, names a cluster or an agent's key twice, or says something that this
    /// version does not implement.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, LoadError> {
        let document = Document::new(file_name, text);
        let raw: File = document.read()?;
        document.exactly("apiVersion", &raw.api_version, API_VERSION)?;
        document.exactly("kind", &raw.kind, KIND)?;
        let (mut names, mut keys) = (BTreeMap::new(), BTreeMap::new());
        let mut clusters = Vec::with_capacity(raw.clusters.len());
        for cluster in raw.clusters {
            unique(&document, "cluster", &cluster.name, &mut names)?;
            unique(&document, "agentKey", &cluster.agent_key, &mut keys)?;
            clusters.push(cluster.check(&document)?);
        }
        clusters.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        Ok(Self { clusters })
    }
}

impl RawCluster {
    fn check(self, document: &Document<'_>) -> Result<ClusterMember, LoadError> {
        document.refuse(
            "timeZone",
            &self.time_zone,
            "take it out: there are no windows yet",
        )?;
        if let Some(method) = &self.method {
            check_method(document, method)?;
        }
        let expected = "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit";
        let cluster = self
            .name
            .value
            .parse()
            .map_err(|_source| document.wrong("name", &self.name, expected))?;
        if !is_fingerprint(&self.agent_key.value) {
            let expected = "SHA256: and 43 characters of base64, as the agent prints it at its first start";
            return Err(document.wrong("agentKey", &self.agent_key, expected));
        }
        let image_registry = match &self.images {
            Some(images) if !is_registry(&images.registry.value) => {
                let expected =
                    "a registry host, with a path where needed, like ghcr.io or mirror.local:5000/flux";
                return Err(document.wrong("images.registry", &images.registry, expected));
            }
            Some(images) => images.registry.value.clone(),
            None => UPSTREAM_REGISTRY.to_owned(),
        };
        Ok(ClusterMember {
            cluster,
            labels: self.labels,
            agent_key: self.agent_key.value,
            max_mode: match self.max_mode {
                Some(RawMode::Observe) => Mode::Observe,
                Some(RawMode::Enforce) | None => Mode::Enforce,
            },
            image_registry,
            removed: false,
        })
    }
}

fn check_method(document: &Document<'_>, method: &Spanned<RawMethod>) -> Result<(), LoadError> {
    let key = match method.value {
        RawMethod::Detect => return Ok(()),
        RawMethod::Git => "method: Git",
        RawMethod::Oci => "method: OCI",
        RawMethod::FluxInstance => "method: FluxInstance",
        RawMethod::Helm => "method: Helm",
        RawMethod::Direct => "method: Direct",
        RawMethod::Terraform => "method: Terraform",
    };
    let instead = "write `method: Detect`: the agent finds out who owns the install, and refuses where it is not its own";
    Err(document.error(method.referenced, Problem::NotImplemented { key, instead }))
}

fn unique(
    document: &Document<'_>,
    what: &'static str,
    found: &Spanned<String>,
    seen: &mut BTreeMap<String, u64>,
) -> Result<(), LoadError> {
    let at = found.referenced;
    match seen.insert(found.value.clone(), at.line()) {
        Some(first) => Err(document.error(
            at,
            Problem::Doubled {
                what,
                name: found.value.clone(),
                first,
            },
        )),
        None => Ok(()),
    }
}

fn is_fingerprint(text: &str) -> bool {
    let base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    text.strip_prefix("SHA256:")
        .is_some_and(|rest| rest.len() == 43 && rest.bytes().all(base64))
}

fn is_registry(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_:".contains(&b);
    text.split('/')
        .all(|part| !part.is_empty() && part.bytes().all(allowed))
        && text.split('/').skip(1).all(|part| !part.contains(':'))
}
