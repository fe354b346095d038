//! Scene `good-patch`: 2.9.4 is found, verified and allowed; under Observe both clusters say that they would
//! upgrade; a person enforces; canary is upgraded and baked, then prod; every pod runs a verified digest.

use domain::Component;
use testkit::factory::{Published, ReleaseSpec};
use wire::common::v1::{Mode, Outcome};
use wire::fleet::v1::ReportKind;

use super::{DemoError, Played, Teller, ending, set};
use crate::lab::Lab;
use crate::stage::{COMING, Hub, Site, StageError, until};

pub(super) async fn play(lab: &Lab, teller: &Teller) -> Result<Played, DemoError> {
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
    teller.say("nothing was written: the mode is Observe. A person enforces both waves: `fluxgate enforce --wave ...`");
    for site in &played.stage.sites {
        hub.set_mode(&site.wave, Mode::Enforce).await?;
    }
    completed(hub, teller).await?;
    for site in &played.stage.sites {
        runs_verified(site, &published, teller).await?;
    }
    Ok(played)
}

async fn allowed(hub: &Hub, teller: &Teller) -> Result<(), StageError> {
    until(("an ALLOW for 2.9.4", 60), async || {
        teller.catch_up(hub).await?;
        let decisions = hub.decisions("").await?;
        let newest = decisions.iter().filter_map(|view| view.decision.as_ref()).next();
        Ok(match newest {
            Some(decision) if decision.outcome() == Outcome::Allow => Ok(()),
            Some(decision) => Err(format!("{:?}: {:?}", decision.outcome(), decision.rules)),
            None => Err("no decision".to_owned()),
        })
    })
    .await
}

async fn would_upgrade(hub: &Hub, teller: &Teller, name: &str) -> Result<(), StageError> {
    until(("WOULD_UPGRADE under Observe", 60), async || {
        teller.catch_up(hub).await?;
        let cluster = hub.cluster(name).await?;
        let said = cluster
            .reports
            .iter()
            .any(|report| report.kind() == ReportKind::WouldUpgrade);
        Ok(if said {
            Ok(())
        } else {
            Err(format!("{:?} {:?}", cluster.reports, cluster.waits))
        })
    })
    .await
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
    let end = until(("the rollout to end", 180), async || {
        teller.catch_up(hub).await?;
        let rollouts = hub.rollouts().await?;
        let Some(rollout) = rollouts.first() else {
            return Ok(Err("no rollout".to_owned()));
        };
        Ok(match &rollout.finished {
            Some(finished) => Ok(finished.clone()),
            None => Err(format!("{:?} {:?}", rollout.waves, rollout.waits)),
        })
    })
    .await?;
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
