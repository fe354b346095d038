//! What people change on an install: each change is found and refused with path, expected and found; what the agent's
//! file tolerates is let be, and is there after the upgrade; what an apply keeps by itself is no obstacle at all.

use anyhow::{Context as _, ensure};
use domain::fleet::ReportKind;
use domain::{Health, Mode, Reason};
use integration_tests::lab::Lab;
use kube::api::Patch;
use serde_json::{Value, json};

use super::bench::Bench;
use super::changes::{Before, Thing};
use super::checklist::Table;
use super::rows::{Want, play_all};
use super::world::RUNNING;
use crate::within::within;

const RULE: &str = "customisation";
const MANAGER: &str = "spec.template.spec.containers[name=manager]";

/// A change that somebody made, and how a refusal tells of it.
struct Change {
    name: &'static str,
    before: Before,
    /// Object and path, as an operator would tolerate it.
    path: String,
    /// What the refusal must say, behind the object's name.
    told: String,
}

fn pod(change: &Value) -> Patch<Value> {
    Patch::Strategic(json!({"spec": {"template": change}}))
}

fn container(change: Value) -> Patch<Value> {
    let mut container = change;
    container["name"] = json!("manager");
    pod(&json!({"spec": {"containers": [container]}}))
}

async fn args(bench: &Bench, thing: &Thing) -> anyhow::Result<Vec<Value>> {
    let live = thing.get(&bench.kube).await?;
    let args = live.pointer("/spec/template/spec/containers/0/args");
    Ok(args.and_then(Value::as_array).context("args")?.clone())
}

/// Changes that an upgrade keeps: the manifests say nothing about these fields.
async fn beside(bench: &Bench) -> anyhow::Result<Vec<Change>> {
    let client = &bench.kube;
    let env = json!({"env": [{"name": "HTTPS_PROXY", "value": "http://proxy"}]});
    let thing = Thing::deployment("source-controller");
    let proxy = thing.patched(client, "kubectl-set", container(env)).await?;
    let tolerations = json!({"spec": {"tolerations": [{"key": "ops", "operator": "Exists"}]}});
    let thing = Thing::deployment("helm-controller");
    let toleration = thing.patched(client, "kubectl-patch", pod(&tolerations)).await?;
    let annotation = json!({"metadata": {"annotations": {"example.org/scrape": "no"}}});
    let thing = Thing::deployment("notification-controller");
    let annotated = thing
        .patched(client, "kubectl-annotate", pod(&annotation))
        .await?;
    let volume = json!({"spec": {
        "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "containers": [{"name": "manager", "volumeMounts": [{"name": "ca", "mountPath": "/ca"}]}],
    }});
    let thing = Thing::deployment("kustomize-controller");
    let mounted = thing.patched(client, "kubectl-edit", pod(&volume)).await?;
    let change = |name, before, path: &str, told: &str| Change {
        name,
        before,
        path: path.to_owned(),
        told: told.to_owned(),
    };
    Ok(vec![
        change(
            "extra env",
            proxy,
            &format!("Deployment/source-controller {MANAGER}.env[name=HTTPS_PROXY]"),
            ".value: expected nothing, found \"http://proxy\" (owned by kubectl-set)",
        ),
        change(
            "a toleration",
            toleration,
            "spec.template.spec.tolerations",
            ": expected nothing, found [{\"key\":\"ops\",\"operator\":\"Exists\"}] (owned by kubectl-patch)",
        ),
        change(
            "an annotation on pods",
            annotated,
            "spec.template.metadata.annotations[example.org/scrape]",
            ": expected nothing, found \"no\" (owned by kubectl-annotate)",
        ),
        change(
            "an extra volume",
            mounted,
            "Deployment/kustomize-controller spec.template.spec",
            ".volumes[name=ca].name: expected nothing, found \"ca\" (owned by kubectl-edit)",
        ),
    ])
}

/// Changes of what the manifests say themselves.
async fn against(bench: &Bench) -> anyhow::Result<Vec<Change>> {
    let client = &bench.kube;
    let mut changes = Vec::new();
    let mut add = |name, before, path: &str, told: String| {
        let path = path.to_owned();
        changes.push(Change {
            name,
            before,
            path,
            told,
        });
    };
    let thing = Thing::deployment("source-controller");
    let as_it_was = args(bench, &thing).await?;
    let longer = [as_it_was.clone(), vec![json!("--concurrent=20")]].concat();
    let before = thing
        .patched(client, "kubectl-edit", container(json!({"args": longer})))
        .await?;
    // Of a long list what was removed and added is told.
    let told = ": removed nothing, added \"--concurrent=20\"".to_owned();
    let path = format!("Deployment/source-controller {MANAGER}.args");
    add("extra args", before, &path, told);

    let thing = Thing::deployment("helm-controller");
    let more = json!({"resources": {"limits": {"memory": "2Gi"}}});
    let before = thing.patched(client, "kubectl-set", container(more)).await?;
    let told = ": expected \"1Gi\", found \"2Gi\" (owned by kubectl-set)";
    let path = format!("{MANAGER}.resources.limits.memory");
    add("a memory limit", before, &path, told.to_owned());

    let thing = Thing::deployment("notification-controller");
    let mut swapped = args(bench, &thing).await?;
    let was = swapped[1].clone();
    swapped[1] = json!("--log-level=debug");
    let operations = json!([
        {"op": "replace", "path": "/spec/template/spec/containers/0/args/1", "value": "--log-level=debug"}
    ]);
    let patch = Patch::Json(serde_json::from_value(operations)?);
    let before = thing.patched(client, "kubectl-patch", patch).await?;
    let told = format!(": removed {was}, added {}", swapped[1]);
    let path = format!("Deployment/notification-controller {MANAGER}.args");
    add("a patch by index", before, &path, told);

    let thing = Thing::deployment("kustomize-controller");
    let before = thing.scaled(client, 2).await?;
    let told = ": expected 1, found 2 (owned by kubectl)";
    add("replicas", before, "spec.replicas", told.to_owned());

    let thing = Thing::policy("allow-scraping");
    let open = Patch::Merge(json!({"spec": {"ingress": [{}]}}));
    let before = thing.patched(client, "kubectl-edit", open).await?;
    let told = ": expected [{\"from\":[{\"namespaceSelector\":{}}],\"ports\":[{\"port\":8080,\"protocol\":\"TCP\"}]}], \
                found [{}] (owned by kubectl-edit)";
    let path = "NetworkPolicy/allow-scraping spec.ingress";
    add("a patched NetworkPolicy", before, path, told.to_owned());

    let label = "pod-security.kubernetes.io/warn";
    let patch = Patch::Merge(json!({"metadata": {"labels": {label: "privileged"}}}));
    let before = namespace().patched(client, "kubectl-label", patch).await?;
    let told = ": expected \"restricted\", found \"privileged\" (owned by kubectl-label)";
    let path = format!("metadata.labels[{label}]");
    add("another label of the manifest's", before, &path, told.to_owned());
    Ok(changes)
}

fn namespace() -> Thing {
    Thing::of("", "v1", "Namespace", None, "flux-system")
}

fn account() -> Thing {
    Thing::of(
        "",
        "v1",
        "ServiceAccount",
        Some("flux-system"),
        "kustomize-controller",
    )
}

pub(crate) async fn every_row(lab: Lab) -> anyhow::Result<()> {
    let bench = Bench::start(&lab).await?;
    let client = &bench.kube;
    kept_by_every_apply(&bench).await?;
    let beside = beside(&bench).await?;
    let against = against(&bench).await?;
    bench.at_rest().await?;
    let all: Vec<&Change> = beside.iter().chain(&against).collect();
    each_alone(&bench, &all).await?;

    // Tolerated or not: what the new version would set to another value keeps it from being applied.
    let mut table = Table::new(&bench.base);
    let lost = "is tolerated, but the new version sets it to another value";
    let want = Want::Refused(Reason::Customised, vec![lost.to_owned()]);
    table.row(RULE, "all tolerated", want, |world| {
        world.tolerate = all.iter().map(|change| change.path.clone()).collect();
    });
    play_all(&bench, &table.rows).await?;
    for change in against.into_iter().rev() {
        change.before.restore(client).await?;
    }
    without_bookkeeping(&bench, &beside).await?;
    upgraded_with_all_of_it(&bench, &beside).await
}

/// What an apply keeps, whoever it is by, is nobody's obstacle.
async fn kept_by_every_apply(bench: &Bench) -> anyhow::Result<()> {
    let client = &bench.kube;
    let label = Patch::Merge(json!({"metadata": {"labels": {"team": "platform"}}}));
    namespace().patched(client, "kubectl-label", label).await?;
    let role =
        json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/flux"}}});
    account()
        .patched(client, "kubectl-annotate", Patch::Merge(role))
        .await?;
    let note = Patch::Merge(json!({"metadata": {"annotations": {"example.org/note": "ours"}}}));
    Thing::deployment("helm-controller")
        .patched(client, "kubectl-annotate", note)
        .await?;
    let mut table = Table::new(&bench.base);
    table.row(
        RULE,
        "labels and annotations beside",
        Want::WouldUpgrade,
        |world| {
            world.assignment.mode = Mode::Observe;
        },
    );
    play_all(bench, &table.rows).await
}

/// Each change in turn is the only one that is not tolerated.
async fn each_alone(bench: &Bench, all: &[&Change]) -> anyhow::Result<()> {
    let mut table = Table::new(&bench.base);
    for change in all {
        let (object, path) = match change.path.split_once(' ') {
            Some((object, path)) => (object, path),
            None => ("", change.path.as_str()),
        };
        let text = format!("{path}{}", change.told);
        let texts = [object.to_owned(), text].map(|text| text.chars().take(300).collect());
        table.row(
            RULE,
            change.name,
            Want::Refused(Reason::Customised, texts.into()),
            |world| {
                let others = all.iter().filter(|other| other.name != change.name);
                world.tolerate = others.map(|other| other.path.clone()).collect();
            },
        );
    }
    // Without any of them a refusal tells of all at once.
    let texts = ["HTTPS_PROXY", "spec.replicas", "and "].map(str::to_owned);
    table.row(
        RULE,
        "all",
        Want::Refused(Reason::Customised, texts.into()),
        |_| {},
    );
    ensure!(table.rows.len() == 11, "{} rows", table.rows.len());
    play_all(bench, &table.rows).await
}

/// What leaves no trace of another manager: an object that was removed, and a manifest that was edited before
/// `flux` applied it.
async fn without_bookkeeping(bench: &Bench, tolerated: &[Change]) -> anyhow::Result<()> {
    let client = &bench.kube;
    let alone = async |name: &str, texts: &[&str]| {
        let mut table = Table::new(&bench.base);
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        table.row(RULE, name, Want::Refused(Reason::Customised, texts), |world| {
            world.tolerate = tolerated.iter().map(|change| change.path.clone()).collect();
        });
        play_all(bench, &table.rows).await
    };
    let install = bench.base.install(&RUNNING)?;
    let policy = Thing::policy("allow-webhooks");
    policy.delete(client).await?;
    bench.at_rest().await?;
    let text = "NetworkPolicy/allow-webhooks of the running version is missing";
    alone("a removed object", &[text]).await?;

    bench
        .cluster
        .install(&install.replace("\"--log-level=info\"", "\"--log-level=error\""))
        .await?;
    bench.at_rest().await?;
    let texts = [
        "args[",
        "expected \"--log-level=info\", found \"--log-level=error\"",
    ];
    alone("an edited manifest", &texts).await?;
    bench.cluster.install(&install).await?;
    bench.at_rest().await
}

/// The upgrade is carried out, and nothing of what people have made is lost.
async fn upgraded_with_all_of_it(bench: &Bench, kept: &[Change]) -> anyhow::Result<()> {
    let mut world = bench.base.world()?;
    world.tolerate = kept.iter().map(|change| change.path.clone()).collect();
    bench.assign(&world).await?;
    bench.ear.forget();
    let agent = bench.agent(&world, &bench.memory())?;
    let ended = within(40, "the end of the upgrade", async || {
        let last = bench.ear.reports()?.pop();
        let ended = |kind: &ReportKind| matches!(kind, ReportKind::Finished(_) | ReportKind::Refused(_));
        Ok(last.filter(|report| ended(&report.kind)))
    })
    .await;
    let log = agent.stop().await?;
    let last = ended.with_context(|| format!("the agent's log:\n{log}"))?;
    ensure!(last.kind == ReportKind::Finished(Health::Healthy), "{last:?}");
    bench.runs(&world).await?;

    let client = &bench.kube;
    let there = async |thing: Thing, pointer: &str, wanted: Value| {
        let live = thing.get(client).await?;
        let found = live.pointer(pointer).cloned().unwrap_or_default();
        let holds = match (&found, &wanted) {
            (Value::Array(items), Value::Object(_)) => items.contains(&wanted),
            _ => found == wanted,
        };
        ensure!(holds, "{pointer} was {wanted} and is {found}");
        Ok(())
    };
    let pods = "/spec/template/spec";
    let proxy = json!({"name": "HTTPS_PROXY", "value": "http://proxy"});
    let deployment = Thing::deployment;
    there(
        deployment("source-controller"),
        &format!("{pods}/containers/0/env"),
        proxy,
    )
    .await?;
    let toleration = json!([{"key": "ops", "operator": "Exists"}]);
    there(
        deployment("helm-controller"),
        &format!("{pods}/tolerations"),
        toleration,
    )
    .await?;
    let scrape = "/spec/template/metadata/annotations/example.org~1scrape";
    there(deployment("notification-controller"), scrape, json!("no")).await?;
    let mount = json!({"name": "ca", "mountPath": "/ca"});
    let mounts = format!("{pods}/containers/0/volumeMounts");
    there(deployment("kustomize-controller"), &mounts, mount).await?;
    let note = "/metadata/annotations/example.org~1note";
    there(deployment("helm-controller"), note, json!("ours")).await?;
    there(namespace(), "/metadata/labels/team", json!("platform")).await?;
    let role = "/metadata/annotations/eks.amazonaws.com~1role-arn";
    there(account(), role, json!("arn:aws:iam::1:role/flux")).await
}
