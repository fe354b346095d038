//! `fleet_events.proto` but for assignments: members, facts, health, heartbeats and reports.

use domain::fleet::{ComponentFacts, Report, ReportKind, Symptom};
use domain::{
    ClusterFacts, ClusterMember, Component, Digest, Epoch, Health, Installer, Reason,
    fleet::{Alarm, HealthReport, Heartbeat},
};

use super::{field, time};
use crate::WireError;
use crate::common::v1 as common;
use crate::fleet::v1;

impl From<&ClusterMember> for v1::ClusterMember {
    fn from(member: &ClusterMember) -> Self {
        Self {
            cluster: member.cluster.to_string(),
            labels: member.labels.clone(),
            agent_key: member.agent_key.clone(),
            max_mode: common::Mode::from(member.max_mode).into(),
            image_registry: member.image_registry.clone(),
            removed: member.removed,
        }
    }
}

impl TryFrom<v1::ClusterMember> for ClusterMember {
    type Error = WireError;

    fn try_from(message: v1::ClusterMember) -> Result<Self, WireError> {
        Ok(Self {
            cluster: field::parsed("ClusterMember.cluster", &message.cluster)?,
            labels: message.labels,
            agent_key: field::text("ClusterMember.agent_key", message.agent_key)?,
            max_mode: field::choice::<common::Mode, _>("ClusterMember.max_mode", message.max_mode)?,
            image_registry: message.image_registry,
            removed: message.removed,
        })
    }
}

impl From<&ClusterFacts> for v1::ClusterFacts {
    fn from(facts: &ClusterFacts) -> Self {
        Self {
            cluster: facts.cluster.to_string(),
            observe_time: Some(time::timestamp(facts.observed)),
            kubernetes: facts.kubernetes.clone(),
            installer: facts.installer.to_string(),
            components: facts.components.iter().map(Into::into).collect(),
            crds: facts.crds.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::ClusterFacts> for ClusterFacts {
    type Error = WireError;

    fn try_from(message: v1::ClusterFacts) -> Result<Self, WireError> {
        let components = message.components.into_iter().map(TryInto::try_into);
        Ok(Self {
            cluster: field::parsed("ClusterFacts.cluster", &message.cluster)?,
            observed: time::read("ClusterFacts.observe_time", message.observe_time)?,
            kubernetes: field::text("ClusterFacts.kubernetes", message.kubernetes)?,
            installer: installer(field::text("ClusterFacts.installer", message.installer)?),
            components: field::keyed("ClusterFacts.components", components)?,
            crds: field::keyed(
                "ClusterFacts.crds",
                message.crds.into_iter().map(TryInto::try_into),
            )?,
        })
    }
}

/// Whatever is none of the three is an owner: a text that was meant otherwise keeps fluxgate from writing.
fn installer(text: String) -> Installer {
    [Installer::FluxCli, Installer::Kubectl, Installer::Fluxgate]
        .into_iter()
        .find(|known| known.to_string() == text)
        .unwrap_or(Installer::Other(text))
}

impl From<(&Component, &ComponentFacts)> for v1::ComponentFacts {
    fn from((component, facts): (&Component, &ComponentFacts)) -> Self {
        Self {
            component: component.to_string(),
            image: facts.image.to_string(),
            image_ids: facts.image_ids.iter().copied().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::ComponentFacts> for (Component, ComponentFacts) {
    type Error = WireError;

    fn try_from(message: v1::ComponentFacts) -> Result<Self, WireError> {
        let field = "ComponentFacts.image_ids";
        let image_ids = message
            .image_ids
            .iter()
            .map(|id| -> Result<Digest, _> { field::one_digest(field, id) });
        let facts = ComponentFacts {
            image: field::parsed("ComponentFacts.image", &message.image)?,
            image_ids: field::distinct(field, image_ids)?,
        };
        Ok((
            field::parsed("ComponentFacts.component", &message.component)?,
            facts,
        ))
    }
}

impl From<&HealthReport> for v1::HealthReport {
    fn from(report: &HealthReport) -> Self {
        Self {
            cluster: report.cluster.to_string(),
            observe_time: Some(time::timestamp(report.observed)),
            epoch: report.epoch.0,
            health: common::Health::from(report.health).into(),
            symptoms: report.symptoms.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::HealthReport> for HealthReport {
    type Error = WireError;

    fn try_from(message: v1::HealthReport) -> Result<Self, WireError> {
        Ok(Self {
            cluster: field::parsed("HealthReport.cluster", &message.cluster)?,
            observed: time::read("HealthReport.observe_time", message.observe_time)?,
            epoch: Epoch(message.epoch),
            health: field::choice::<common::Health, _>("HealthReport.health", message.health)?,
            symptoms: field::list(message.symptoms)?,
        })
    }
}

impl From<&Symptom> for v1::Symptom {
    fn from(symptom: &Symptom) -> Self {
        Self {
            reason: symptom.reason.to_string(),
            object: symptom.object.clone(),
            detail: symptom.detail.clone(),
        }
    }
}

impl TryFrom<v1::Symptom> for Symptom {
    type Error = WireError;

    fn try_from(message: v1::Symptom) -> Result<Self, WireError> {
        Ok(Self {
            reason: field::parsed("Symptom.reason", &message.reason)?,
            object: message.object,
            detail: message.detail,
        })
    }
}

impl From<&Heartbeat> for v1::Heartbeat {
    fn from(heartbeat: &Heartbeat) -> Self {
        Self {
            cluster: heartbeat.cluster.to_string(),
            send_time: Some(time::timestamp(heartbeat.sent)),
            epoch: heartbeat.epoch.0,
            health: common::Health::from(heartbeat.health).into(),
            observations: heartbeat.observations,
            reconciles: heartbeat.reconciles,
            alarm_reason: heartbeat
                .alarm
                .as_ref()
                .map(|alarm| alarm.reason.to_string())
                .unwrap_or_default(),
            alarm_detail: heartbeat
                .alarm
                .as_ref()
                .map(|alarm| alarm.detail.clone())
                .unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::Heartbeat> for Heartbeat {
    type Error = WireError;

    fn try_from(message: v1::Heartbeat) -> Result<Self, WireError> {
        Ok(Self {
            cluster: field::parsed("Heartbeat.cluster", &message.cluster)?,
            sent: time::read("Heartbeat.send_time", message.send_time)?,
            epoch: Epoch(message.epoch),
            health: field::choice::<common::Health, _>("Heartbeat.health", message.health)?,
            observations: message.observations,
            reconciles: message.reconciles,
            alarm: match message.alarm_reason.as_str() {
                "" => None,
                reason => Some(Alarm {
                    reason: field::parsed("Heartbeat.alarm_reason", reason)?,
                    detail: message.alarm_detail,
                }),
            },
        })
    }
}

impl From<&Report> for v1::Report {
    fn from(report: &Report) -> Self {
        let (kind, reason, health) = match &report.kind {
            ReportKind::Accepted => (v1::ReportKind::Accepted, None, None),
            ReportKind::Refused(reason) => (v1::ReportKind::Refused, Some(*reason), None),
            ReportKind::Applied => (v1::ReportKind::Applied, None, None),
            ReportKind::WouldUpgrade => (v1::ReportKind::WouldUpgrade, None, None),
            ReportKind::Finished(health) => (v1::ReportKind::Finished, None, Some(*health)),
        };
        Self {
            cluster: report.cluster.to_string(),
            send_time: Some(time::timestamp(report.sent)),
            epoch: report.epoch.0,
            assignment: Some(report.assignment.into()),
            kind: kind.into(),
            reason: reason
                .map(|reason: Reason| reason.to_string())
                .unwrap_or_default(),
            health: health
                .map_or(common::Health::Unspecified, common::Health::from)
                .into(),
            detail: report.detail.clone(),
        }
    }
}

impl TryFrom<v1::Report> for Report {
    type Error = WireError;

    fn try_from(message: v1::Report) -> Result<Self, WireError> {
        Ok(Self {
            kind: report_kind(&message)?,
            cluster: field::parsed("Report.cluster", &message.cluster)?,
            sent: time::read("Report.send_time", message.send_time)?,
            epoch: Epoch(field::positive("Report.epoch", message.epoch)?),
            assignment: field::digest("Report.assignment", message.assignment)?,
            detail: message.detail,
        })
    }
}

/// The kind with what belongs to it: a refusal alone has a reason, a finished task alone a health.
fn report_kind(message: &v1::Report) -> Result<ReportKind, WireError> {
    let unknown = WireError::Enum {
        field: "Report.kind",
        value: message.kind,
    };
    let kind = match v1::ReportKind::try_from(message.kind) {
        Ok(v1::ReportKind::Accepted) => ReportKind::Accepted,
        Ok(v1::ReportKind::Refused) => {
            let reason: Reason = field::parsed("Report.reason", &message.reason)?;
            ReportKind::Refused(reason)
        }
        Ok(v1::ReportKind::Applied) => ReportKind::Applied,
        Ok(v1::ReportKind::WouldUpgrade) => ReportKind::WouldUpgrade,
        Ok(v1::ReportKind::Finished) => {
            let health: Health = field::choice::<common::Health, _>("Report.health", message.health)?;
            ReportKind::Finished(health)
        }
        Ok(v1::ReportKind::Unspecified) | Err(_) => return Err(unknown),
    };
    if !message.reason.is_empty() && !matches!(kind, ReportKind::Refused(_)) {
        return Err(WireError::Unexpected {
            field: "Report.reason",
        });
    }
    if message.health != 0 && !matches!(kind, ReportKind::Finished(_)) {
        return Err(WireError::Unexpected {
            field: "Report.health",
        });
    }
    Ok(kind)
}
