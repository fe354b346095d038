//! The steps of a rollout.

use domain::rollout::{RolloutFinished, RolloutStarted, WaveBaked, WaveOpened};

use super::{Rows, late, refused};
use crate::tests::samples;
use crate::{ModeSetting, rollout};

#[test]
fn modes_and_starts() {
    let mode = rollout::v1::ModeSet::from(&samples::mode());
    let rows: &Rows<rollout::v1::ModeSet> = &[
        ("ModeSet.scope", |m| m.scope = "fleet".to_owned()),
        ("ModeSet.mode", |m| m.mode = 0),
        ("ModeSet.principal", |m| m.principal.clear()),
        ("ModeSet.request_id", |m| m.request_id.clear()),
    ];
    let mut read = refused::<_, ModeSetting>(&mode, rows);

    let started = rollout::v1::RolloutStarted::from(&samples::started());
    let rows: &Rows<rollout::v1::RolloutStarted> = &[
        ("RolloutStarted.rollout", |m| m.rollout.clear()),
        ("RolloutStarted.release", |m| m.release.clear()),
        ("RolloutStarted.strategy", |m| m.strategy.clear()),
        ("RolloutStarted.strategy_digest", |m| m.strategy_digest = None),
        ("RolloutStarted.waves", |m| m.waves.push(m.waves[0].clone())),
        ("WaveSnapshot.wave", |m| m.waves[0].wave.clear()),
        ("WaveSnapshot.policy", |m| m.waves[0].policy.clear()),
        ("WaveSnapshot.clusters", |m| {
            m.waves[0].clusters.push("dev".to_owned())
        }),
        ("WaveSnapshot.clusters", |m| {
            m.waves[0].clusters.push("Dev".to_owned())
        }),
        ("WaveSnapshot.max_concurrency", |m| m.waves[0].max_concurrency = 0),
        ("WaveSnapshot.bake_duration", |m| m.waves[0].bake_duration = None),
        ("WaveSnapshot.bake_duration", |m| {
            m.waves[0].bake_duration.as_mut().unwrap().seconds = -1
        }),
        ("WaveSnapshot.bake_duration", |m| {
            m.waves[0].bake_duration.as_mut().unwrap().nanos = -1
        }),
    ];
    read.push_str(&refused::<_, RolloutStarted>(&started, rows));
    insta::assert_snapshot!("starts", read);
}

#[test]
fn waves_and_ends() {
    let opened = rollout::v1::WaveOpened::from(&samples::opened());
    let rows: &Rows<rollout::v1::WaveOpened> = &[
        ("WaveOpened.rollout", |m| m.rollout = "flux-v2.9.4-0".to_owned()),
        ("WaveOpened.wave", |m| m.wave.clear()),
    ];
    let mut read = refused::<_, WaveOpened>(&opened, rows);

    let baked = rollout::v1::WaveBaked::from(&samples::baked());
    let rows: &Rows<rollout::v1::WaveBaked> = &[
        ("WaveBaked.rollout", |m| m.rollout.clear()),
        ("WaveBaked.wave", |m| m.wave.clear()),
        ("WaveBaked.bake_start_time", |m| m.bake_start_time = None),
        ("WaveBaked.bake_end_time", |m| m.bake_end_time = None),
        ("WaveBaked.heartbeats", |m| {
            m.heartbeats
                .insert("Dev".to_owned(), crate::protobuf::Timestamp::default());
        }),
        ("WaveBaked.heartbeats", |m| {
            m.heartbeats.extend(late().map(|late| ("dev".to_owned(), late)));
        }),
    ];
    read.push_str(&refused::<_, WaveBaked>(&baked, rows));

    let finished = rollout::v1::RolloutFinished::from(&samples::finished());
    let rows: &Rows<rollout::v1::RolloutFinished> = &[
        ("RolloutFinished.rollout", |m| m.rollout.clear()),
        ("RolloutFinished.end", |m| m.end = 0),
    ];
    read.push_str(&refused::<_, RolloutFinished>(&finished, rows));
    insta::assert_snapshot!("waves", read);
}
