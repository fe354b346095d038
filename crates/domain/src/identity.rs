//! Who may have signed an artifact.

/// The exact identities and claims that a signature on one artifact must carry. No patterns: a text
/// matches or it does not (see `flux::identity` for the profiles of Flux).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProfile {
    /// Allowed subject alternative names (URI) of the Fulcio certificate; any one of them, exactly.
    pub subject_alternative_names: Vec<String>,
    /// OIDC issuer, Fulcio extension 1.3.6.1.4.1.57264.1.8.
    pub issuer: String,
    /// Claims of the workflow run that asked for the certificate.
    pub claims: Claims,
}

/// Fulcio claims (OIDs under 1.3.6.1.4.1.57264.1) that must be equal to these texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `.12`, like `https://github.com/fluxcd/source-controller`.
    pub source_repository: String,
    /// `.14`, like `refs/tags/v1.9.4`.
    pub source_ref: String,
    /// `.16`, like `https://github.com/fluxcd`.
    pub source_owner: String,
    /// `.20`, like `push`.
    pub trigger: String,
    /// `.11`, like `github-hosted`.
    pub runner: String,
}

/// The identity that a certificate carried, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SignerIdentity {
    /// Subject alternative name.
    pub subject_alternative_name: String,
    /// OIDC issuer.
    pub issuer: String,
    /// Source repository claim.
    pub source_repository: String,
    /// Source ref claim.
    pub source_ref: String,
    /// Source commit claim (`.13`), recorded but compared only between artifacts of one run.
    pub source_digest: String,
    /// Trigger claim.
    pub trigger: String,
}
