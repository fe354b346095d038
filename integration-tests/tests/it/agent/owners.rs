//! Whoever else owns the install: refused with what was seen, and nothing written. Each row leaves the objects as
//! that tool leaves them, bookkeeping of owners included; afterwards they are put back.

use domain::Reason;
use integration_tests::lab::Lab;
use kube::api::Patch;
use serde_json::{Value, json};

use super::bench::Bench;
use super::changes::{Before, Thing};
use super::checklist::Table;
use super::rows::{Want, play_all};

const RULE: &str = "owner";
const MARKER: &str = "gitrepositories.source.toolkit.fluxcd.io";
const CONTROLLERS: [&str; 4] = [
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
];

/// A tool as it shows on objects.
struct Tool {
    /// Its field manager.
    manager: &'static str,
    /// `Apply` or `Update`.
    operation: &'static str,
    /// Labels and annotations that it leaves.
    metadata: Value,
}

impl Tool {
    /// It has made this object: it owns what `flux` owned, and left its metadata.
    async fn owns(&self, bench: &Bench, thing: &Thing) -> anyhow::Result<Before> {
        let client = &bench.kube;
        let marked = thing.patched(
            client,
            self.manager,
            Patch::Merge(json!({"metadata": self.metadata})),
        );
        let before = marked.await?;
        let rewritten = thing.disowned(client, |entries| {
            for entry in entries.iter_mut().filter(|entry| entry["manager"] == "flux") {
                entry["manager"] = json!(self.manager);
                entry["operation"] = json!(self.operation);
            }
        });
        rewritten.await?;
        Ok(before)
    }

    /// It has made all of the install that says who owns it.
    async fn owns_all(&self, bench: &Bench) -> anyhow::Result<Vec<Before>> {
        let mut before = vec![self.owns(bench, &Thing::crd(MARKER)).await?];
        for name in CONTROLLERS {
            before.push(self.owns(bench, &Thing::deployment(name)).await?);
        }
        Ok(before)
    }
}

/// The agent refuses with all of these texts; then everything is put back.
async fn refused(bench: &Bench, name: &str, texts: &[&str], before: Vec<Before>) -> anyhow::Result<()> {
    let mut table = Table::new(&bench.base);
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    table.row(RULE, name, Want::Refused(Reason::OwnerRefused, texts), |_| {});
    play_all(bench, &table.rows).await?;
    for object in before {
        object.restore(&bench.kube).await?;
    }
    Ok(())
}

fn kustomize() -> Tool {
    Tool {
        manager: "kustomize-controller",
        operation: "Apply",
        metadata: json!({"labels": {
            "kustomize.toolkit.fluxcd.io/name": "flux-system",
            "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
        }}),
    }
}

fn operator() -> Tool {
    Tool {
        manager: "flux-operator",
        operation: "Apply",
        metadata: json!({"labels": {"app.kubernetes.io/managed-by": "flux-operator"}}),
    }
}

fn helm() -> Tool {
    Tool {
        manager: "helm",
        operation: "Update",
        metadata: json!({
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": "flux2",
                "meta.helm.sh/release-namespace": "flux-system",
            },
        }),
    }
}

fn plain(manager: &'static str, operation: &'static str) -> Tool {
    Tool {
        manager,
        operation,
        metadata: json!({}),
    }
}

pub(crate) async fn every_row(lab: Lab) -> anyhow::Result<()> {
    let bench = Bench::start(&lab).await?;
    follows_itself(&bench).await?;
    let before = helm().owns_all(&bench).await?;
    refused(
        &bench,
        "Helm",
        &["owned by Helm release flux-system/flux2"],
        before,
    )
    .await?;
    with_operator(&bench).await?;
    // A Flux that Terraform has bootstrapped looks as one that Git owns; what its provider for Kubernetes has
    // applied does not.
    let before = plain("Terraform", "Apply").owns_all(&bench).await?;
    refused(&bench, "Terraform", &["owned by Terraform"], before).await?;
    let argo = Tool {
        metadata: json!({"annotations": {"argocd.argoproj.io/tracking-id": "flux:apps/Deployment:flux-system/x"}}),
        ..plain("argocd-controller", "Apply")
    };
    let before = argo.owns_all(&bench).await?;
    refused(&bench, "Argo CD", &["owned by Argo CD"], before).await?;
    let before = plain("kubectl-client-side-apply", "Update")
        .owns_all(&bench)
        .await?;
    let texts = ["nobody applied the CRD", "kubectl-client-side-apply"];
    refused(&bench, "client-side kubectl", &texts, before).await?;
    at_once(&bench).await?;

    // Nothing of all that was left behind.
    let mut table = Table::new(&bench.base);
    table.row("control", "flux install", Want::WouldUpgrade, |world| {
        world.assignment.mode = domain::Mode::Observe;
    });
    play_all(&bench, &table.rows).await
}

/// Git and OCI: the Kustomization that applies Flux itself, and what it applies.
async fn follows_itself(bench: &Bench) -> anyhow::Result<()> {
    let client = &bench.kube;
    let before = kustomize().owns_all(bench).await?;
    let owner = "owned by the Kustomization flux-system/flux-system (kustomize-controller)";
    refused(bench, "a Kustomization that is gone", &[owner], before).await?;
    for kind in ["GitRepository", "OCIRepository"] {
        let itself = Thing::of(
            "kustomize.toolkit.fluxcd.io",
            "v1",
            "Kustomization",
            Some("flux-system"),
            "flux-system",
        );
        let spec = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "flux-system", "namespace": "flux-system"},
            "spec": {
                "interval": "10m", "prune": true, "path": "./clusters/bench",
                "sourceRef": {"kind": kind, "name": "flux-system"},
            },
        });
        itself.create(client, &spec).await?;
        let before = kustomize().owns_all(bench).await?;
        let input = format!("which applies {kind} flux-system/flux-system at ./clusters/bench");
        refused(bench, kind, &[owner, &input], before).await?;
        itself.delete(client).await?;
    }
    Ok(())
}

/// flux-operator, by its marks and by its object alone.
async fn with_operator(bench: &Bench) -> anyhow::Result<()> {
    let client = &bench.kube;
    let before = operator().owns_all(bench).await?;
    refused(
        bench,
        "flux-operator's marks",
        &["owned by flux-operator"],
        before,
    )
    .await?;
    let kind = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "fluxinstances.fluxcd.controlplane.io"},
        "spec": {
            "group": "fluxcd.controlplane.io", "scope": "Namespaced",
            "names": {"kind": "FluxInstance", "plural": "fluxinstances"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    });
    let crd = Thing::crd("fluxinstances.fluxcd.controlplane.io");
    crd.create(client, &kind).await?;
    let instance = Thing::of(
        "fluxcd.controlplane.io",
        "v1",
        "FluxInstance",
        Some("flux-system"),
        "flux",
    );
    let object = json!({
        "apiVersion": "fluxcd.controlplane.io/v1", "kind": "FluxInstance",
        "metadata": {"name": "flux", "namespace": "flux-system"},
        "spec": {"distribution": {"version": "2.9.x"}},
    });
    crate::within::eventually("a served FluxInstance", async || {
        instance.create(client, &object).await?;
        Ok(Some(()))
    })
    .await?;
    let texts = ["two owners at once", "flux-operator", "flux-cli"];
    refused(bench, "a FluxInstance beside flux install", &texts, Vec::new()).await?;
    instance.delete(client).await?;
    crd.delete(client).await
}

/// Two at once, in the three ways in which that is seen.
async fn at_once(bench: &Bench) -> anyhow::Result<()> {
    let source = Thing::deployment("source-controller");
    let before = vec![kustomize().owns(bench, &source).await?];
    let texts = [
        "two owners at once: flux-cli",
        "the Kustomization flux-system/flux-system",
    ];
    refused(bench, "Git and flux install", &texts, before).await?;

    let before = vec![
        helm().owns(bench, &Thing::crd(MARKER)).await?,
        operator().owns(bench, &source).await?,
    ];
    let texts = [
        "two owners at once",
        "Helm release flux-system/flux2",
        "flux-operator",
    ];
    refused(bench, "Helm and flux-operator", &texts, before).await?;

    let before = vec![plain("kubectl", "Apply").owns(bench, &source).await?];
    let texts = [
        "two owners at once",
        "applied by flux",
        "source-controller by field manager kubectl",
    ];
    refused(bench, "flux install and server-side kubectl", &texts, before).await
}
