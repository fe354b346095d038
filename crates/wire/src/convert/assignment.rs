//! `fleet_events.proto`: assignments.

use domain::{Action, Assignment, Component, Digest, Epoch};

use super::common::choices;
use super::{field, time};
use crate::WireError;
use crate::common::v1 as common;
use crate::fleet::v1;

choices!(Action, v1::Action, "Action", [Upgrade, Stop]);

impl From<(&Component, &Digest)> for v1::AssignedImage {
    fn from((component, index): (&Component, &Digest)) -> Self {
        Self {
            component: component.to_string(),
            index: Some((*index).into()),
        }
    }
}

impl TryFrom<v1::AssignedImage> for (Component, Digest) {
    type Error = WireError;

    fn try_from(message: v1::AssignedImage) -> Result<Self, WireError> {
        Ok((
            field::parsed("AssignedImage.component", &message.component)?,
            field::digest("AssignedImage.index", message.index)?,
        ))
    }
}

impl From<&Assignment> for v1::Assignment {
    fn from(assignment: &Assignment) -> Self {
        Self {
            cluster: assignment.cluster.to_string(),
            epoch: assignment.epoch.0,
            action: v1::Action::from(assignment.action).into(),
            mode: common::Mode::from(assignment.mode).into(),
            rollout: assignment.rollout.to_string(),
            target: assignment.target.to_string(),
            layer: Some(assignment.layer.into()),
            images: assignment.images.iter().map(Into::into).collect(),
            image_registry: assignment.image_registry.clone(),
            baseline: assignment.baseline.to_string(),
            contents: Some((&assignment.contents).into()),
            baseline_contents: Some((&assignment.baseline_contents).into()),
            decision: Some((&assignment.decision).into()),
            summaries: assignment.summaries.iter().map(Into::into).collect(),
            stops: assignment.stops.clone(),
            issue_time: Some(time::timestamp(assignment.issued)),
            expire_time: Some(time::timestamp(assignment.expires)),
            as_of: assignment.as_of,
            stable_duration: Some(time::duration(assignment.stable_for)),
            success_deadline_duration: Some(time::duration(assignment.success_deadline)),
        }
    }
}

impl TryFrom<v1::Assignment> for Assignment {
    type Error = WireError;

    fn try_from(message: v1::Assignment) -> Result<Self, WireError> {
        let stops = message
            .stops
            .into_iter()
            .map(|stop| field::text("Assignment.stops", stop));
        Ok(Self {
            cluster: field::parsed("Assignment.cluster", &message.cluster)?,
            epoch: Epoch(field::positive("Assignment.epoch", message.epoch)?),
            action: field::choice::<v1::Action, _>("Assignment.action", message.action)?,
            mode: field::choice::<common::Mode, _>("Assignment.mode", message.mode)?,
            rollout: field::parsed("Assignment.rollout", &message.rollout)?,
            target: field::parsed("Assignment.target", &message.target)?,
            layer: field::digest("Assignment.layer", message.layer)?,
            images: field::keyed(
                "Assignment.images",
                message.images.into_iter().map(TryInto::try_into),
            )?,
            image_registry: message.image_registry,
            baseline: field::parsed("Assignment.baseline", &message.baseline)?,
            contents: field::message("Assignment.contents", message.contents)?,
            baseline_contents: field::message("Assignment.baseline_contents", message.baseline_contents)?,
            decision: field::message("Assignment.decision", message.decision)?,
            summaries: field::list(message.summaries)?,
            stops: stops.collect::<Result<_, _>>()?,
            issued: time::read("Assignment.issue_time", message.issue_time)?,
            expires: time::read("Assignment.expire_time", message.expire_time)?,
            as_of: message.as_of,
            stable_for: time::read_duration("Assignment.stable_duration", message.stable_duration)?,
            success_deadline: time::read_duration(
                "Assignment.success_deadline_duration",
                message.success_deadline_duration,
            )?,
        })
    }
}
