//! Scene `forged-assignment`: somebody has full rights on NATS and has shut the hub out. Whatever is laid before an
//! agent is refused with its reason; nothing in any cluster changes. When the hub is back, it tells.

use attest::{Dossier, Role, SigningKey};
use domain::{Action, Component, Mode, Reason};
use testkit::factory::{Published, ReleaseSpec};
use wire::common::v1::Mode as WireMode;

use super::steps::{allowed, look, set, settled, unchanged, would_upgrade};
use super::{DemoError, Played, Teller, ending};
use crate::lab::Lab;
use crate::stage::forge::{Forge, assignment, reissued};
use crate::stage::{COMING, Hub, Service, Site, StageError, THREE, until};

const SWAPPED: Component = Component::SourceController;

/// How long nothing must change after the last attempt: more than an agent's poll.
const WATCHED: std::time::Duration = std::time::Duration::from_secs(5);

pub(super) async fn play(lab: &Lab, teller: &Teller) -> Result<Played, DemoError> {
    let mut played = set(lab, teller).await?;
    settled(&played, teller).await?;
    let before = look(&played.stage).await?;
    let published = played.stage.publish(&ReleaseSpec::good(COMING)).await?;
    teller.say(&format!(
        "upstream publishes Flux {COMING}: {}",
        published.manifests
    ));
    played.hub.reconcile().await?;
    allowed(&played.hub, teller).await?;
    let [canary, prod, _] = THREE.map(|plan| plan.name);
    for name in [canary, prod] {
        would_upgrade(&played.hub, teller, name).await?;
    }
    let forge = Forge::open(&played.stage).await?;
    let taken_back = taken_back(&mut played, &forge, teller).await?;
    teller.say("now somebody with full rights on NATS shuts the hub out and writes to the agents' bucket");
    played.hub.kill_service(Service::RolloutController).await?;
    for site in played.stage.sites.iter_mut().take(1) {
        site.start_agent(lab).await?;
    }
    attempts(&played, &forge, (teller, &taken_back, &published)).await?;
    tokio::time::sleep(WATCHED).await;
    let all = THREE.map(|plan| plan.name);
    unchanged(&played.stage, &before, (teller, &all)).await?;
    teller.say("the hub is back");
    played.hub.restart(Service::RolloutController).await?;
    told(&played.hub, teller, prod).await?;
    Ok(played)
}

/// A genuine assignment of the canary with Enforce that was taken back before its agent saw it.
async fn taken_back(played: &mut Played, forge: &Forge, teller: &Teller) -> Result<Dossier, DemoError> {
    let Some(site) = played.stage.sites.first_mut() else {
        return Err(ending("a canary", "no cluster"));
    };
    site.kill_agent().await?;
    teller.say("the canary's agent is down; a person enforces its wave, and takes that back");
    let older = issued(played, (forge, teller), (WireMode::Enforce, Action::Upgrade)).await?;
    issued(played, (forge, teller), (WireMode::Observe, Action::Stop)).await?;
    Ok(older)
}

/// Sets the canary's mode and waits for the assignment that follows from it.
async fn issued(
    played: &Played,
    (forge, teller): (&Forge, &Teller),
    (mode, action): (WireMode, Action),
) -> Result<Dossier, DemoError> {
    let canary = THREE[0];
    played.hub.set_mode(canary.wave, mode).await?;
    let wanted = |dossier: &Dossier| {
        let found = assignment(dossier).map(|(assignment, _header)| assignment);
        found.is_ok_and(|found| found.action == action && found.mode == Mode::Enforce)
    };
    let mut failed = None;
    let found = until(("the canary's assignment", 60), async || {
        teller.catch_up(&played.hub).await?;
        match forge.dossier(canary.name).await {
            Ok(Some(dossier)) if wanted(&dossier) => Ok(Ok(dossier)),
            Ok(_) => Ok(Err(format!("no {action:?}"))),
            Err(error) => {
                let seen = runtime::errors::chain(&error);
                failed = Some(error);
                Ok(Err(seen))
            }
        }
    })
    .await;
    match (found, failed) {
        (Ok(dossier), _) => Ok(dossier),
        (Err(_), Some(error)) => Err(error.into()),
        (Err(error), None) => Err(error.into()),
    }
}

/// Lays one thing after the other before the agents.
async fn attempts(
    played: &Played,
    forge: &Forge,
    (teller, older, published): (&Teller, &Dossier, &Published),
) -> Result<(), DemoError> {
    let [canary, prod, ..] = played.stage.sites.as_slice() else {
        return Err(ending("three clusters", "fewer"));
    };
    let attempt = async |site: &Site, what: &str, dossier: &Dossier, reason: Reason| {
        let from = site.agent_log().len();
        forge.put(&site.name, dossier).await?;
        refused(site, from, reason).await?;
        teller.say(&format!("{what}, laid before {}: {reason}", site.name));
        Ok::<(), DemoError>(())
    };
    // The agent has to see the STOP first: what it never saw it can't hold against an older one.
    let seen = format!("{} ", Reason::Stopped);
    heard(
        canary,
        0,
        &[
            format!("Refused({:?})", Reason::Stopped),
            format!("reason={seen}"),
        ],
    )
    .await?;
    teller.say(&format!(
        "{}: its agent is back and reads that it was stopped",
        canary.name
    ));

    let Some(genuine) = forge.dossier(&prod.name).await? else {
        return Err(ending(format!("an assignment of {}", prod.name), "none"));
    };
    let stranger = SigningKey::generate()
        .map_err(crate::stage::forge::ForgeError::from)?
        .0;
    let forged = reissued(&genuine, (&stranger, 1), |a| a.mode = Mode::Enforce)?;
    attempt(
        prod,
        "an assignment signed by a stranger",
        &forged,
        Reason::StatementInvalid,
    )
    .await?;
    attempt(
        prod,
        "a genuine one, but of the canary",
        older,
        Reason::WrongCluster,
    )
    .await?;
    attempt(canary, "a genuine one, but older", older, Reason::EpochOld).await?;

    let tag = published.images.get(&SWAPPED).and_then(|image| image.tag());
    let other = played
        .stage
        .factory
        .swap_image(SWAPPED, tag.unwrap_or_default())
        .await;
    let other = other.map_err(StageError::from)?;
    let stolen = forge.key(Role::Controller)?;
    let forged = reissued(&genuine, (&stolen, 2), |a| {
        a.mode = Mode::Enforce;
        a.images.insert(SWAPPED, other);
    })?;
    let what = "one with another image, signed with the controller's own stolen key";
    attempt(prod, what, &forged, Reason::DigestsDisagree).await
}

/// The agent refuses for this reason: by a report where the assignment is genuine, else by an alarm.
async fn refused(site: &Site, from: usize, reason: Reason) -> Result<(), StageError> {
    heard(
        site,
        from,
        &[format!("Refused({reason:?})"), format!("reason={reason} ")],
    )
    .await
}

/// The agent's log has one of these texts after the first `from` bytes.
async fn heard(site: &Site, from: usize, texts: &[String]) -> Result<(), StageError> {
    let what = format!("{} in the log of {}'s agent", texts.join(" or "), site.name);
    until((&what, 60), async || {
        let log = site.agent_log();
        let said = log.get(from..).unwrap_or_default();
        Ok(if texts.iter().any(|text| said.contains(text)) {
            Ok(())
        } else {
            Err(said.lines().next_back().unwrap_or_default().to_owned())
        })
    })
    .await
}

/// The hub knows from the agent's heartbeat what was laid before it.
async fn told(hub: &Hub, teller: &Teller, name: &str) -> Result<(), DemoError> {
    let alarm = until(("an alarm in the heartbeat", 60), async || {
        let heartbeat = hub.cluster(name).await?.heartbeat.unwrap_or_default();
        Ok(if heartbeat.alarm_reason.is_empty() {
            Err("no alarm".to_owned())
        } else {
            Ok((heartbeat.alarm_reason, heartbeat.alarm_detail))
        })
    })
    .await?;
    teller.catch_up(hub).await?;
    teller.say(&format!(
        "`fluxgate describe clusters/{name}` shows the agent's alarm: {}: {}",
        alarm.0, alarm.1
    ));
    Ok(())
}
