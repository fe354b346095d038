//! The demo's scenes end as they should.

use integration_tests::demo::{Scene, Teller, play};
use integration_tests::lab::Lab;
use libtest_mimic::Trial;

use crate::trial::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("demo::good_patch", |lab| scene(lab, Scene::GoodPatch)),
        trial("demo::wrong_signer", |lab| scene(lab, Scene::WrongSigner)),
    ]
}

async fn scene(lab: Lab, scene: Scene) -> anyhow::Result<()> {
    play(scene, &lab, &Teller::new(|_line| ())).await?;
    Ok(())
}
