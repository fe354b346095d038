//! Who installed Flux in a cluster, told from what the cluster shows.
//!
//! Rule: Flux is changed by whoever installed it, so an owner other than a person with `flux install` or
//! server-side `kubectl apply`, or two owners at once, or anything that cannot be told, is
//! [`Installer::Other`] with what was seen. Order of evidence as `reference/rollout.md` 1.4: flux-operator,
//! Helm, kustomize-controller, then field managers. Other tools leave marks too and are named.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use domain::Installer;
use serde_json::Value;

/// The CRD whose labels flux and flux-operator decide from.
pub const MARKER_CRD: &str = "gitrepositories.source.toolkit.fluxcd.io";

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const HELM_RELEASE: &str = "meta.helm.sh/release-name";
const HELM_NAMESPACE: &str = "meta.helm.sh/release-namespace";
const KUSTOMIZATION_NAME: &str = "kustomize.toolkit.fluxcd.io/name";
const KUSTOMIZATION_NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";
const ARGO_TRACKING: &str = "argocd.argoproj.io/tracking-id";

/// What the agent saw in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// The CRD [`MARKER_CRD`]; `None` where the cluster does not have it.
    pub crd: Option<Marks>,
    /// The Deployments of Flux's components, by name.
    pub deployments: BTreeMap<String, Marks>,
    /// Whether a FluxInstance exists.
    pub flux_instance: bool,
    /// What each Kustomization that owns the install applies, by its namespace and name, where it exists.
    pub inputs: BTreeMap<(String, String), Input>,
}

/// What a Kustomization applies: where a change of the install would have to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// `GitRepository`, `OCIRepository` or `Bucket`.
    pub kind: String,
    /// Namespace of the source.
    pub namespace: String,
    /// Name of the source.
    pub name: String,
    /// Path in it.
    pub path: String,
}

impl Input {
    /// Reads a Kustomization; `None` where it names no source.
    #[must_use]
    pub fn read(kustomization: &Value) -> Option<Self> {
        let text = |pointer: &str| kustomization.pointer(pointer).and_then(Value::as_str);
        let namespace = text("/spec/sourceRef/namespace").or_else(|| text("/metadata/namespace"));
        Some(Self {
            kind: text("/spec/sourceRef/kind")?.to_owned(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: text("/spec/sourceRef/name")?.to_owned(),
            path: text("/spec/path").unwrap_or("./").to_owned(),
        })
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}/{} at {}",
            self.kind, self.namespace, self.name, self.path
        )
    }
}

/// Namespace and name of each Kustomization that left its labels on the install.
#[must_use]
pub fn kustomizations(seen: &Seen) -> BTreeSet<(String, String)> {
    let marks = seen.crd.iter().chain(seen.deployments.values());
    marks.filter_map(kustomization).collect()
}

fn kustomization(marks: &Marks) -> Option<(String, String)> {
    let name = marks.labels.get(KUSTOMIZATION_NAME)?;
    let namespace = marks
        .labels
        .get(KUSTOMIZATION_NAMESPACE)
        .map_or("?", String::as_str);
    Some((namespace.to_owned(), name.clone()))
}

/// What metadata tells about who made an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// Managers with operation Apply, subresources left out.
    pub apply_managers: BTreeSet<String>,
    /// Managers with operation Update, subresources left out.
    pub update_managers: BTreeSet<String>,
}

impl Marks {
    /// Reads the metadata of a live object.
    #[must_use]
    pub fn read(object: &Value) -> Self {
        let texts = |pointer: &str| {
            let map = object
                .pointer(pointer)
                .and_then(Value::as_object)
                .into_iter()
                .flatten();
            map.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect()
        };
        let managers = |operation: &str| {
            let entries = object
                .pointer("/metadata/managedFields")
                .and_then(Value::as_array);
            let text = |entry: &Value, field: &str| entry.get(field)?.as_str().map(str::to_owned);
            entries
                .into_iter()
                .flatten()
                .filter(|entry| text(entry, "subresource").is_none_or(|name| name.is_empty()))
                .filter(|entry| text(entry, "operation").as_deref() == Some(operation))
                .filter_map(|entry| text(entry, "manager"))
                .collect()
        };
        Self {
            labels: texts("/metadata/labels"),
            annotations: texts("/metadata/annotations"),
            apply_managers: managers("Apply"),
            update_managers: managers("Update"),
        }
    }
}

/// Who installed Flux.
#[must_use]
pub fn installer(seen: &Seen) -> Installer {
    let Some(crd) = &seen.crd else {
        return Installer::Other(format!(
            "no Flux is installed: the CRD {MARKER_CRD} does not exist"
        ));
    };
    let mut owners = owners(seen, crd);
    let hand = by_hand(crd);
    if owners.is_empty() {
        return match hand {
            Some(installer) if all_by(seen, &installer) => installer,
            Some(installer) => Installer::Other(not_all_by(seen, &installer)),
            None => Installer::Other(unknown(crd)),
        };
    }
    if let Some(installer) = hand {
        owners.insert(format!("{installer} (field manager of the CRD {MARKER_CRD})"));
    }
    Installer::Other(match owners.len() {
        1 => format!("owned by {}", joined(&owners, "")),
        _ => format!("two owners at once: {}", joined(&owners, " and ")),
    })
}

/// Every tool that left a mark of ownership, in words.
fn owners(seen: &Seen, crd: &Marks) -> BTreeSet<String> {
    let mut owners = BTreeSet::new();
    if seen.flux_instance {
        owners.insert("flux-operator".to_owned());
    }
    for marks in std::iter::once(crd).chain(seen.deployments.values()) {
        owners.extend(tool_of_labels(seen, marks));
        owners.extend(
            marks
                .apply_managers
                .iter()
                .chain(&marks.update_managers)
                .filter_map(|m| tool_of(m)),
        );
    }
    // A manager says less than the labels that go with it.
    for (plain, prefix) in [
        ("Helm", "Helm release "),
        ("kustomize-controller", "the Kustomization "),
    ] {
        if owners.iter().any(|owner| owner.starts_with(prefix)) {
            owners.remove(plain);
        }
    }
    owners
}

fn tool_of_labels(seen: &Seen, marks: &Marks) -> Vec<String> {
    let label = |name: &str| marks.labels.get(name).map(String::as_str);
    let annotation = |name: &str| marks.annotations.get(name).map(String::as_str);
    let mut tools = Vec::new();
    match label(MANAGED_BY) {
        Some("flux-operator") => tools.push("flux-operator".to_owned()),
        Some("Helm") => tools.push("Helm".to_owned()),
        Some(other) => tools.push(format!("{other} (label {MANAGED_BY})")),
        None => {}
    }
    if let Some(release) = annotation(HELM_RELEASE) {
        tools.push(format!(
            "Helm release {}/{release}",
            annotation(HELM_NAMESPACE).unwrap_or("?")
        ));
    }
    if let Some(key) = kustomization(marks) {
        let input = seen
            .inputs
            .get(&key)
            .map(|input| format!(", which applies {input}"));
        let (namespace, name) = key;
        tools.push(format!(
            "the Kustomization {namespace}/{name} (kustomize-controller){}",
            input.unwrap_or_default()
        ));
    }
    if annotation(ARGO_TRACKING).is_some() {
        tools.push("Argo CD".to_owned());
    }
    tools
}

/// The tool behind a field manager that installs things and is no person's command.
fn tool_of(manager: &str) -> Option<String> {
    let tool = match manager {
        "flux-operator" => "flux-operator",
        "helm" | "helm-controller" => "Helm",
        "kustomize-controller" => "kustomize-controller",
        "argocd-controller" | "argocd-application-controller" => "Argo CD",
        "Terraform" | "terraform" | "terraform-provider-flux" => "Terraform",
        _ => return None,
    };
    Some(tool.to_owned())
}

/// The person's command that applied the CRD, if it is the only manager that applied it.
fn by_hand(crd: &Marks) -> Option<Installer> {
    let mut managers = crd.apply_managers.iter();
    match (managers.next().map(String::as_str), managers.next()) {
        (Some("flux"), None) => Some(Installer::FluxCli),
        (Some("kubectl"), None) => Some(Installer::Kubectl),
        (Some("fluxgate"), None) => Some(Installer::Fluxgate),
        (Some(_) | None, _) => None,
    }
}

/// Whether every Deployment was applied by this installer and by no other one. Managers that install
/// nothing (a person's tool that set a field) are customisations, see [`crate::customisation`].
fn all_by(seen: &Seen, installer: &Installer) -> bool {
    let own = installer.field_manager().unwrap_or_default();
    seen.deployments.values().all(|marks| {
        marks.apply_managers.contains(own)
            && ["flux", "kubectl", "fluxgate"]
                .iter()
                .all(|manager| *manager == own || !marks.apply_managers.contains(*manager))
    })
}

fn not_all_by(seen: &Seen, installer: &Installer) -> String {
    let own = installer.field_manager().unwrap_or_default();
    let others = |(name, marks): (&String, &Marks)| {
        let expected = BTreeSet::from([own.to_owned()]);
        (marks.apply_managers != expected)
            .then(|| format!("Deployment {name} by {}", managers(&marks.apply_managers)))
    };
    let found: BTreeSet<String> = seen.deployments.iter().filter_map(others).collect();
    format!(
        "two owners at once: the CRD {MARKER_CRD} was applied by {own}, {}",
        joined(&found, ", ")
    )
}

fn unknown(crd: &Marks) -> String {
    if crd.apply_managers.is_empty() {
        format!(
            "nobody applied the CRD {MARKER_CRD} server-side; it was updated by {}",
            managers(&crd.update_managers)
        )
    } else {
        format!(
            "the CRD {MARKER_CRD} was applied by {}",
            managers(&crd.apply_managers)
        )
    }
}

fn managers(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        "no field manager".to_owned()
    } else {
        format!("field manager {}", joined(names, " and "))
    }
}

fn joined(names: &BTreeSet<String>, separator: &str) -> String {
    names
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(separator)
}

#[cfg(test)]
mod tests;
