//! Scene `sick-canary`: everything about 2.9.4 is in order, and yet its source-controller crashes. The canary shows it,
//! the rollout halts, and no other cluster ever sees the release.

use domain::Component;
use testkit::factory::ReleaseSpec;
use wire::common::v1::Health;
use wire::fleet::v1::Symptom;
use wire::rollout::v1::RolloutEnd;

use super::steps::{Seen, allowed, ended, enforce, look, set, settled, unchanged};
use super::{DemoError, Played, Teller, ending};
use crate::lab::Lab;
use crate::lab::kubelet::{Fault, Target};
use crate::stage::{COMING, Hub, StageError, THREE, until};

const SICK: Component = Component::SourceController;

/// How long nothing must change after the halt: more than an agent's poll and a controller's round.
const WATCHED: std::time::Duration = std::time::Duration::from_secs(5);

pub(super) async fn play(lab: &Lab, teller: &Teller) -> Result<Played, DemoError> {
    let played = set(lab, teller).await?;
    let hub = &played.hub;
    settled(&played, teller).await?;
    let before = look(&played.stage).await?;
    enforce(&played).await?;
    let published = played.stage.publish(&ReleaseSpec::good(COMING)).await?;
    let index = published.indexes.get(&SICK).map(ToString::to_string);
    let Some(index) = index else {
        return Err(ending(format!("an image of {SICK}"), format!("{published:?}")));
    };
    // On any cluster: nothing but the wave keeps it from the others.
    for site in &played.stage.sites {
        site.kubelet
            .inject(Target::Image(index.clone()), Fault::CrashLoop);
    }
    teller.say(&format!(
        "upstream publishes Flux {COMING}: {}; all waves are enforced; its {SICK} exits as soon as it starts",
        published.manifests
    ));
    hub.reconcile().await?;
    allowed(hub, teller).await?;
    let end = ended(hub, teller).await?;
    if end.end() != RolloutEnd::Halted {
        return Err(ending(
            "a halted rollout",
            format!("{:?}: {}", end.end(), end.detail),
        ));
    }
    let [canary, others @ ..] = THREE.map(|plan| plan.name);
    show_symptoms(&symptoms(hub, teller, canary).await?, teller);
    tokio::time::sleep(WATCHED).await;
    teller.catch_up(hub).await?;
    unchanged(&played.stage, &before, (teller, &others)).await?;
    count(&played, &before, (teller, &index)).await?;
    Ok(played)
}

/// What speaks against the health of a cluster.
async fn symptoms(hub: &Hub, teller: &Teller, name: &str) -> Result<Vec<Symptom>, StageError> {
    until(("the canary to be UNHEALTHY", 60), async || {
        teller.catch_up(hub).await?;
        let health = hub.cluster(name).await?.health.unwrap_or_default();
        let crashes = health
            .symptoms
            .iter()
            .any(|symptom| symptom.reason == "CRASH_LOOP");
        Ok(if health.health() == Health::Unhealthy && crashes {
            Ok(health.symptoms)
        } else {
            Err(format!("{health:?}"))
        })
    })
    .await
}

fn show_symptoms(symptoms: &[Symptom], teller: &Teller) {
    teller.plain("");
    for symptom in symptoms {
        teller.plain(&format!(
            "    {}  {}: {}",
            symptom.reason, symptom.object, symptom.detail
        ));
    }
    teller.plain("");
}

/// How many clusters saw the release, counted by what their Deployments name.
async fn count(played: &Played, before: &Seen, (teller, index): (&Teller, &str)) -> Result<(), DemoError> {
    let mut saw = 0;
    for site in &played.stage.sites {
        let images = site.deployment_images().await?;
        saw += usize::from(images.values().any(|image| image.ends_with(index)));
    }
    let all = before.len();
    if saw != 1 {
        return Err(ending(
            "one cluster that saw the release",
            format!("{saw} of {all}"),
        ));
    }
    teller.say(&format!(
        "{saw} of {all} clusters saw the bad release. An auto-merged pull request would have reached {all}."
    ));
    Ok(())
}
