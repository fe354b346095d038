//! Install manifests of Flux, read: objects, images, CRD version sets.
//!
//! Rule: whatever the manifests could run is either named here or an error. A workload that is not the
//! Deployment of a known component, a second container, an init container or an image volume would run
//! something that nobody verified, so reading [`images`] refuses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use domain::fleet::CrdFacts;
use domain::image::ParseImageRefError;
use domain::{Artifact, Component, CrdSet, CrdVersions, ImageRef, Version};
use serde_json::Value;

use crate::{identity, workload};

/// Label with the version of Flux that an object was generated for.
pub const VERSION_LABEL: &str = "app.kubernetes.io/version";
/// Label with the component that an object belongs to; absent on what all components share.
pub const COMPONENT_LABEL: &str = "app.kubernetes.io/component";

/// One object of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// `apiVersion`, like `apps/v1`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`; `None` where the manifest names none.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// The whole object.
    pub value: Value,
}

/// Why a manifest was not understood.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not YAML, or a key twice in one mapping.
    #[error("reading document {document} of the manifest, line {line}")]
    Yaml {
        /// Number of the document, from 1.
        document: usize,
        /// Line of the whole text, from 1; 0 where the parser does not say.
        line: u64,
        /// What the parser says.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// A document that is no Kubernetes object.
    #[error("document {document} of the manifest has no {field}")]
    NoObject {
        /// Number of the document that holds something, from 1.
        document: usize,
        /// The field that is missing or is no text.
        field: &'static str,
    },
    /// One object twice.
    #[error("document {document} of the manifest repeats {object}")]
    Repeated {
        /// Number of the second document.
        document: usize,
        /// The object.
        object: String,
    },
    /// A CRD without versions, or without exactly one storage version.
    #[error("{crd} has no {field}")]
    Crd {
        /// Name of the CRD.
        crd: String,
        /// What is missing.
        field: &'static str,
    },
    /// A Deployment that is no component of Flux.
    #[error("Deployment {deployment} is no known component of Flux")]
    UnknownDeployment {
        /// Its name.
        deployment: String,
    },
    /// Two Deployments of one component.
    #[error("two Deployments of {component} in one manifest")]
    TwoDeployments {
        /// The component.
        component: Component,
    },
    /// Something else that runs containers.
    #[error("{object} runs containers and is no Deployment of Flux")]
    Workload {
        /// The object.
        object: String,
    },
    /// A Deployment that does not run exactly the container `manager`.
    #[error("Deployment {deployment} runs more or less than the one container named manager: {field}")]
    Containers {
        /// Its name.
        deployment: String,
        /// Where.
        field: &'static str,
    },
    /// The image is no reference.
    #[error("reading the image of Deployment {deployment}")]
    Image {
        /// Its name.
        deployment: String,
        /// Why.
        #[source]
        source: ParseImageRefError,
    },
    /// An image that is not the component's own, with a tag.
    #[error("Deployment {component} runs {image}, which is no tagged image of ghcr.io/fluxcd/{component}")]
    ForeignImage {
        /// The component.
        component: Component,
        /// What it runs.
        image: Box<ImageRef>,
    },
}

/// A JSON value that is no Kubernetes object: the field that is missing or is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("object has no {0}")]
pub struct MissingField(pub &'static str);

/// Reads a YAML stream of Kubernetes objects; empty documents are skipped, the order is kept.
///
/// # Errors
/// If the text is not YAML, repeats a key, or holds something that is no object or an object twice.
pub fn parse(document: &str) -> Result<Vec<Object>, Error> {
    let options = serde_saphyr::options! { with_snippet: false };
    let values: Vec<Value> =
        serde_saphyr::from_multiple_with_options(document, options).map_err(|source| {
            let line = source.location().map_or(0, |location| location.line());
            Error::Yaml {
                document: document_at(document, line),
                line,
                source: Box::new(source),
            }
        })?;
    let mut seen = BTreeSet::new();
    let mut objects = Vec::with_capacity(values.len());
    for (value, document) in values.into_iter().zip(1..) {
        let object =
            Object::read(value).map_err(|MissingField(field)| Error::NoObject { document, field })?;
        if !seen.insert(object.to_string()) {
            return Err(Error::Repeated {
                document,
                object: object.to_string(),
            });
        }
        objects.push(object);
    }
    Ok(objects)
}

/// The image of each component: the container `manager` of its Deployment, by its upstream name and tag.
///
/// # Errors
/// If the manifest would run anything else (see the module).
pub fn images(objects: &[Object]) -> Result<BTreeMap<Component, ImageRef>, Error> {
    let mut images = BTreeMap::new();
    for object in objects {
        let Some(deployment) = workload::deployment(object)? else {
            continue;
        };
        let component = deployment.component;
        if images
            .insert(component, upstream_image(component, deployment.image)?)
            .is_some()
        {
            return Err(Error::TwoDeployments { component });
        }
    }
    Ok(images)
}

/// The components whose Deployments are in the manifest.
#[must_use]
pub fn components(objects: &[Object]) -> BTreeSet<Component> {
    objects
        .iter()
        .filter(|object| object.is("apps/v1", "Deployment"))
        .filter_map(|object| object.name.parse().ok())
        .collect()
}

/// The version sets of all CRDs of the manifest.
///
/// # Errors
/// If a CRD has no versions or not exactly one storage version.
pub fn crd_set(objects: &[Object]) -> Result<CrdSet, Error> {
    objects
        .iter()
        .filter(|object| object.is_crd())
        .map(|object| Ok((object.name.clone(), crd_versions(object)?)))
        .collect()
}

/// A CRD as an API server returns it, with `status.storedVersions`.
///
/// # Errors
/// If it has no versions, not exactly one storage version, or no stored versions.
pub fn crd_facts(crd: &Object) -> Result<CrdFacts, Error> {
    let stored: BTreeSet<String> = crd
        .value
        .pointer("/status/storedVersions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|version| version.as_str().map(str::to_owned))
        .collect();
    if stored.is_empty() {
        return Err(Error::Crd {
            crd: crd.name.clone(),
            field: "status.storedVersions",
        });
    }
    Ok(CrdFacts {
        crd: crd_versions(crd)?,
        stored,
    })
}

/// The version in the label of all objects that carry one; `None` where there is none or they differ. A
/// hint alone: labels are changed by whoever edits a manifest.
#[must_use]
pub fn version(objects: &[Object]) -> Option<Version> {
    let labels: BTreeSet<&str> = objects
        .iter()
        .filter_map(|object| object.label(VERSION_LABEL))
        .collect();
    match (labels.first(), labels.len()) {
        (Some(label), 1) => label.parse().ok(),
        (Some(_) | None, _) => None,
    }
}

/// Whether the object must exist before the others can be applied: Namespace, CRD, ClusterRole. The first
/// stage of an apply.
#[must_use]
pub fn is_cluster_definition(object: &Object) -> bool {
    object.is("v1", "Namespace")
        || object.is_crd()
        || object.is("rbac.authorization.k8s.io/v1", "ClusterRole")
}

impl Object {
    /// Takes a JSON value as an object.
    ///
    /// # Errors
    /// If `apiVersion`, `kind` or `metadata.name` is missing or is no text.
    pub fn read(value: Value) -> Result<Self, MissingField> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            api_version: text("/apiVersion").ok_or(MissingField("apiVersion"))?,
            kind: text("/kind").ok_or(MissingField("kind"))?,
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name").ok_or(MissingField("metadata.name"))?,
            value,
        })
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.value.get("metadata")?.get("labels")?.get(name)?.as_str()
    }

    /// Whether it is of this API version and kind.
    #[must_use]
    pub fn is(&self, api_version: &str, kind: &str) -> bool {
        self.api_version == api_version && self.kind == kind
    }

    /// Whether it is a CustomResourceDefinition.
    #[must_use]
    pub fn is_crd(&self) -> bool {
        self.is("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    }
}

/// Kind, namespace and name, like `Deployment flux-system/source-controller`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// The number of the document that holds this line of a YAML stream.
fn document_at(text: &str, line: u64) -> usize {
    let lines = text.lines().zip(1..=line).map(|(line, _)| line);
    let mut separators = 0;
    let mut content = false;
    for line in lines {
        if line == "---" || line.starts_with("--- ") {
            separators += usize::from(content);
            content = false;
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            content = true;
        }
    }
    separators + 1
}

fn upstream_image(component: Component, image: &str) -> Result<ImageRef, Error> {
    let image = match image.parse::<ImageRef>() {
        Ok(image) => image,
        Err(source) => {
            return Err(Error::Image {
                deployment: component.name().to_owned(),
                source,
            });
        }
    };
    let own = identity::repository(Artifact::Image(component));
    if image.repository() != own || image.tag().is_none() {
        return Err(Error::ForeignImage {
            component,
            image: Box::new(image),
        });
    }
    Ok(image)
}

fn crd_versions(crd: &Object) -> Result<CrdVersions, Error> {
    let missing = |field| Error::Crd {
        crd: crd.name.clone(),
        field,
    };
    let list = crd
        .value
        .pointer("/spec/versions")
        .and_then(Value::as_array)
        .ok_or_else(|| missing("spec.versions"))?;
    let mut versions = BTreeSet::new();
    let mut storage = BTreeSet::new();
    for version in list {
        let name = version
            .get("name")
            .and_then(Value::as_str)
            .ok_or_else(|| missing("name of a version in spec.versions"))?;
        versions.insert(name.to_owned());
        if version.get("storage") == Some(&Value::Bool(true)) {
            storage.insert(name.to_owned());
        }
    }
    match (storage.pop_first(), storage.is_empty()) {
        (Some(storage), true) => Ok(CrdVersions { versions, storage }),
        (Some(_) | None, _) => Err(missing("single version with storage: true")),
    }
}

#[cfg(test)]
mod tests;
