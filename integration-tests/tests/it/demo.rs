//! The demo's scenes end as they should.

use integration_tests::demo::{Scene, Teller, play};
use integration_tests::lab::Lab;
use libtest_mimic::Trial;

use crate::trial::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("demo::good_patch", |lab| scene(lab, Scene::GoodPatch)),
        trial("demo::wrong_signer", |lab| scene(lab, Scene::WrongSigner)),
        trial("demo::forged_assignment", |lab| {
            scene(lab, Scene::ForgedAssignment)
        }),
        trial("demo::sick_canary", |lab| scene(lab, Scene::SickCanary)),
    ]
}

async fn scene(lab: Lab, scene: Scene) -> anyhow::Result<()> {
    let place = lab.folder().to_owned();
    play(scene, &lab, &Teller::new(|_line| ()), &place).await?;
    Ok(())
}
