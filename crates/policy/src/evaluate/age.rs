//! The age rule: others must have had time to find out what is wrong with a release.
//!
//! The age counts from the latest verified time at which one of the release's signatures entered the
//! transparency log, by policy-engine's own verification: a tag's date or a registry's can be made up.

use domain::version::Bump;
use domain::{CheckResult, Outcome, Reason};
use jiff::{SignedDuration, Timestamp};

use super::{Finding, Inputs, artifacts, later};
use crate::document::ReleaseAge;

pub(super) fn judge(ages: &ReleaseAge, inputs: &Inputs<'_>) -> Finding {
    let Some(since) = public_since(inputs) else {
        let detail = "no verified time in the transparency log for every artifact of the release";
        return Finding::new(Outcome::Deny, Reason::EvidenceMissing, detail.to_owned());
    };
    let (demanded, why) = demanded(ages, inputs);
    let until = later(since, demanded);
    let hours = demanded.as_secs() / 3600;
    let detail = if demanded.as_secs() % 3600 == 0 {
        format!("public since {since}, {hours} h demanded for {why}, old enough at {until}")
    } else {
        format!(
            "public since {since}, {} s demanded for {why}, old enough at {until}",
            demanded.as_secs()
        )
    };
    if until <= inputs.now {
        return Finding::new(Outcome::Allow, Reason::ReleaseOldEnough, detail);
    }
    Finding {
        until: Some(until),
        ..Finding::new(Outcome::Wait, Reason::ReleaseTooYoung, detail)
    }
}

/// The latest of our own verified times, if there is one for every artifact.
fn public_since(inputs: &Inputs<'_>) -> Option<Timestamp> {
    inputs.contents?;
    let time_of = |(artifact, digest)| {
        let passed = inputs.verified.iter().filter(move |own| {
            own.artifact == artifact && own.digest == digest && own.result == CheckResult::Passed
        });
        // An artifact that was verified twice counts with the later time; none without a time.
        passed
            .map(|own| own.integrated_time)
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .max()
    };
    artifacts(inputs)
        .into_iter()
        .map(time_of)
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .max()
}

/// The age that is demanded, and what for. Where the size of the step is unknown, the highest.
fn demanded(ages: &ReleaseAge, inputs: &Inputs<'_>) -> (SignedDuration, &'static str) {
    let to = &inputs.release.version;
    if to.semver().patch == 0 {
        return (ages.dot_zero, "the first release of a minor");
    }
    match inputs.baseline.version.as_ref().map(|from| from.bump_to(to)) {
        Some(Bump::None | Bump::Patch) => (ages.patch, "a patch step"),
        Some(Bump::Minor) => (ages.minor, "a minor step"),
        Some(Bump::Major) | None => (
            ages.patch.max(ages.minor).max(ages.dot_zero),
            "a step of another or unknown size",
        ),
    }
}
