//! The manifests that the factory writes where there is no real data, against the real ones.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use domain::Version;
use flux::manifest::{self, Object};
use flux::subset;
use integration_tests::lab::Lab;
use libtest_mimic::Trial;
use testkit::manifests::{Source, document, source, synthetic};

use crate::trial::over_data;

pub(crate) fn trials() -> Vec<Trial> {
    let needs = "flux-manifests";
    vec![
        over_data(
            "manifests::what_is_written_equals_upstream_but_for_schemas",
            needs,
            written_equals_upstream,
        ),
        over_data(
            "manifests::every_document_has_all_components_of_its_release",
            needs,
            all_components,
        ),
    ]
}

/// The versions that the data has.
fn versions(folder: &Path) -> anyhow::Result<Vec<Version>> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        format!("v{}", entry.ok()?.file_name().to_str()?).parse().ok()
    };
    let versions: Vec<Version> = std::fs::read_dir(folder)?.filter_map(name).collect();
    ensure!(!versions.is_empty(), "no version in {}", folder.display());
    Ok(versions)
}

fn parsed(text: &str) -> anyhow::Result<Vec<Object>> {
    Ok(manifest::parse(text)?)
}

fn names(objects: &[Object]) -> Vec<String> {
    objects.iter().map(ToString::to_string).collect()
}

async fn written_equals_upstream(_lab: Lab, folder: PathBuf) -> anyhow::Result<()> {
    for version in versions(&folder)? {
        let ours = parsed(&synthetic(&version))?;
        let (Source::Real(path) | Source::WithSourceWatcher(path)) = source(&version) else {
            bail!("{version} is not in the data")
        };
        let real = parsed(&std::fs::read_to_string(&path)?)?;
        let ours = subset::render(&ours, &manifest::components(&real))?;
        assert_eq!(names(&ours), names(&real), "{version}");
        assert_eq!(manifest::crd_set(&ours)?, manifest::crd_set(&real)?, "{version}");
        assert_eq!(manifest::images(&ours)?, manifest::images(&real)?, "{version}");
        for (ours, real) in ours.iter().zip(&real).filter(|(ours, _)| !ours.is_crd()) {
            assert_eq!(ours, real, "{version} {real}");
        }
        for (ours, real) in ours.iter().zip(&real).filter(|(ours, _)| ours.is_crd()) {
            let labels = |crd: &Object| crd.value.pointer("/metadata/labels").cloned();
            assert_eq!(labels(ours), labels(real), "{version} {real}");
            for name in ["kind", "listKind", "plural", "singular"] {
                let pointer = format!("/spec/names/{name}");
                assert_eq!(
                    ours.value.pointer(&pointer),
                    real.value.pointer(&pointer),
                    "{version} {real}"
                );
            }
        }
    }
    Ok(())
}

async fn all_components(_lab: Lab, folder: PathBuf) -> anyhow::Result<()> {
    for version in versions(&folder)? {
        let objects = parsed(&document(&version))?;
        let ours = parsed(&synthetic(&version))?;
        assert_eq!(names(&objects), names(&ours), "{version}");
        assert_eq!(manifest::images(&objects)?, manifest::images(&ours)?, "{version}");
        for (object, ours) in objects.iter().zip(&ours).filter(|(object, _)| !object.is_crd()) {
            assert_eq!(object, ours, "{version}");
        }
    }
    Ok(())
}
