//! What agents and the controller say about clusters.

use domain::fleet::{HealthReport, Heartbeat, Report, ReportKind};
use domain::{Assignment, ClusterFacts, ClusterMember, Health, Reason};

use super::{Rows, late, refused, sha512};
use crate::fleet;
use crate::tests::samples;

#[test]
fn members_facts_and_health() {
    let member = fleet::v1::ClusterMember::from(&samples::member());
    let rows: &Rows<fleet::v1::ClusterMember> = &[
        ("ClusterMember.cluster", |m| m.cluster = "Prod".to_owned()),
        ("ClusterMember.agent_key", |m| m.agent_key.clear()),
        ("ClusterMember.max_mode", |m| m.max_mode = 0),
    ];
    let mut read = refused::<_, ClusterMember>(&member, rows);

    let facts = fleet::v1::ClusterFacts::from(&samples::facts());
    let rows: &Rows<fleet::v1::ClusterFacts> = &[
        ("ClusterFacts.cluster", |m| m.cluster.clear()),
        ("ClusterFacts.observe_time", |m| m.observe_time = None),
        ("ClusterFacts.kubernetes", |m| m.kubernetes.clear()),
        ("ClusterFacts.installer", |m| m.installer.clear()),
        ("ClusterFacts.components", |m| {
            m.components.push(m.components[0].clone())
        }),
        ("ClusterFacts.crds", |m| m.crds.push(m.crds[0].clone())),
        ("ComponentFacts.component", |m| {
            m.components[0].component = "flux-operator".to_owned()
        }),
        ("ComponentFacts.image", |m| m.components[0].image.clear()),
        ("ComponentFacts.image_ids", |m| {
            m.components[0].image_ids.extend(sha512())
        }),
        ("ComponentFacts.image_ids", |m| {
            let first = m.components[0].image_ids[0].clone();
            m.components[0].image_ids.push(first);
        }),
        ("CrdVersions.stored", |m| m.crds[0].stored.push("v1".to_owned())),
    ];
    read.push_str(&refused::<_, ClusterFacts>(&facts, rows));

    let health = fleet::v1::HealthReport::from(&samples::health());
    let rows: &Rows<fleet::v1::HealthReport> = &[
        ("HealthReport.cluster", |m| m.cluster.clear()),
        ("HealthReport.observe_time", |m| m.observe_time = late()),
        ("HealthReport.health", |m| m.health = 0),
        ("Symptom.reason", |m| m.symptoms[0].reason.clear()),
    ];
    read.push_str(&refused::<_, HealthReport>(&health, rows));

    let heartbeat = fleet::v1::Heartbeat::from(&samples::heartbeat());
    let rows: &Rows<fleet::v1::Heartbeat> = &[
        ("Heartbeat.cluster", |m| m.cluster = "-".to_owned()),
        ("Heartbeat.send_time", |m| m.send_time = None),
        ("Heartbeat.health", |m| m.health = 4),
    ];
    read.push_str(&refused::<_, Heartbeat>(&heartbeat, rows));
    insta::assert_snapshot!("fleet", read);
}

#[test]
fn assignments_and_reports() {
    let assignment = fleet::v1::Assignment::from(&samples::assignment());
    let rows: &Rows<fleet::v1::Assignment> = &[
        ("Assignment.cluster", |m| m.cluster.clear()),
        ("Assignment.epoch", |m| m.epoch = 0),
        ("Assignment.action", |m| m.action = 0),
        ("Assignment.mode", |m| m.mode = 3),
        ("Assignment.rollout", |m| m.rollout = "flux-v2.9.4".to_owned()),
        ("Assignment.target", |m| m.target.clear()),
        ("Assignment.layer", |m| m.layer = None),
        ("Assignment.images", |m| m.images.push(m.images[0].clone())),
        ("AssignedImage.component", |m| m.images[0].component.clear()),
        ("AssignedImage.index", |m| m.images[0].index = None),
        ("Assignment.baseline", |m| m.baseline.clear()),
        ("Assignment.contents", |m| m.contents = None),
        ("Assignment.baseline_contents", |m| m.baseline_contents = None),
        ("Assignment.decision", |m| m.decision = None),
        ("StatementRef.subject", |m| m.summaries[1].subject.clear()),
        ("Assignment.stops", |m| m.stops.push(String::new())),
        ("Assignment.issue_time", |m| m.issue_time = None),
        ("Assignment.expire_time", |m| m.expire_time = None),
    ];
    let mut read = refused::<_, Assignment>(&assignment, rows);

    let report = |kind| fleet::v1::Report::from(&samples::report(kind));
    let rows: &Rows<fleet::v1::Report> = &[
        ("Report.cluster", |m| m.cluster.clear()),
        ("Report.send_time", |m| m.send_time = None),
        ("Report.epoch", |m| m.epoch = 0),
        ("Report.assignment", |m| m.assignment = sha512()),
        ("Report.kind", |m| m.kind = 0),
        ("Report.kind", |m| m.kind = 99),
        ("Report.reason", |m| m.reason = "CUSTOMISED".to_owned()),
        ("Report.health", |m| m.health = 1),
    ];
    read.push_str(&refused::<_, Report>(&report(ReportKind::Applied), rows));
    let rows: &Rows<fleet::v1::Report> = &[("Report.reason", |m| m.reason.clear())];
    read.push_str(&refused::<_, Report>(
        &report(ReportKind::Refused(Reason::Customised)),
        rows,
    ));
    let rows: &Rows<fleet::v1::Report> = &[("Report.health", |m| m.health = 0)];
    read.push_str(&refused::<_, Report>(
        &report(ReportKind::Finished(Health::Healthy)),
        rows,
    ));
    insta::assert_snapshot!("assignment", read);
}
