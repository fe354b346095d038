//! A stock cosign: `cosign verify`, offline, with the demo's trust root.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use domain::identity::IdentityProfile;
use domain::{Artifact, Digest, ImageRef};
use tokio::process::Command;

use super::PeersError;

/// One image takes 50 ms.
const PATIENCE: Duration = Duration::from_secs(30);

/// Characters of a refusal that are shown.
const SHOWN: usize = 60;

/// How cosign is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As strictly as its flags allow: the exact name, issuer, repository, ref and trigger.
    Exact,
    /// As Flux's documentation tells its users to.
    Documented,
}

/// What cosign said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Exit code 0.
    Accepted,
    /// Any other, with its first line of error.
    Refused(String),
}

/// The program and what it needs.
#[derive(Debug)]
pub struct Cosign {
    program: PathBuf,
    trusted_root: PathBuf,
    home: PathBuf,
    registry: String,
}

impl Cosign {
    /// Cosign before the registry at this host; `home` is where it may keep things of its own.
    #[must_use]
    pub fn new(program: &Path, trusted_root: PathBuf, home: PathBuf, registry: &str) -> Self {
        Self {
            program: program.to_owned(),
            trusted_root,
            home,
            registry: registry.to_owned(),
        }
    }

    /// Asks whether this digest is signed by whom upstream says that it is.
    ///
    /// # Errors
    /// If cosign can't be run, or does not end.
    pub async fn verify(
        &self,
        (artifact, image, digest): (Artifact, &ImageRef, Digest),
        manner: Manner,
    ) -> Result<Said, PeersError> {
        let profile = flux::identity::profile(artifact, &super::ours::version_of(image)?);
        let mut arguments: Vec<OsString> = vec![
            "verify".into(),
            "--trusted-root".into(),
            self.trusted_root.clone().into(),
            "--allow-http-registry".into(),
        ];
        arguments.extend(demands(&profile, manner).into_iter().map(OsString::from));
        arguments.push(format!("{}/fluxcd/{}@{digest}", self.registry, image.short_name()).into());
        let output = run(&self.program, &arguments, &self.home, PATIENCE).await?;
        if output.status.success() {
            return Ok(Said::Accepted);
        }
        Ok(Said::Refused(first_error(&String::from_utf8_lossy(
            &output.stderr,
        ))))
    }
}

/// The flags that say who must have signed.
fn demands(profile: &IdentityProfile, manner: Manner) -> Vec<String> {
    let flag = |name: &str, value: &str| format!("--certificate-{name}={value}");
    let issuer = flag("oidc-issuer", &profile.issuer);
    match manner {
        Manner::Documented => vec![
            flag("identity-regexp", r"^https://github\.com/fluxcd/.*$"),
            issuer,
        ],
        Manner::Exact => {
            let claims = &profile.claims;
            let names = &profile.subject_alternative_names;
            let repository = &claims.source_repository;
            let short = repository
                .strip_prefix("https://github.com/")
                .unwrap_or(repository);
            vec![
                flag("identity", names.first().map_or("nobody", String::as_str)),
                issuer,
                flag("github-workflow-repository", short),
                flag("github-workflow-ref", &claims.source_ref),
                flag("github-workflow-trigger", &claims.trigger),
            ]
        }
    }
}

/// Runs a peer to its end.
pub(super) async fn run(
    program: &Path,
    arguments: &[OsString],
    home: &Path,
    patience: Duration,
) -> Result<Output, PeersError> {
    let failed = |source| PeersError::Run {
        program: program.to_owned(),
        source,
    };
    let child = Command::new(program)
        .args(arguments)
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    match tokio::time::timeout(patience, child.wait_with_output()).await {
        Ok(output) => output.map_err(failed),
        Err(_late) => Err(PeersError::Late {
            program: program.to_owned(),
            seconds: patience.as_secs(),
        }),
    }
}

/// The first line that cosign begins with `Error:`, shortened; it repeats itself after that.
fn first_error(text: &str) -> String {
    let said = |line: &str| line.strip_prefix("Error: ").map(str::to_owned);
    let line = text.lines().find_map(said);
    let line = line.unwrap_or_else(|| text.lines().next().unwrap_or_default().to_owned());
    let line = line.strip_prefix("no matching signatures: ").unwrap_or(&line);
    let mut shown: String = line.chars().take(SHOWN).collect();
    if line.chars().count() > SHOWN {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_refusal_the_first_line_of_error_is_shown() {
        let text = "WARNING: x\nError: no matching signatures: none of the expected identities matched\nmain.go:74: \
                    error during command execution: again\n";
        assert_eq!(first_error(text), "none of the expected identities matched");
        assert_eq!(first_error("panic"), "panic");
        assert_eq!(first_error(&"x".repeat(100)).chars().count(), SHOWN + 1);
    }

    #[test]
    fn exact_is_every_flag_that_cosign_has() {
        let artifact = Artifact::Image(domain::Component::SourceController);
        let profile = flux::identity::profile(artifact, &domain::Version::new(1, 9, 4));
        let flags = demands(&profile, Manner::Exact);
        assert_eq!(
            flags,
            [
                "--certificate-identity=https://github.com/fluxcd/gha-workflows/.github/workflows/controller-release.yaml@refs/tags/v0.11.0",
                "--certificate-oidc-issuer=https://token.actions.githubusercontent.com",
                "--certificate-github-workflow-repository=fluxcd/source-controller",
                "--certificate-github-workflow-ref=refs/tags/v1.9.4",
                "--certificate-github-workflow-trigger=push",
            ]
        );
    }
}
