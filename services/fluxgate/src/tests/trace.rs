//! `trace`: the waterfall of a release and its rollout, from whatever end it is asked for.

use domain::trace::TraceId;
use domain::{Digest, ReleaseKey, RolloutKey};
use insta::assert_snapshot;
use wire::audit::v1::Entry;

use super::fake::Hub;
use super::{run, transcript};

fn release() -> ReleaseKey {
    ReleaseKey {
        version: "v2.9.4".parse().unwrap(),
        manifests: Digest::of(b"v2.9.4"),
    }
}

fn rollout() -> RolloutKey {
    "flux-v2.9.4-1".parse().unwrap()
}

/// Seconds after 09:00:00.
fn time(seconds: f64) -> Option<wire::protobuf::Timestamp> {
    let start: jiff::Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
    let time = start + jiff::SignedDuration::from_secs_f64(seconds);
    Some(wire::time::timestamp(time))
}

/// A statement of the release's trace; of the rollout's, where a rollout is named.
fn entry((area, step, kind): (&str, &str, &str), author: &str, (made, stored): (f64, f64)) -> Entry {
    let trace = TraceId::of_release(&release());
    Entry {
        subject: format!("fluxgate.v1.{area}.w-0123456789ab.{step}.1"),
        kind: kind.to_owned(),
        author: author.to_owned(),
        make_time: time(made),
        store_time: time(stored),
        trace_id: trace.to_string(),
        span_id: trace.root_span().to_string(),
        release: release().to_string(),
        summary: format!("{kind} {step}"),
        ..Entry::default()
    }
}

fn of_rollout(entry: Entry, cluster: &str) -> Entry {
    let trace = TraceId::of_rollout(&rollout());
    Entry {
        trace_id: trace.to_string(),
        span_id: trace.root_span().to_string(),
        rollout: if cluster.is_empty() {
            rollout().to_string()
        } else {
            String::new()
        },
        release: String::new(),
        cluster: cluster.to_owned(),
        ..entry
    }
}

fn entries() -> Vec<Entry> {
    let (watcher, verifier, policy) = ("release-watcher", "signature-verifier", "policy-engine");
    let (controller, agent) = ("rollout-controller", "cluster-agent");
    let started = of_rollout(
        entry(
            ("rollout", "started", "rollout-started"),
            controller,
            (4.0, 4.004),
        ),
        "",
    );
    let assignment = of_rollout(
        entry(("cluster", "assignment", "assignment"), controller, (4.02, 4.03)),
        "canary",
    );
    let within = |entry: Entry| Entry {
        span_id: "00f067aa0ba902b7".to_owned(),
        ..entry
    };
    let mut all = vec![
        entry(
            ("release", "discovered", "release-discovered"),
            watcher,
            (0.0, 0.003),
        ),
        entry(
            ("verification", "contents", "release-contents"),
            verifier,
            (1.2, 1.21),
        ),
        within(entry(
            ("verification", "source-controller-signature", "evidence"),
            verifier,
            (1.9, 1.92),
        )),
        within(entry(
            ("verification", "flux-manifests-signature", "evidence"),
            verifier,
            (2.0, 2.05),
        )),
        entry(("verification", "summary", "role-summary"), verifier, (2.1, 2.11)),
        // A clock that is ahead: made when it was stored.
        entry(("policy", "decision", "decision"), policy, (9.0, 3.0)),
        Entry {
            release: release().to_string(),
            ..started
        },
        of_rollout(
            entry(
                ("rollout", "opened-canary", "wave-opened"),
                controller,
                (4.01, 4.012),
            ),
            "",
        ),
        Entry {
            release: release().to_string(),
            rollout: rollout().to_string(),
            ..assignment
        },
        of_rollout(
            entry(("cluster", "accepted", "report"), agent, (6.0, 6.01)),
            "canary",
        ),
        of_rollout(
            entry(("cluster", "result", "report"), agent, (3_700.0, 3_700.2)),
            "canary",
        ),
        of_rollout(
            entry(
                ("rollout", "finished", "rollout-finished"),
                controller,
                (7_200.0, 7_200.01),
            ),
            "",
        ),
    ];
    for (index, entry) in (0..).zip(&mut all) {
        (entry.index, entry.sequence) = (index, index + 1);
    }
    all
}

fn hub() -> Hub {
    Hub {
        entries: entries(),
        ..Hub::full()
    }
}

#[tokio::test]
async fn a_release_with_its_rollout() {
    let commands = ["trace releases/v2.9.4", "trace releases/v2.9.4 --ascii"];
    assert_snapshot!(transcript(hub(), &commands).await);
}

#[tokio::test]
async fn as_json() {
    assert_snapshot!(transcript(hub(), &["trace rollouts/flux-v2.9.4-1 -o json"]).await);
}

#[tokio::test]
async fn either_id_and_every_name_lead_to_both_traces() {
    let server = hub().start().await;
    let whole = run(&server, "trace releases/v2.9.4").await.stdout;
    assert!(
        whole.contains("release flux/v2.9.4@sha256:") && whole.contains("rollout flux-v2.9.4-1"),
        "{whole}"
    );
    let (of_release, of_rollout) = (TraceId::of_release(&release()), TraceId::of_rollout(&rollout()));
    let names = [
        of_release.to_string(),
        of_rollout.to_string().to_uppercase(),
        "rollouts/flux-v2.9.4-1".to_owned(),
        "clusters/canary".to_owned(),
        format!("releases/{}", release()),
    ];
    for name in names {
        let ran = run(&server, &format!("trace {name}")).await;
        assert_eq!(
            (ran.exit, ran.stdout.as_str()),
            (0, whole.as_str()),
            "{name}: {}",
            ran.stderr
        );
    }
}

#[tokio::test]
async fn what_has_no_trace_is_missing() {
    let commands = [
        "trace 00000000000000000000000000000000",
        "trace releases/v9.9.9",
        "trace rollouts/flux-v9.9.9-1",
        "trace rollouts/x",
        "trace clusters/nobody",
        "trace decisions/0123456789abcdef",
    ];
    assert_snapshot!(transcript(hub(), &commands).await);
}

#[test]
fn a_picture_fits_into_its_width() {
    let id = TraceId::of_release(&release());
    let trace = crate::waterfall::Trace::new(
        "t".to_owned(),
        &id.to_string(),
        Some(id.root_span()),
        &entries()[..6],
    );
    for width in [40, 80, 100, 200] {
        let text = crate::waterfall::draw(std::slice::from_ref(&trace), width, false);
        let longest = text
            .lines()
            .skip(3)
            .map(|line| line.chars().count())
            .max()
            .unwrap();
        // Labels and times are never left out: below that the bars keep their twelve letters.
        assert!(longest <= width.max(84), "{width}: {longest}\n{text}");
        assert!(width < 84 || longest + 2 >= width, "{width}: {longest}\n{text}");
    }
}
