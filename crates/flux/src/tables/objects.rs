//! Whose each object of an install manifest is.
//!
//! The lists hold for every release from 2.0.0 to 2.9.4. Names outside the namespace end in `-flux-system`,
//! because the signed artifact is generated for that namespace alone.

use domain::Component;

/// Whom an object of the manifest belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The install as a whole: there whatever the components are, and equal for every set of them.
    Install,
    /// One component.
    Component(Component),
}

/// Kind and name of what belongs to the install as a whole. The ClusterRoleBinding `crd-controller` names
/// all seven ServiceAccounts whatever the components are, and `allow-webhooks` is there without
/// notification-controller too.
const INSTALL: [(&str, &str); 10] = [
    ("Namespace", "flux-system"),
    ("NetworkPolicy", "allow-egress"),
    ("NetworkPolicy", "allow-scraping"),
    ("NetworkPolicy", "allow-webhooks"),
    ("ResourceQuota", "critical-pods-flux-system"),
    ("ClusterRole", "crd-controller-flux-system"),
    ("ClusterRole", "flux-edit-flux-system"),
    ("ClusterRole", "flux-view-flux-system"),
    ("ClusterRoleBinding", "cluster-reconciler-flux-system"),
    ("ClusterRoleBinding", "crd-controller-flux-system"),
];

/// Services by name.
const SERVICES: [(&str, Component); 4] = [
    ("source-controller", Component::SourceController),
    ("notification-controller", Component::NotificationController),
    ("webhook-receiver", Component::NotificationController),
    ("source-watcher", Component::SourceWatcher),
];

/// Whom an object belongs to; `None` for an object that no known release has.
#[must_use]
pub fn owner(kind: &str, name: &str) -> Option<Owner> {
    if INSTALL.contains(&(kind, name)) {
        return Some(Owner::Install);
    }
    let component = match kind {
        "ServiceAccount" | "Deployment" => name.parse().ok(),
        "Service" => SERVICES
            .iter()
            .find(|(service, _)| *service == name)
            .map(|(_, component)| *component),
        "CustomResourceDefinition" => super::crd_owner(name),
        _ => None,
    };
    component.map(Owner::Component)
}
