use serde_json::json;

use super::*;

fn applied(managers: &[&str]) -> Marks {
    Marks {
        apply_managers: managers.iter().map(|m| (*m).to_owned()).collect(),
        ..Marks::default()
    }
}

fn labelled(mut marks: Marks, labels: &[(&str, &str)]) -> Marks {
    marks
        .labels
        .extend(labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    marks
}

fn seen(crd: Marks, deployment: Marks) -> Seen {
    Seen {
        crd: Some(crd),
        deployments: [("source-controller".to_owned(), deployment)].into(),
        ..Seen::default()
    }
}

fn other(seen: &Seen) -> String {
    match installer(seen) {
        Installer::Other(text) => text,
        Installer::FluxCli | Installer::Kubectl | Installer::Fluxgate => panic!("{:?}", installer(seen)),
    }
}

#[test]
fn a_person_s_command_may_be_followed() {
    for (manager, expected) in [
        ("flux", Installer::FluxCli),
        ("kubectl", Installer::Kubectl),
        ("fluxgate", Installer::Fluxgate),
    ] {
        assert_eq!(
            installer(&seen(applied(&[manager]), applied(&[manager]))),
            expected
        );
    }
}

#[test]
fn a_person_s_change_does_not_change_the_installer() {
    let mut customised = applied(&["flux", "platform-team"]);
    customised.update_managers.insert("kubectl-edit".to_owned());
    assert_eq!(
        installer(&seen(applied(&["flux"]), customised)),
        Installer::FluxCli
    );
}

#[test]
fn flux_operator_is_named() {
    let marks = || labelled(applied(&["flux-operator"]), &[(MANAGED_BY, "flux-operator")]);
    assert_eq!(other(&seen(marks(), marks())), "owned by flux-operator");
    let mut instance = seen(applied(&["flux"]), applied(&["flux"]));
    instance.flux_instance = true;
    assert_eq!(
        other(&instance),
        "two owners at once: flux-cli (field manager of the CRD gitrepositories.source.toolkit.fluxcd.io) and flux-operator"
    );
}

#[test]
fn helm_is_named_with_its_release() {
    let mut marks = labelled(Marks::default(), &[(MANAGED_BY, "Helm")]);
    marks
        .annotations
        .insert(HELM_RELEASE.to_owned(), "flux2".to_owned());
    marks
        .annotations
        .insert(HELM_NAMESPACE.to_owned(), "flux-system".to_owned());
    marks.update_managers.insert("helm".to_owned());
    assert_eq!(
        other(&seen(marks.clone(), marks)),
        "owned by Helm release flux-system/flux2"
    );
}

#[test]
fn a_self_managed_install_is_named_with_its_kustomization() {
    let labels = [
        (KUSTOMIZATION_NAME, "flux-system"),
        (KUSTOMIZATION_NAMESPACE, "flux-system"),
    ];
    let marks = || labelled(applied(&["kustomize-controller"]), &labels);
    let expected = "owned by the Kustomization flux-system/flux-system (kustomize-controller)";
    assert_eq!(other(&seen(marks(), marks())), expected);
    let text = other(&seen(applied(&["flux"]), marks()));
    assert!(text.starts_with("two owners at once: flux-cli"), "{text}");
}

#[test]
fn what_a_kustomization_applies_is_named() {
    let labels = [(KUSTOMIZATION_NAME, "flux"), (KUSTOMIZATION_NAMESPACE, "ops")];
    let marks = || labelled(applied(&["kustomize-controller"]), &labels);
    let mut seen = seen(marks(), marks());
    let key = ("ops".to_owned(), "flux".to_owned());
    assert_eq!(kustomizations(&seen), [key.clone()].into());
    let input = Input::read(&json!({
        "metadata": {"namespace": "ops"},
        "spec": {"path": "./prod", "sourceRef": {"kind": "OCIRepository", "name": "flux"}},
    }));
    seen.inputs.insert(key, input.unwrap());
    assert_eq!(
        other(&seen),
        "owned by the Kustomization ops/flux (kustomize-controller), which applies OCIRepository ops/flux at ./prod"
    );
    assert_eq!(Input::read(&json!({"spec": {}})), None);
}

#[test]
fn two_at_once_and_strangers_are_refused_with_what_was_seen() {
    let text = other(&seen(applied(&["flux", "kubectl"]), applied(&["flux"])));
    assert!(
        text.ends_with("was applied by field manager flux and kubectl"),
        "{text}"
    );
    let text = other(&seen(applied(&["flux"]), applied(&["kubectl"])));
    assert!(
        text.ends_with("was applied by flux, Deployment source-controller by field manager kubectl"),
        "{text}"
    );
    let text = other(&seen(applied(&["flux"]), applied(&[])));
    assert!(
        text.ends_with("Deployment source-controller by no field manager"),
        "{text}"
    );
    let text = other(&seen(applied(&["pulumi"]), applied(&["pulumi"])));
    assert!(text.ends_with("was applied by field manager pulumi"), "{text}");
    let mut client_side = Marks::default();
    client_side
        .update_managers
        .insert("kubectl-client-side-apply".to_owned());
    let text = other(&seen(client_side.clone(), client_side));
    assert!(
        text.ends_with("it was updated by field manager kubectl-client-side-apply"),
        "{text}"
    );
    assert!(other(&Seen::default()).starts_with("no Flux is installed"));
}

#[test]
fn reads_the_metadata_of_live_objects_without_subresources() {
    let marks = Marks::read(&json!({"metadata": {
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "managedFields": [
            {"manager": "flux", "operation": "Apply"},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status"},
            {"manager": "kubectl-edit", "operation": "Update"},
        ],
    }}));
    assert_eq!(marks.labels["a"], "b");
    assert_eq!(marks.annotations["c"], "d");
    assert_eq!(marks.apply_managers, ["flux".to_owned()].into());
    assert_eq!(marks.update_managers, ["kubectl-edit".to_owned()].into());
    assert_eq!(Marks::read(&json!({})), Marks::default());
}
