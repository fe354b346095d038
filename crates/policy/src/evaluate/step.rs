//! The step rule: how far the release may be from what runs. Never downward and never to another major,
//! whatever the policy says.

use domain::version::Bump;
use domain::{Outcome, Reason};

use super::{Finding, Inputs};
use crate::document::{SkippedMinors, VersionStep};

pub(super) fn judge(allowed: &VersionStep, inputs: &Inputs<'_>) -> Finding {
    let to = &inputs.release.version;
    let Some(from) = &inputs.baseline.version else {
        let detail = format!("what runs is no single known version of Flux; the release is {to}");
        return Finding::new(Outcome::Deny, Reason::BaselineVersionUnknown, detail);
    };
    let answer = |outcome, reason, why: &str| Finding::new(outcome, reason, format!("{from} to {to}: {why}"));
    let deny = |reason, why: &str| answer(Outcome::Deny, reason, why);
    if from == to {
        return deny(Reason::AlreadyRunning, "the release runs already");
    }
    if to < from {
        return deny(Reason::Downgrade, "the release is older than what runs");
    }
    if to.is_prerelease() && !allowed.prerelease {
        return deny(Reason::Prerelease, "pre-releases are not allowed");
    }
    let size = match from.bump_to(to) {
        Bump::Major | Bump::None => return deny(Reason::StepNotAllowed, "another major is never allowed"),
        size @ (Bump::Patch | Bump::Minor) => size,
    };
    if !allowed.allow.contains(&size) {
        return deny(
            Reason::StepNotAllowed,
            &format!("a {} step is not allowed", name(size)),
        );
    }
    let skipped = from.minors_skipped_to(to);
    if skipped == 0 {
        return answer(
            Outcome::Allow,
            Reason::StepAllowed,
            &format!("a {} step", name(size)),
        );
    }
    let why = format!("{skipped} minor version(s) are left out");
    match allowed.skipped_minors {
        SkippedMinors::Allow => answer(Outcome::Allow, Reason::StepAllowed, &why),
        SkippedMinors::NeedsApproval => answer(Outcome::NeedsApproval, Reason::MinorsSkipped, &why),
        SkippedMinors::Deny => answer(Outcome::Deny, Reason::MinorsSkipped, &why),
    }
}

const fn name(size: Bump) -> &'static str {
    match size {
        Bump::None => "zero",
        Bump::Patch => "patch",
        Bump::Minor => "minor",
        Bump::Major => "major",
    }
}
