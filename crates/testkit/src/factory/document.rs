//! Which images a manifests document names.

use std::collections::BTreeMap;

use domain::image::ParseImageRefError;
use domain::{Artifact, Component, ImageRef};

/// The images of Flux in the document's `image:` lines, by component. A scan for one key is enough here:
/// the factory only has to make what the document asks for, and `flux::manifest` reads it properly.
pub(super) fn images(document: &str) -> Result<BTreeMap<Component, ImageRef>, ParseImageRefError> {
    let mut images = BTreeMap::new();
    for line in document.lines() {
        let line = line.trim_start().trim_start_matches("- ");
        let Some(value) = line.strip_prefix("image:") else {
            continue;
        };
        let image: ImageRef = value.trim().trim_matches('"').parse()?;
        let component = Component::ALL
            .into_iter()
            .find(|component| flux::identity::repository(Artifact::Image(*component)) == image.repository());
        if let Some(component) = component {
            images.insert(component, image);
        }
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_image_once() {
        let document = "
        spec:
          containers:
          - image: ghcr.io/fluxcd/source-controller:v1.9.4
            imagePullPolicy: IfNotPresent
          - name: x
            image: \"ghcr.io/fluxcd/helm-controller:v1.6.4\"
          - image: ghcr.io/somebody/else:v1.0.0
        ";
        let images = images(document).unwrap();
        assert_eq!(images.len(), 2);
        assert_eq!(images[&Component::HelmController].tag(), Some("v1.6.4"));
        assert_eq!(images[&Component::SourceController].tag(), Some("v1.9.4"));
    }
}
