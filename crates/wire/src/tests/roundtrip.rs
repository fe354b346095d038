//! What goes out comes back equal, directly and through ProtoJSON.

use std::fmt::Debug;

use domain::fleet::ReportKind;
use domain::identity::SignerIdentity;
use domain::rollout::{RolloutEnd, WaveSnapshot};
use domain::{
    Action, Baseline, CheckResult, ClusterFacts, Decision, Digest, Evidence, Health, Installer, Mode,
    Outcome, Reason, RoleSummary, RolloutKey, Version,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::samples;
use crate::{Scope, WireError, common, fleet, policy, release, rollout, time, verification};

fn comes_back<M, D>(value: &D)
where
    M: for<'a> From<&'a D> + Clone + PartialEq + Debug + Serialize + DeserializeOwned,
    D: TryFrom<M, Error = WireError> + PartialEq + Debug,
{
    let message = M::from(value);
    let json = serde_json::to_string(&message).unwrap();
    assert_eq!(
        json,
        serde_json::to_string(&M::from(value)).unwrap(),
        "the same bytes each time"
    );
    let read: M = serde_json::from_str(&json).unwrap();
    assert_eq!(read, message);
    assert_eq!(D::try_from(message).unwrap(), *value);
    assert_eq!(D::try_from(read).unwrap(), *value);
}

#[test]
fn every_event_comes_back_equal() {
    comes_back::<release::v1::ReleaseDiscovered, _>(&samples::discovered());
    comes_back::<verification::v1::ReleaseContents, _>(&samples::contents());
    comes_back::<verification::v1::BaselineContents, _>(&samples::baseline());
    comes_back::<verification::v1::Evidence, _>(&samples::evidence());
    comes_back::<verification::v1::RoleSummary, _>(&samples::summary());
    comes_back::<policy::v1::PolicyText, _>(&samples::policy());
    comes_back::<fleet::v1::ClusterMember, _>(&samples::member());
    comes_back::<fleet::v1::ClusterFacts, _>(&samples::facts());
    comes_back::<fleet::v1::HealthReport, _>(&samples::health());
    comes_back::<fleet::v1::Heartbeat, _>(&samples::heartbeat());
    comes_back::<fleet::v1::Assignment, _>(&samples::assignment());
    comes_back::<rollout::v1::ModeSet, _>(&samples::mode());
    comes_back::<rollout::v1::RolloutStarted, _>(&samples::started());
    comes_back::<rollout::v1::WaveOpened, _>(&samples::opened());
    comes_back::<rollout::v1::WaveBaked, _>(&samples::baked());
    comes_back::<rollout::v1::RolloutFinished, _>(&samples::finished());
    comes_back::<rollout::v1::StopSet, _>(&samples::stop());
    comes_back::<rollout::v1::RolloutRetried, _>(&samples::retried());
    for outcome in [
        Outcome::Allow,
        Outcome::Wait,
        Outcome::NeedsApproval,
        Outcome::Deny,
    ] {
        comes_back::<policy::v1::Decision, _>(&samples::decision(outcome));
    }
}

#[test]
fn every_kind_of_report_comes_back_equal() {
    for kind in [
        ReportKind::Accepted,
        ReportKind::Refused(Reason::Customised),
        ReportKind::Applied,
        ReportKind::WouldUpgrade,
        ReportKind::Finished(Health::Healthy),
    ] {
        comes_back::<fleet::v1::Report, _>(&samples::report(kind));
    }
}

#[test]
fn every_installer_comes_back_equal() {
    let owner = Installer::Other("flux-operator".to_owned());
    for installer in [Installer::FluxCli, Installer::Kubectl, Installer::Fluxgate, owner] {
        comes_back::<fleet::v1::ClusterFacts, _>(&ClusterFacts {
            installer,
            ..samples::facts()
        });
    }
}

#[test]
fn what_is_absent_comes_back_absent() {
    comes_back::<policy::v1::Decision, _>(&Decision {
        rules: Vec::new(),
        valid_until: None,
        wait_until: None,
        as_of: 0,
        supersedes: None,
        demo: false,
        ..samples::decision(Outcome::Deny)
    });
    comes_back::<verification::v1::BaselineContents, _>(&Baseline {
        version: None,
        layer: None,
        images: Default::default(),
        crds: Default::default(),
    });
    comes_back::<verification::v1::RoleSummary, _>(&RoleSummary {
        contents: None,
        checks: Vec::new(),
        ..samples::summary()
    });
    let bare = Evidence {
        reason: None,
        found: None,
        integrated_time: None,
        material: Vec::new(),
        ..samples::evidence()
    };
    comes_back::<verification::v1::Evidence, _>(&bare);
    // A certificate of which nothing could be read is not the same as none.
    let unreadable = Evidence {
        found: Some(SignerIdentity::default()),
        ..bare
    };
    comes_back::<verification::v1::Evidence, _>(&unreadable);
}

#[test]
fn every_choice_comes_back_equal() {
    fn both<M: From<D>, D: TryFrom<M, Error = WireError> + Copy + PartialEq + Debug>(values: &[D]) {
        for value in values {
            assert_eq!(D::try_from(M::from(*value)).unwrap(), *value);
        }
    }
    both::<common::v1::Mode, _>(&[Mode::Observe, Mode::Enforce]);
    both::<common::v1::Health, _>(&[Health::Healthy, Health::Inconclusive, Health::Unhealthy]);
    both::<common::v1::CheckResult, _>(&[CheckResult::Passed, CheckResult::Failed, CheckResult::NotChecked]);
    both::<fleet::v1::Action, _>(&[Action::Upgrade, Action::Stop]);
    both::<rollout::v1::RolloutEnd, _>(&[RolloutEnd::Completed, RolloutEnd::Halted, RolloutEnd::Superseded]);
    both::<common::v1::Digest, Digest>(&[samples::digest("x")]);
}

#[test]
fn scopes_read_back() {
    for scope in [
        Scope::Wave("canary".to_owned()),
        Scope::Cluster("prod-eu".parse().unwrap()),
    ] {
        assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
    }
    for bad in [
        "",
        "wave/",
        "cluster/",
        "cluster/Prod",
        "rollout",
        "fleet/x",
        "canary",
    ] {
        assert!(bad.parse::<Scope>().is_err(), "{bad}");
    }
}

#[test]
fn times_and_durations_come_back_to_the_nanosecond() {
    for text in [
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999999Z",
        "1970-01-01T00:00:00Z",
        "2026-01-02T03:04:05.000000001Z",
        "9999-12-30T22:00:00Z",
    ] {
        let at: Timestamp = samples::at(text);
        let message = time::timestamp(at);
        assert!((0..1_000_000_000).contains(&message.nanos), "{text}");
        let json = serde_json::to_string(&message).unwrap();
        let read = serde_json::from_str(&json).unwrap();
        assert_eq!(time::read("x", Some(read)).unwrap(), at, "{json}");
    }
    for duration in [
        SignedDuration::ZERO,
        SignedDuration::new(3, 5),
        SignedDuration::from_hours(72),
    ] {
        let json = serde_json::to_string(&time::duration(duration)).unwrap();
        let read = serde_json::from_str(&json).unwrap();
        assert_eq!(time::read_duration("x", Some(read)).unwrap(), duration, "{json}");
    }
}

#[test]
fn what_arrives_unsorted_is_accepted_and_sorted() {
    let contents = samples::contents();
    let mut message = verification::v1::ReleaseContents::from(&contents);
    message.images.reverse();
    assert_eq!(domain::ReleaseContents::try_from(message).unwrap(), contents);

    let baseline = samples::baseline();
    let mut message = verification::v1::BaselineContents::from(&baseline);
    message.images.reverse();
    message.crds[0].versions.reverse();
    assert_eq!(Baseline::try_from(message).unwrap(), baseline);

    let wave = samples::started().waves.remove(0);
    let mut message = rollout::v1::WaveSnapshot::from(&wave);
    message.clusters.reverse();
    assert_eq!(WaveSnapshot::try_from(message).unwrap(), wave);
}

#[test]
fn names_travel_as_they_are_written_everywhere_else() {
    let assignment = fleet::v1::Assignment::from(&samples::assignment());
    let rollout = RolloutKey {
        version: Version::new(2, 9, 4),
        ordinal: 1,
    };
    assert_eq!(assignment.rollout, rollout.to_string());
    assert_eq!(assignment.target, samples::release().to_string());
}
