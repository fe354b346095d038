//! The fleet as the operator writes it (`fleet.yaml`, protocol section 9).
//!
//! Whatever the file says that this version does not implement is refused, never ignored. Deliberately not
//! here: which clusters were there before; the caller compares, and publishes those that are gone as removed.

use std::collections::BTreeMap;

use domain::{ClusterMember, ClusterName, Mode};
use policy::load::{Document, LoadError, Location, Problem, Refused, Spanned, in_order, present, schema};
use schemars::JsonSchema;
use serde::Deserialize;

mod placement;
#[cfg(test)]
mod tests;

pub use placement::Placement;

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
    /// Where the labels of each of them stand in the file, or its name where it has none.
    places: BTreeMap<ClusterName, Location>,
    /// Where the list of clusters stands.
    list: Location,
}

/// Which clusters there are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    /// The format and its version.
    #[schemars(with = "String", extend("const" = API_VERSION))]
    api_version: Spanned<String>,
    /// The kind of file.
    #[schemars(with = "String", extend("const" = KIND))]
    kind: Spanned<String>,
    /// The clusters; names and agent keys are unique.
    #[schemars(with = "Vec<RawCluster>")]
    clusters: Spanned<Vec<RawCluster>>,
}

/// A cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "Cluster")]
struct RawCluster {
    /// The same as in the agent's own file.
    #[schemars(with = "schema::Name")]
    name: Spanned<String>,
    /// Waves of the strategy select on them.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::Labels")]
    labels: Option<Spanned<BTreeMap<String, Spanned<String>>>>,
    /// Fingerprint of the agent's public key; the agent prints it at its first start.
    #[schemars(with = "schema::Fingerprint")]
    agent_key: Spanned<String>,
    /// A cap: Observe keeps the cluster read-only whatever anyone enforces. Enforce where nothing is said.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "RawMode")]
    max_mode: Option<RawMode>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(skip)]
    time_zone: Refused,
    /// What the cluster pulls from in place of ghcr.io.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "RawImages")]
    images: Option<RawImages>,
    /// How Flux is installed. Detect, the only one yet: the agent finds out.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", extend("const" = "Detect"))]
    method: Option<Spanned<RawMethod>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
enum RawMode {
    Observe,
    Enforce,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Images")]
struct RawImages {
    /// A registry host, with a path where needed.
    #[schemars(with = "schema::Registry")]
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

/// The JSON Schema of a fleet's file.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(File)
}

impl Fleet {
    /// Reads a fleet; `file_name` stands in errors alone.
    ///
    /// # Errors
    /// The first thing that is wrong, as [`Fleet::read`] finds it.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, LoadError> {
        let document = Document::new(file_name, text);
        Self::read(&document).map_err(|findings| document.first(findings))
    }

    /// Reads a fleet.
    ///
    /// # Errors
    /// If the text is no fleet, names a cluster or an agent's key twice, or says something that this
    /// version does not implement: everything that is wrong, at least one thing.
    pub fn read(document: &Document<'_>) -> Result<Self, Vec<LoadError>> {
        let raw: File = document.read().map_err(|error| vec![error])?;
        let head = [
            document.exactly("apiVersion", &raw.api_version, API_VERSION),
            document.exactly("kind", &raw.kind, KIND),
        ];
        let mut findings: Vec<LoadError> = head.into_iter().filter_map(Result::err).collect();
        let (mut names, mut keys, mut places) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let list = raw.clusters.referenced;
        let mut clusters = Vec::with_capacity(raw.clusters.value.len());
        for cluster in raw.clusters.value {
            let place = cluster
                .labels
                .as_ref()
                .map_or(cluster.name.referenced, |labels| labels.referenced);
            let checked = unique(document, "cluster", &cluster.name, &mut names)
                .and_then(|()| unique(document, "agentKey", &cluster.agent_key, &mut keys))
                .and_then(|()| cluster.check(document));
            match checked {
                Ok(member) => {
                    places.insert(member.cluster.clone(), place);
                    clusters.push(member);
                }
                Err(error) => findings.push(error),
            }
        }
        if !findings.is_empty() {
            return Err(in_order(findings));
        }
        clusters.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        Ok(Self {
            clusters,
            places,
            list,
        })
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
        let mut labels = BTreeMap::new();
        for (label, value) in self.labels.into_iter().flat_map(|labels| labels.value) {
            document.label(&label, &value)?;
            labels.insert(label, value.value);
        }
        Ok(ClusterMember {
            cluster,
            labels,
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
