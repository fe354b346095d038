//! Protocol section 5, "What the agent checks": a row for each way in which each line can be broken. Every row is
//! the honest assignment with one thing changed; at the end the honest one is carried out.

mod statements;

use std::collections::BTreeSet;

use anyhow::ensure;
use domain::fleet::ReportKind;
use domain::{Action, Component, Digest, Health, ImageRef, Mode, Reason, Version};
use integration_tests::lab::Lab;
use kube::api::Patch;
use serde_json::json;

use super::bench::Bench;
use super::changes::Thing;
use super::rows::{Row, Want, all_held, played};
use super::world::{Base, CLUSTER, World, contents};
use crate::within::within;

const SOURCE: Component = Component::SourceController;

/// Rows over one base.
pub(super) struct Table<'a> {
    base: &'a Base,
    pub(super) rows: Vec<Row>,
}

impl<'a> Table<'a> {
    pub(super) const fn new(base: &'a Base) -> Self {
        Self {
            base,
            rows: Vec::new(),
        }
    }

    /// A row: the honest world with one change.
    pub(super) fn row(
        &mut self,
        rule: &'static str,
        name: &str,
        want: Want,
        change: impl FnOnce(&mut World),
    ) -> &mut Row {
        let mut world = self.base.world().expect("an honest world");
        change(&mut world);
        self.rows.push(Row {
            rule,
            name: name.to_owned(),
            want,
            world,
            memory: None,
            raw: None,
        });
        self.rows.last_mut().expect("a row")
    }
}

fn refused(reason: Reason) -> Want {
    Want::Refused(reason, Vec::new())
}

fn refused_with(reason: Reason, texts: &[&str]) -> Want {
    Want::Refused(reason, texts.iter().map(|text| (*text).to_owned()).collect())
}

pub(crate) async fn every_row(lab: Lab) -> anyhow::Result<()> {
    let bench = Bench::start(&lab).await?;
    let mut table = Table::new(&bench.base);
    statements::rows(&mut table);
    bytes(&mut table, &bench).await?;
    baseline(&mut table);
    let mut failed = played(&bench, &table.rows).await?;
    failed.extend(on_changed_clusters(&bench).await?);
    let rows = table.rows.len() + 4;
    ensure!(rows > 60, "{rows} rows");
    all_held(rows, &failed)?;
    honest(&bench).await
}

async fn bytes(table: &mut Table<'_>, bench: &Bench) -> anyhow::Result<()> {
    const RULE: &str = "SHA-256 of the manifests bytes; every image maps to exactly one verified digest";
    let other = super::world::layer("another document")?;
    bench.put_blob(&other).await?;
    table.row(
        RULE,
        "another document in the layer",
        refused(Reason::ManifestsMismatch),
        |world| {
            world.contents.layer = Digest::of(&other);
            world.assignment.layer = world.contents.layer;
        },
    );
    table.row(
        RULE,
        "the document is not the verified one",
        refused(Reason::ManifestsMismatch),
        |world| {
            world.contents.document = Digest::of(b"another document");
        },
    );
    table.row(
        RULE,
        "nobody has the bytes",
        Want::Waits("nobody has sha256:"),
        |world| {
            world.contents.layer = Digest::of(b"bytes that nobody has");
            world.assignment.layer = world.contents.layer;
        },
    );
    let unmapped = refused_with(Reason::ImageUnmapped, &["source-controller"]);
    table.row(RULE, "an image of another tag was verified", unmapped, |world| {
        let other: ImageRef = "ghcr.io/fluxcd/source-controller:v1.0.0"
            .parse()
            .expect("an image");
        let index = world.contents.images[&SOURCE].index;
        let image = domain::ImageContents {
            image: other.pinned(index),
            ..world.contents.images[&SOURCE].clone()
        };
        world.contents.images.insert(SOURCE, image);
    });
    Ok(())
}

/// The baseline that the statements are about is this one.
fn rebased(world: &mut World) {
    world.assignment.baseline = world.baseline.key();
    world.decision.baseline = world.baseline.key();
}

fn baseline(table: &mut Table<'_>) {
    const RULE: &str = "baseline equals what is live, every live image id in BaselineContents";
    let unknown = refused_with(Reason::BaselineImageUnknown, &["source-controller"]);
    table.row(RULE, "a node reports another image", unknown, |world| {
        let other: ImageRef = "ghcr.io/fluxcd/source-controller:v1.0.0"
            .parse()
            .expect("an image");
        world.baseline.images.insert(SOURCE, contents(&other));
        rebased(world);
    });
    let moved = |text| refused_with(Reason::BaselineMoved, &[text]);
    table.row(
        RULE,
        "a component runs that the baseline lacks",
        moved("source-controller"),
        |world| {
            world.baseline.images.remove(&SOURCE);
            rebased(world);
        },
    );
    table.row(
        RULE,
        "the baseline has one that does not run",
        moved("components"),
        |world| {
            let other = Component::ImageReflectorController;
            world
                .baseline
                .images
                .insert(other, world.contents.images[&other].clone());
            rebased(world);
        },
    );
    table.row(RULE, "a CRD has other versions", moved("CRD"), |world| {
        let crd = world.baseline.crds.values_mut().next().expect("a CRD");
        crd.versions = BTreeSet::from(["v9".to_owned()]);
        rebased(world);
    });
    let absent = refused_with(Reason::ComponentUnknown, &["helm-controller"]);
    table.row(
        "component set",
        "a component that the release lacks",
        absent,
        |world| {
            world.contents.images.remove(&Component::HelmController);
            world.assignment.images.remove(&Component::HelmController);
        },
    );
    const BELOW: &str = "target not below baseline";
    let below = refused_with(Reason::TargetBelowBaseline, &["v2.9.5"]);
    table.row(BELOW, "something newer runs", below, |world| {
        world.baseline.version = Some(Version::new(2, 9, 5));
    });
    table.row(
        BELOW,
        "what runs is unknown",
        refused(Reason::BaselineVersionUnknown),
        |world| {
            world.baseline.version = None;
        },
    );
    let stopped = refused_with(Reason::Stopped, &["freeze fleet"]);
    table.row("no active stop", "a stop is active", stopped, |world| {
        world.assignment.stops = vec!["freeze fleet".to_owned()];
    });
    table.row(
        "no active stop",
        "the action is STOP",
        refused(Reason::Stopped),
        |world| {
            world.assignment.action = Action::Stop;
        },
    );
}

/// Owner, customisation, hop: what stands against the step is in the cluster, and gone again afterwards.
async fn on_changed_clusters(bench: &Bench) -> anyhow::Result<Vec<String>> {
    let client = &bench.kube;
    let mut failed = Vec::new();
    let mut alone = async |rule, name: &str, want| -> anyhow::Result<()> {
        let mut table = Table::new(&bench.base);
        table.row(rule, name, want, |_| {});
        failed.extend(played(bench, &table.rows).await?);
        Ok(())
    };
    let crd = Thing::crd("gitrepositories.source.toolkit.fluxcd.io");
    let label = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}});
    let before = crd.patched(client, "helm", Patch::Merge(label)).await?;
    alone("owner", "Helm", refused_with(Reason::OwnerRefused, &["Helm"])).await?;
    before.restore(client).await?;

    let policy = Thing::policy("allow-scraping");
    let open = json!({"spec": {"ingress": [{}]}});
    let before = policy.patched(client, "kubectl-edit", Patch::Merge(open)).await?;
    let texts = [
        "NetworkPolicy/allow-scraping spec.ingress: expected [",
        "found [{}] (owned by kubectl-edit)",
    ];
    alone(
        "customisation",
        "an open policy",
        refused_with(Reason::Customised, &texts),
    )
    .await?;
    before.restore(client).await?;

    let buckets = Thing::crd("buckets.source.toolkit.fluxcd.io");
    buckets.stored_too(client, &["v1beta2", "v1"]).await?;
    let texts = ["buckets.source.toolkit.fluxcd.io", "v1beta2"];
    alone(
        "hop",
        "a stored version that the target lacks",
        refused_with(Reason::HopIllegal, &texts),
    )
    .await?;
    buckets.stored_too(client, &["v1"]).await?;

    // What was changed and put back is no obstacle any more.
    let mut table = Table::new(&bench.base);
    table.row(
        "control",
        "everything is as it was",
        Want::WouldUpgrade,
        |world| {
            world.assignment.mode = Mode::Observe;
        },
    );
    failed.extend(played(bench, &table.rows).await?);
    Ok(failed)
}

/// The same assignment with nothing changed is carried out.
async fn honest(bench: &Bench) -> anyhow::Result<()> {
    let world = bench.base.world()?;
    bench.assign(&world).await?;
    bench.ear.forget();
    let agent = bench.agent(&world, &bench.memory())?;
    let done = ReportKind::Finished(Health::Healthy);
    let healthy = within(40, "a healthy cluster", async || {
        let reports = bench.ear.reports()?;
        Ok(reports
            .iter()
            .any(|report| report.kind == done)
            .then_some(reports))
    })
    .await;
    let log = agent.stop().await?;
    let reports = healthy.map_err(|error| error.context(format!("{CLUSTER}'s agent:\n{log}")))?;
    let kinds: Vec<_> = reports.into_iter().map(|report| report.kind).collect();
    assert_eq!(kinds, [ReportKind::Accepted, ReportKind::Applied, done]);
    bench.runs(&world).await
}
