//! One release, told by spans: what hub and agents send to a trace backend of ours while a release becomes an
//! upgraded cluster.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use domain::trace::TraceId;
use domain::{ReleaseKey, RolloutKey};
use integration_tests::lab::Lab;
use integration_tests::lab::sink::{Received, Sink};
use integration_tests::stage::{COMING, Stage};
use libtest_mimic::Trial;
use testkit::factory::Published;

use crate::story::{ONE, completed, enforce, publish, settled};
use crate::trial::trial;
use crate::within::eventually;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "traces::two_linked_traces_with_true_roots",
        two_linked_traces_with_true_roots,
    )]
}

/// The spans of one trace, by span id. A span that was sent twice, because its handler ran twice, is one.
type Spans = BTreeMap<String, Received>;

fn of_trace(all: &[Received], trace: TraceId) -> Spans {
    let own = all
        .iter()
        .filter(|sent| hex(&sent.span.trace_id) == trace.to_string());
    own.map(|sent| (hex(&sent.span.span_id), sent.clone())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn names(spans: &Spans) -> BTreeSet<&str> {
    spans.values().map(|sent| sent.span.name.as_str()).collect()
}

async fn two_linked_traces_with_true_roots(lab: Lab) -> anyhow::Result<()> {
    let sink = Sink::start().await?;
    let mut stage = Stage::build(&lab, &ONE).await?;
    stage.files.trace_to(&sink.endpoint())?;
    for site in &mut stage.sites {
        site.file.traces = Some(sink.endpoint());
    }
    let hub = stage.start_hub().await?;
    stage.start_agents().await?;
    settled(&stage, &hub).await?;
    let published = publish(&stage, &hub).await?;
    enforce(&stage, &hub).await?;
    completed(&hub).await?;
    let (release, rollout) = keys(&published);
    let traces = [release, rollout];
    let wanted = [
        "send fluxgate.v1.policy.{key}.decision",
        "send fluxgate.v1.rollout.{key}.finished",
    ];
    let told = eventually("all spans of both traces", async || {
        let all = sink.spans();
        let told = traces.map(|trace| of_trace(&all, trace));
        let there = |(spans, name): (&Spans, &&str)| names(spans).contains(*name);
        Ok(told.iter().zip(&wanted).all(there).then_some(told))
    })
    .await?;
    for (trace, spans) in traces.iter().zip(&told) {
        one_true_root(*trace, spans)?;
        digests_alone(spans)?;
    }
    let [of_release, of_rollout] = &told;
    ensure!(
        names(of_release).is_superset(&BTreeSet::from([
            "release",
            "verify",
            "decide",
            "send fluxgate.v1.release.{key}.discovered",
            "send fluxgate.v1.verification.{key}.contents",
        ])),
        "{:?}",
        names(of_release)
    );
    ensure!(
        names(of_rollout).is_superset(&BTreeSet::from([
            "rollout",
            "apply",
            "send fluxgate.v1.cluster.{key}.assignment",
            "send fluxgate.v1.cluster.{key}.accepted",
        ])),
        "{:?}",
        names(of_rollout)
    );
    linked(of_rollout, release).context("from the rollout to the release")?;
    linked(of_release, rollout).context("from the release to the rollout")
}

fn keys(published: &Published) -> (TraceId, TraceId) {
    let release = ReleaseKey {
        version: COMING,
        manifests: published.manifests,
    };
    let rollout = RolloutKey {
        version: COMING,
        ordinal: 1,
    };
    (TraceId::of_release(&release), TraceId::of_rollout(&rollout))
}

/// One span has no parent, and its id is derived; the parent of every other one was really sent.
fn one_true_root(trace: TraceId, spans: &Spans) -> anyhow::Result<()> {
    let roots: Vec<&String> = spans
        .iter()
        .filter(|(_, sent)| sent.span.parent_span_id.is_empty())
        .map(|(id, _)| id)
        .collect();
    ensure!(
        roots == [&trace.root_span().to_string()],
        "roots of {trace}: {roots:?}"
    );
    for sent in spans.values().filter(|sent| !sent.span.parent_span_id.is_empty()) {
        let parent = hex(&sent.span.parent_span_id);
        ensure!(
            spans.contains_key(&parent),
            "{} of {} has a parent that nobody sent",
            sent.span.name,
            sent.service
        );
    }
    Ok(())
}

fn linked(spans: &Spans, to: TraceId) -> anyhow::Result<()> {
    let links = spans.values().flat_map(|sent| &sent.span.links);
    let found = links.filter(|link| {
        hex(&link.trace_id) == to.to_string() && hex(&link.span_id) == to.root_span().to_string()
    });
    ensure!(found.count() > 0, "no span has a link to {to}");
    Ok(())
}

/// No value of a span is long, or holds a key, a token or an envelope: digests and names alone.
fn digests_alone(spans: &Spans) -> anyhow::Result<()> {
    for sent in spans.values() {
        for attribute in &sent.span.attributes {
            let text = format!("{:?}", attribute.value);
            let bad = text.len() > 400
                || ["BEGIN ", "PRIVATE", "payload", "Bearer", "\"sig\""]
                    .iter()
                    .any(|part| text.contains(part));
            ensure!(!bad, "{}: {} = {text}", sent.span.name, attribute.key);
        }
    }
    Ok(())
}
