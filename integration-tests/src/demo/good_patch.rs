//! Scene `good-patch`: 2.9.4 is found, verified and allowed; under Observe all clusters say that they would
//! upgrade; a person enforces; canary is upgraded and baked, then prod; every pod runs a verified digest; the ledger is exported
//! and checked by others.

use std::path::Path;

use domain::Component;
use testkit::factory::{Published, ReleaseSpec};

use super::steps::{allowed, ended, enforce, set, would_upgrade};
use super::{DemoError, Played, Teller, ending, export};
use crate::lab::Lab;
use crate::stage::{COMING, Hub, Site};

pub(super) async fn play(lab: &Lab, teller: &Teller, place: &Path) -> Result<Played, DemoError> {
    let played = set(lab, teller).await?;
    let hub = &played.hub;
    let published = played.stage.publish(&ReleaseSpec::good(COMING)).await?;
    teller.say(&format!(
        "upstream publishes Flux {COMING}: {}",
        published.manifests
    ));
    hub.reconcile().await?;
    allowed(hub, teller).await?;
    for site in &played.stage.sites {
        would_upgrade(hub, teller, &site.name).await?;
    }
    unchanged(&played.stage.sites).await?;
    teller.say("nothing was written: the mode is Observe. A person enforces all waves: `fluxgate enforce --wave ...`");
    enforce(&played).await?;
    completed(hub, teller).await?;
    for site in &played.stage.sites {
        runs_verified(site, &published, teller).await?;
    }
    export::check(&played, teller, place).await?;
    Ok(played)
}

/// Under Observe no Deployment has another image.
async fn unchanged(sites: &[Site]) -> Result<(), DemoError> {
    for site in sites {
        for (name, image) in site.deployment_images().await? {
            if image.contains('@') {
                return Err(ending(
                    "no write under Observe",
                    format!("{name} of {} runs {image}", site.name),
                ));
            }
        }
    }
    Ok(())
}

async fn completed(hub: &Hub, teller: &Teller) -> Result<(), DemoError> {
    let end = ended(hub, teller).await?;
    if end.end() == wire::rollout::v1::RolloutEnd::Completed {
        return Ok(());
    }
    Err(ending(
        "a completed rollout",
        format!("{:?}: {}", end.end(), end.detail),
    ))
}

/// Every pod of the site runs the digest that the factory published, and is named by it.
async fn runs_verified(site: &Site, published: &Published, teller: &Teller) -> Result<(), DemoError> {
    let pods = site.pod_images().await?;
    for component in Component::DEFAULT {
        let Some(index) = published.indexes.get(&component) else {
            continue;
        };
        let found = pods.get(component.name()).cloned().unwrap_or_default();
        let wanted = index.to_string();
        let good = !found.is_empty()
            && found
                .iter()
                .all(|(image, id)| image.ends_with(&wanted) && id.ends_with(&wanted));
        if !good {
            return Err(ending(
                format!("{component} of {} at {wanted}", site.name),
                format!("{found:?}"),
            ));
        }
    }
    teller.say(&format!(
        "{}: every pod runs the verified digest of {}",
        site.name, published.version
    ));
    Ok(())
}
