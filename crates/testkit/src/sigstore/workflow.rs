//! Who asks Fulcio for a certificate: a run of a GitHub workflow.

use domain::Digest;
use domain::identity::IdentityProfile;

/// A run of a workflow, as its OIDC token describes it (Fulcio `docs/oid-info.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    /// URI of the workflow at its ref: the certificate's subject alternative name.
    pub subject: String,
    /// OIDC issuer.
    pub issuer: String,
    /// Like `https://github.com/fluxcd/source-controller`.
    pub source_repository: String,
    /// Like `refs/tags/v1.9.4`.
    pub source_ref: String,
    /// Like `https://github.com/fluxcd`.
    pub source_owner: String,
    /// Commit, 40 hex digits.
    pub source_digest: String,
    /// Like `push`.
    pub trigger: String,
    /// Like `github-hosted`.
    pub runner: String,
    /// Display name of the workflow.
    pub name: String,
}

impl Workflow {
    /// The run that a profile demands, under its first name. The commit is made from repository and ref.
    #[must_use]
    pub fn demanded_by(profile: &IdentityProfile) -> Self {
        let claims = &profile.claims;
        Self {
            subject: profile
                .subject_alternative_names
                .first()
                .cloned()
                .unwrap_or_default(),
            issuer: profile.issuer.clone(),
            source_repository: claims.source_repository.clone(),
            source_ref: claims.source_ref.clone(),
            source_owner: claims.source_owner.clone(),
            source_digest: commit(&claims.source_repository, &claims.source_ref),
            trigger: claims.trigger.clone(),
            runner: claims.runner.clone(),
            name: "release".to_owned(),
        }
    }

    /// Another workflow of the same repository, on its main branch: properly signed, but no release.
    #[must_use]
    pub fn end_to_end_test(&self) -> Self {
        Self {
            subject: format!(
                "{}/.github/workflows/e2e.yaml@refs/heads/main",
                self.source_repository
            ),
            source_ref: "refs/heads/main".to_owned(),
            source_digest: commit(&self.source_repository, "refs/heads/main"),
            name: "e2e".to_owned(),
            ..self.clone()
        }
    }

    /// The same workflow, run at another ref of the repository. Where the workflow is the repository's own its name
    /// follows; a shared one is called by its own tag, whatever it builds.
    #[must_use]
    pub fn at(&self, reference: &str) -> Self {
        let own = self.subject.strip_suffix(&format!("@{}", self.source_ref));
        Self {
            subject: own.map_or_else(|| self.subject.clone(), |file| format!("{file}@{reference}")),
            source_ref: reference.to_owned(),
            source_digest: commit(&self.source_repository, reference),
            ..self.clone()
        }
    }

    /// The same workflow, run for another repository: its own name follows, a shared one's does not.
    #[must_use]
    pub fn of(&self, repository: &str) -> Self {
        let own = self.subject.strip_prefix(&self.source_repository);
        Self {
            subject: own.map_or_else(|| self.subject.clone(), |file| format!("{repository}{file}")),
            source_repository: repository.to_owned(),
            source_digest: commit(repository, &self.source_ref),
            ..self.clone()
        }
    }
}

fn commit(repository: &str, reference: &str) -> String {
    let mut hex = Digest::of(format!("{repository}@{reference}").as_bytes()).hex();
    hex.truncate(40);
    hex
}
