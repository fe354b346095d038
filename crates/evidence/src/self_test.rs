//! A verification at start-up: `sigstore-verify` built without a cryptography provider panics at its first
//! use, and one that accepts too much would look healthy. So each service that verifies does both once
//! before it serves: accept what is right, refuse what is wrong.
//!
//! The material is a signature of a demo Sigstore whose keys were forgotten (`testkit`, example
//! `self_test_material`). Its trust root is used here and nowhere else.

use domain::evidence::SignatureMaterial;
use domain::identity::{Claims, IdentityProfile};
use domain::{CheckResult, Digest, ImageRef, Reason};
use jiff::Timestamp;

use crate::signature::{Expectation, verify_signatures};
use crate::trust::{TrustRoot, TrustRootError};

const ROOT: &[u8] = include_bytes!("self_test/trusted_root.json");
const PAYLOAD: &[u8] = include_bytes!("self_test/payload.json");
const SIGNATURE: &str = include_str!("self_test/signature.txt");
const CERTIFICATE: &str = include_str!("self_test/certificate.pem");
const BUNDLE: &str = include_str!("self_test/bundle.json");

/// 2026-01-15T13:00:00Z, an hour after the material was made.
const NOW: Timestamp = Timestamp::constant(1_768_482_000, 0);

/// Why signatures can't be verified on this machine.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// The trust root of the self-test can't be read.
    #[error("reading the trust root of the self-test")]
    Root(#[from] TrustRootError),
    /// The name of the image of the self-test can't be read.
    #[error("reading the image of the self-test")]
    Image(#[from] domain::image::ParseImageRefError),
    /// A good signature was refused: a broken build, or a clock far behind.
    #[error("the self-test's good signature was refused with {}", reason.code())]
    Refused {
        /// With which reason.
        reason: Reason,
    },
    /// A bad signature was accepted, or refused for the wrong reason.
    #[error("the self-test's bad signature came out as {result} with {}", reason.code())]
    Accepted {
        /// How it came out.
        result: CheckResult,
        /// With which reason.
        reason: Reason,
    },
}

/// Verifies one good and one bad signature that are part of the program. Takes about two milliseconds.
///
/// # Errors
/// If the good one is refused or the bad one is not.
///
/// # Panics
/// If the program was built without a cryptography provider.
pub fn self_test() -> Result<(), SelfTestError> {
    let trust = TrustRoot::from_json(ROOT)?;
    let image: ImageRef = "registry.invalid/fluxgate/self-test:v1.0.0".parse()?;
    let profile = profile();
    let expect = Expectation {
        image: &image,
        digest: Digest::of(b"self-test"),
        profile: &profile,
    };
    let mut material = SignatureMaterial {
        payload: PAYLOAD.to_vec(),
        signature: SIGNATURE.to_owned(),
        certificate: CERTIFICATE.to_owned(),
        bundle: BUNDLE.to_owned(),
    };
    let good = verify_signatures(std::slice::from_ref(&material), &expect, &trust, NOW);
    if good.result != CheckResult::Passed {
        return Err(SelfTestError::Refused { reason: good.reason });
    }
    material.payload.push(b'\n');
    let bad = verify_signatures(&[material], &expect, &trust, NOW);
    match (bad.result, bad.reason) {
        (CheckResult::Failed, Reason::SignatureInvalid) => Ok(()),
        (result, reason) => Err(SelfTestError::Accepted { result, reason }),
    }
}

fn profile() -> IdentityProfile {
    IdentityProfile {
        subject_alternative_names: vec![
            "https://github.com/fluxgate/self-test/.github/workflows/release.yaml@refs/tags/v1.0.0"
                .to_owned(),
        ],
        issuer: "https://token.actions.githubusercontent.com".to_owned(),
        claims: Claims {
            source_repository: "https://github.com/fluxgate/self-test".to_owned(),
            source_ref: "refs/tags/v1.0.0".to_owned(),
            source_owner: "https://github.com/fluxgate".to_owned(),
            trigger: "push".to_owned(),
            runner: "github-hosted".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_here() {
        self_test().unwrap();
    }

    #[test]
    fn its_trust_root_is_demo_trust() {
        assert!(TrustRoot::from_json(ROOT).unwrap().is_demo());
    }
}
