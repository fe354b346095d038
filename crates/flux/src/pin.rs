//! Writes digests into a manifest: what was verified is what runs.
//!
//! Rule: every image of the manifest is replaced by the verified one of its component, or nothing is
//! rendered. Tags stay for people; the digest decides.

use std::collections::BTreeMap;

use domain::{Component, ImageRef};
use serde_json::Value;

use crate::manifest::{self, Object};
use crate::workload;

/// The registry that upstream's names begin with.
pub const UPSTREAM_REGISTRY: &str = "ghcr.io";

/// Why images cannot be pinned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest runs something that is no component's image.
    #[error("reading the images to pin")]
    Manifest(#[from] manifest::Error),
    /// No verified image for a component of the manifest.
    #[error("no verified image for {component}, which the manifest runs")]
    Unmapped {
        /// The component.
        component: Component,
    },
    /// The verified image has no digest.
    #[error("verified image {image} of {component} carries no digest")]
    NoDigest {
        /// The component.
        component: Component,
        /// The image.
        image: Box<ImageRef>,
    },
    /// Another image was verified than the manifest names.
    #[error("the manifest runs {found}, but {verified} was verified for {component}")]
    Other {
        /// The component.
        component: Component,
        /// What the manifest names.
        found: Box<ImageRef>,
        /// What was verified.
        verified: Box<ImageRef>,
    },
    /// The registry does not make an image reference.
    #[error("registry {registry:?} with the image of {component} is no image reference")]
    Registry {
        /// The registry as configured.
        registry: String,
        /// The component.
        component: Component,
        /// Why.
        #[source]
        source: domain::image::ParseImageRefError,
    },
}

/// Replaces every image by `REGISTRY/fluxcd/<component>:vX@sha256:...`: the verified image of the
/// component, with `registry` (host, perhaps with a path) in place of `ghcr.io`.
///
/// `verified` may hold more components than the manifest.
///
/// # Errors
/// If the manifest runs anything unknown, or a component's image is not verified, not pinned or another.
pub fn images(
    objects: &[Object],
    verified: &BTreeMap<Component, ImageRef>,
    registry: &str,
) -> Result<Vec<Object>, Error> {
    let found = manifest::images(objects)?;
    let mut texts = BTreeMap::new();
    for (component, found) in &found {
        let image = verified.get(component).ok_or(Error::Unmapped {
            component: *component,
        })?;
        texts.insert(component.name(), pinned(*component, found, image, registry)?);
    }
    let mut objects = objects.to_vec();
    for object in objects
        .iter_mut()
        .filter(|object| object.is("apps/v1", "Deployment"))
    {
        let text = texts.remove(object.name.as_str());
        if let (Some(text), Some(manager)) = (text, workload::manager_mut(object)) {
            manager.insert("image".to_owned(), Value::String(text));
        }
    }
    Ok(objects)
}

/// The text that reaches the cluster.
fn pinned(
    component: Component,
    found: &ImageRef,
    verified: &ImageRef,
    registry: &str,
) -> Result<String, Error> {
    if verified.digest().is_none() {
        return Err(Error::NoDigest {
            component,
            image: Box::new(verified.clone()),
        });
    }
    let same_name = (found.repository(), found.tag()) == (verified.repository(), verified.tag());
    let same_digest = found
        .digest()
        .is_none_or(|digest| verified.digest() == Some(digest));
    if !same_name || !same_digest {
        return Err(Error::Other {
            component,
            found: Box::new(found.clone()),
            verified: Box::new(verified.clone()),
        });
    }
    let text = verified.to_string();
    let text = match text.strip_prefix(UPSTREAM_REGISTRY) {
        Some(rest) => format!("{registry}{rest}"),
        None => text,
    };
    match text.parse::<ImageRef>() {
        Ok(image) => Ok(image.to_string()),
        Err(source) => Err(Error::Registry {
            registry: registry.to_owned(),
            component,
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use domain::Digest;
    use serde_json::json;

    use super::*;

    fn manifest(image: &str) -> Vec<Object> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}});
        let deployment = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "helm-controller", "namespace": "flux-system"},
            "spec": {"template": {"spec": {"containers": [{"name": "manager", "image": image}]}}},
        });
        vec![
            Object::read(namespace).unwrap(),
            Object::read(deployment).unwrap(),
        ]
    }

    fn verified(image: &str) -> BTreeMap<Component, ImageRef> {
        [(Component::HelmController, image.parse().unwrap())].into()
    }

    fn digest() -> Digest {
        Digest::of(b"index")
    }

    #[test]
    fn writes_the_digest_behind_the_tag_and_the_cluster_s_registry_before_it() {
        let image = format!("ghcr.io/fluxcd/helm-controller:v1.6.3@{}", digest());
        let objects = manifest("ghcr.io/fluxcd/helm-controller:v1.6.3");
        for registry in ["ghcr.io", "127.0.0.1:5000", "registry.example.com/mirror/ghcr"] {
            let pinned = images(&objects, &verified(&image), registry).unwrap();
            let expected = image.replacen("ghcr.io", registry, 1);
            let found = pinned[1]
                .value
                .pointer("/spec/template/spec/containers/0/image")
                .unwrap();
            assert_eq!(found, &json!(expected));
            assert_eq!(pinned[0], objects[0]);
        }
    }

    #[test]
    fn refuses_what_was_not_verified() {
        let objects = manifest("ghcr.io/fluxcd/helm-controller:v1.6.3");
        let check = |map: &BTreeMap<_, _>, registry: &str| images(&objects, map, registry).unwrap_err();
        assert!(matches!(
            check(&BTreeMap::new(), "ghcr.io"),
            Error::Unmapped { .. }
        ));
        let tag = verified("ghcr.io/fluxcd/helm-controller:v1.6.3");
        assert!(matches!(check(&tag, "ghcr.io"), Error::NoDigest { .. }));
        let older = verified(&format!("ghcr.io/fluxcd/helm-controller:v1.6.2@{}", digest()));
        assert!(matches!(check(&older, "ghcr.io"), Error::Other { .. }));
        let right = verified(&format!("ghcr.io/fluxcd/helm-controller:v1.6.3@{}", digest()));
        for registry in [
            "",
            "Registry.example.com/Upper",
            "registry",
            "registry.example.com/",
        ] {
            assert!(
                matches!(check(&right, registry), Error::Registry { .. }),
                "{registry}"
            );
        }
    }

    #[test]
    fn refuses_a_manifest_that_is_pinned_to_another_digest() {
        let objects = manifest(&format!(
            "ghcr.io/fluxcd/helm-controller:v1.6.3@{}",
            Digest::of(b"other")
        ));
        let right = verified(&format!("ghcr.io/fluxcd/helm-controller:v1.6.3@{}", digest()));
        assert!(matches!(
            images(&objects, &right, "ghcr.io").unwrap_err(),
            Error::Other { .. }
        ));
    }
}
