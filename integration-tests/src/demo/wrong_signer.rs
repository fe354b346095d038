//! Scene `wrong-signer`: the image of source-controller was properly signed, but by another workflow of the same
//! organisation. DENY, with expected and found identity side by side; nothing in both clusters changes.

use domain::{Artifact, Component};
use testkit::factory::{Flavour, ReleaseSpec};
use wire::common::v1::Outcome;
use wire::verification::v1::Evidence;

use super::{DemoError, Played, Teller, ending, set};
use crate::lab::Lab;
use crate::stage::{COMING, Hub, StageError, until};

/// How long nothing must change after the decision: more than an agent's poll and a controller's round.
const WATCHED: std::time::Duration = std::time::Duration::from_secs(5);

pub(super) async fn play(lab: &Lab, teller: &Teller) -> Result<Played, DemoError> {
    let played = set(lab, teller).await?;
    let hub = &played.hub;
    settled(&played, teller).await?;
    let mut before = Vec::new();
    for site in &played.stage.sites {
        before.push(site.objects().await?);
    }
    for site in &played.stage.sites {
        hub.set_mode(&site.wave, wire::common::v1::Mode::Enforce).await?;
    }
    let flavour = Flavour::WrongWorkflow(Artifact::Image(Component::SourceController));
    let published = played
        .stage
        .publish(&ReleaseSpec::flavoured(COMING, flavour))
        .await?;
    teller.say(&format!(
        "somebody publishes Flux {COMING}: {}; both waves are enforced",
        published.manifests
    ));
    hub.reconcile().await?;
    let reasons = denied(hub, teller).await?;
    if !reasons.iter().any(|reason| reason == "IDENTITY_MISMATCH") {
        return Err(ending("DENY for IDENTITY_MISMATCH", reasons.join(", ")));
    }
    show_identities(hub, teller).await?;
    tokio::time::sleep(WATCHED).await;
    teller.catch_up(hub).await?;
    if let Some(rollout) = hub.rollouts().await?.first() {
        return Err(ending("no rollout", rollout.name.clone()));
    }
    for (site, before) in played.stage.sites.iter().zip(&before) {
        let after = site.objects().await?;
        let changed: Vec<_> = after
            .iter()
            .filter(|(name, version)| before.get(*name) != Some(version))
            .collect();
        if !changed.is_empty() || after.len() != before.len() {
            return Err(ending(format!("{} unchanged", site.name), format!("{changed:?}")));
        }
        teller.say(&format!(
            "{}: all {} objects are as they were (Lease and Event left out)",
            site.name,
            after.len()
        ));
    }
    Ok(played)
}

/// Both clusters have a verified baseline and are healthy: only then does silence mean something.
async fn settled(played: &Played, teller: &Teller) -> Result<(), StageError> {
    for site in &played.stage.sites {
        until(("a verified baseline", 60), async || {
            teller.catch_up(&played.hub).await?;
            let cluster = played.hub.cluster(&site.name).await?;
            Ok(if cluster.baseline.is_empty() {
                Err(format!("{:?}", cluster.waits))
            } else {
                Ok(())
            })
        })
        .await?;
    }
    Ok(())
}

async fn denied(hub: &Hub, teller: &Teller) -> Result<Vec<String>, StageError> {
    until(("a decision about 2.9.4", 60), async || {
        teller.catch_up(hub).await?;
        let decisions = hub.decisions("").await?;
        let Some(decision) = decisions.into_iter().find_map(|view| view.decision) else {
            return Ok(Err("no decision".to_owned()));
        };
        let reasons = decision.rules.iter().map(|rule| rule.reason.clone()).collect();
        Ok(if decision.outcome() == Outcome::Deny {
            Ok(reasons)
        } else {
            Err(format!("{:?}", decision.outcome()))
        })
    })
    .await
}

async fn show_identities(hub: &Hub, teller: &Teller) -> Result<(), DemoError> {
    let verification = hub.verification(&format!("releases/flux/{COMING}")).await?;
    let wrong: Option<&Evidence> = verification
        .evidence
        .iter()
        .find(|e| e.artifact == "source-controller");
    let Some((expected, found)) = wrong.and_then(|e| e.expected.as_ref().zip(e.found.as_ref())) else {
        return Err(ending("evidence with both identities", format!("{wrong:?}")));
    };
    teller.plain("");
    for (field, expected, found) in [
        (
            "signer",
            expected
                .subject_alternative_names
                .join("\n            or        "),
            &found.subject_alternative_name,
        ),
        ("issuer", expected.issuer.clone(), &found.issuer),
        ("ref", expected.source_ref.clone(), &found.source_ref),
    ] {
        teller.plain(&format!("    {field:<7} expected  {expected}"));
        teller.plain(&format!("            found     {found}"));
    }
    teller.plain("");
    Ok(())
}
