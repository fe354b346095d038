//! Scene `wrong-signer`: the image of source-controller was properly signed, but by another workflow of the same
//! organisation. DENY, with expected and found identity side by side; nothing in any cluster changes.

use domain::{Artifact, Component};
use testkit::factory::{Flavour, ReleaseSpec};
use wire::common::v1::Outcome;
use wire::verification::v1::Evidence;

use super::steps::{enforce, look, set, settled, unchanged};
use super::{DemoError, Played, Teller, ending};
use crate::lab::Lab;
use crate::stage::{COMING, Hub, StageError, THREE, until};

/// How long nothing must change after the decision: more than an agent's poll and a controller's round.
const WATCHED: std::time::Duration = std::time::Duration::from_secs(5);

pub(super) async fn play(lab: &Lab, teller: &Teller) -> Result<Played, DemoError> {
    let played = set(lab, teller).await?;
    let hub = &played.hub;
    settled(&played, teller).await?;
    let before = look(&played.stage).await?;
    enforce(&played).await?;
    let flavour = Flavour::WrongWorkflow(Artifact::Image(Component::SourceController));
    let published = played
        .stage
        .publish(&ReleaseSpec::flavoured(COMING, flavour))
        .await?;
    teller.say(&format!(
        "somebody publishes Flux {COMING}: {}; all waves are enforced",
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
    unchanged(&played.stage, &before, (teller, &THREE.map(|plan| plan.name))).await?;
    Ok(played)
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
