//! Under Observe nothing is written, whatever is allowed.

use integration_tests::lab::Lab;
use integration_tests::stage::TWO;
use wire::common::v1::Outcome;

use crate::story::{decided, look, nothing_changed, publish, set, would_upgrade};

pub(crate) async fn mode_observe(lab: Lab) -> anyhow::Result<()> {
    let (stage, hub) = set(&lab, &TWO).await?;
    let before = look(&stage).await?;
    publish(&stage, &hub).await?;
    decided(&hub, Outcome::Allow).await?;
    for site in &stage.sites {
        would_upgrade(&hub, &site.name).await?;
    }
    nothing_changed(&stage, &before).await
}
