//! The statements that an assignment names: each came along, is by its role, and all of them speak about the
//! same digests.

use std::collections::BTreeSet;

use attest::{Dossier, Role, Trust};
use bus::{Area, Subject};
use domain::assignment::StatementRef;
use domain::{
    Artifact, Assignment, Baseline, CheckKind, Decision, Outcome, Reason, ReleaseContents, RoleSummary,
};
use jiff::Timestamp;
use runtime::errors::chain;

use super::{Checked, Demands, refuse};

/// The role whose summary stands under a subject.
fn role_of(subject: &str) -> Checked<Role> {
    let parsed: Option<Subject> = subject.parse().ok();
    match parsed.map(|subject| (subject.area(), subject.step() == "summary")) {
        Some((Area::Verification, true)) => Ok(Role::Verifier),
        Some((Area::Scan, true)) => Ok(Role::Scanner),
        Some(_) | None => refuse(
            Reason::StatementInvalid,
            format!("{subject} is no summary's subject"),
        ),
    }
}

/// Everything that the checks of the named statements look at.
pub(super) struct Scope<'a> {
    pub(super) dossier: &'a Dossier,
    pub(super) trust: &'a Trust,
    pub(super) demands: &'a Demands,
    pub(super) assignment: &'a Assignment,
    pub(super) now: Timestamp,
}

impl Scope<'_> {
    pub(super) fn statements(&self) -> Checked<(ReleaseContents, Baseline)> {
        self.decision()?;
        let contents: ReleaseContents = self
            .read::<wire::verification::v1::ReleaseContents, _>(Role::Verifier, &self.assignment.contents)?;
        self.contents(&contents)?;
        self.summaries(&contents)?;
        let baseline: Baseline = self.read::<wire::verification::v1::BaselineContents, _>(
            Role::Verifier,
            &self.assignment.baseline_contents,
        )?;
        self.baseline(&baseline)?;
        Ok((contents, baseline))
    }

    /// A statement that the assignment names: it came along, has the digest, is by the role.
    fn read<C, D>(&self, role: Role, named: &StatementRef) -> Checked<D>
    where
        C: attest::Claim,
        D: TryFrom<C, Error = wire::WireError>,
    {
        let Some(envelope) = self.dossier.statement(&named.subject, named.digest) else {
            return refuse(
                Reason::StatementMissing,
                format!(
                    "{} with digest {} did not come along",
                    named.subject,
                    named.digest.short()
                ),
            );
        };
        let invalid = |text: String| (Reason::StatementInvalid, format!("{}: {text}", named.subject));
        let statement = self
            .trust
            .acting(envelope, role, &named.subject, self.now)
            .map_err(|error| invalid(chain(&error)))?;
        wire::decode::<C, D>(&statement).map_err(|error| invalid(chain(&error)))
    }

    /// ALLOW, still valid, under an accepted policy, for this release and this baseline.
    fn decision(&self) -> Checked<()> {
        let decision: Decision =
            self.read::<wire::policy::v1::Decision, _>(Role::Policy, &self.assignment.decision)?;
        let assignment = self.assignment;
        if decision.outcome != Outcome::Allow {
            return refuse(
                Reason::NotAllowed,
                format!("the decision is {}", decision.outcome),
            );
        }
        if decision.release != assignment.target || decision.baseline != assignment.baseline {
            return refuse(
                Reason::NotAllowed,
                format!(
                    "the decision is about {} on baseline {}",
                    decision.release, decision.baseline
                ),
            );
        }
        if decision.valid_until.is_none_or(|until| until <= self.now) {
            return refuse(Reason::DecisionExpired, "the ALLOW is no longer valid");
        }
        if decision
            .valid_until
            .is_some_and(|until| assignment.expires > until)
        {
            return refuse(Reason::DecisionExpired, "the assignment outlives its ALLOW");
        }
        if decision.demo && !self.demands.accept_demo {
            return refuse(Reason::DemoTrustRefused, "the decision was made under demo trust");
        }
        let accepted = self.demands.policies.iter().any(|policy| {
            policy.name == decision.policy.name
                && policy
                    .digest
                    .is_none_or(|digest| digest == decision.policy.digest)
        });
        if accepted {
            return Ok(());
        }
        let found = format!("{} ({})", decision.policy.name, decision.policy.digest.short());
        refuse(
            Reason::PolicyNotAccepted,
            format!("policy {found} is not among those of the agent's file"),
        )
    }

    /// The contents are those of the target, and the assignment names the same digests.
    fn contents(&self, contents: &ReleaseContents) -> Checked<()> {
        let assignment = self.assignment;
        let indexes = contents
            .images
            .iter()
            .map(|(component, image)| (*component, image.index))
            .collect();
        if contents.release != assignment.target {
            return refuse(
                Reason::DigestsDisagree,
                format!("the contents are those of {}", contents.release),
            );
        }
        if contents.layer != assignment.layer || assignment.images != indexes {
            return refuse(
                Reason::DigestsDisagree,
                "assignment and contents name other digests",
            );
        }
        Ok(())
    }

    /// Every role that this agent demands has spoken, and the verifier's summary is PASSED for the
    /// manifests and every image.
    fn summaries(&self, contents: &ReleaseContents) -> Checked<()> {
        let mut spoken = BTreeSet::from([Role::Controller, Role::Policy]);
        for named in &self.assignment.summaries {
            let role = role_of(&named.subject)?;
            let summary: RoleSummary = self.read::<wire::verification::v1::RoleSummary, _>(role, named)?;
            self.summary(role, &summary, contents)?;
            spoken.insert(role);
        }
        // The verifier is never optional: no configuration waives upstream's signatures.
        let mut demanded = self.demands.roles.clone();
        demanded.insert(Role::Verifier);
        match demanded.difference(&spoken).next() {
            None => Ok(()),
            Some(role) => refuse(Reason::RoleMissing, format!("role {role} has said nothing")),
        }
    }

    fn summary(&self, role: Role, summary: &RoleSummary, contents: &ReleaseContents) -> Checked<()> {
        if summary.release != self.assignment.target
            || summary.contents != Some(self.assignment.contents.digest)
        {
            return refuse(
                Reason::DigestsDisagree,
                format!("the summary of the {role} speaks about {}", summary.release),
            );
        }
        let images = contents
            .images
            .iter()
            .map(|(c, image)| (Artifact::Image(*c), image.index));
        let digests: Vec<_> = std::iter::once((Artifact::FluxManifests, contents.release.manifests))
            .chain(images)
            .collect();
        if role == Role::Verifier && !summary.passed_for(&digests, CheckKind::Signature) {
            return refuse(
                Reason::SummaryNotPassed,
                format!(
                    "the verifier's summary is {} for the manifests and the images",
                    summary.worst()
                ),
            );
        }
        Ok(())
    }

    /// The baseline is the one that was decided about, and the target is not below it.
    fn baseline(&self, baseline: &Baseline) -> Checked<()> {
        if baseline.key() != self.assignment.baseline {
            return refuse(
                Reason::DigestsDisagree,
                "the baseline's contents are those of another baseline",
            );
        }
        match &baseline.version {
            Some(version) if *version > self.assignment.target.version => refuse(
                Reason::TargetBelowBaseline,
                format!("{version} runs, the target is {}", self.assignment.target.version),
            ),
            Some(_) => Ok(()),
            None => refuse(
                Reason::BaselineVersionUnknown,
                "what runs is no single known version",
            ),
        }
    }
}
