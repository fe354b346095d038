//! Whether an artifact is signed by whom it must be signed.

use domain::evidence::SignatureMaterial;
use domain::identity::{IdentityProfile, SignerIdentity};
use domain::{CheckResult, Digest, ImageRef, Reason};
use jiff::{SignedDuration, Timestamp};
use sigstore_verify::crypto::CertificateInfo;

use crate::cryptography;
use crate::material::{self, Signature};
use crate::trust::TrustRoot;

/// How many signatures of one artifact are looked at (CVE-2023-46737: endless signatures). Upstream writes
/// one, or two when a release job runs twice.
pub const MAX_MATERIALS: usize = 16;

/// Characters of a failure's detail: two allowed names and what was found fit well.
const MAX_DETAIL: usize = 2048;

/// Clock tolerance of the whole system (architecture.md section 5).
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// What a signature must be about, and whose it must be.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// Upstream name of the artifact; its repository must be the payload's `docker-reference`.
    pub image: &'a ImageRef,
    /// Digest that must be signed: an image's index, or the OCI manifest of `flux-manifests`.
    pub digest: Digest,
    /// Who must have signed.
    pub profile: &'a IdentityProfile,
}

/// What the check of one artifact came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The result.
    pub result: CheckResult,
    /// Why; `SIGNATURE_VERIFIED` where it passed.
    pub reason: Reason,
    /// For people: what was found, in a sentence.
    pub detail: String,
    /// Who signed, as far as a certificate could be read: a fact only where the check passed, or failed
    /// with `IDENTITY_MISMATCH`, `CLAIM_MISMATCH` or `PAYLOAD_MISMATCH`; otherwise what a certificate claims.
    pub found: Option<SignerIdentity>,
    /// When the signature entered the log; only where the check passed.
    pub integrated_time: Option<Timestamp>,
}

/// Checks the signatures that lie beside an artifact. One that passes is enough; each is judged by its own
/// parts alone. Where none passes, the verdict is about the most telling one: a signature by somebody else
/// says more than one that can't be read.
///
/// Of more than [`MAX_MATERIALS`] only the first are looked at. The clock of the machine is read by
/// `sigstore-verify` beside `now`: a machine whose clock is behind refuses what `now` would allow, never
/// the other way round.
#[must_use]
pub fn verify_signatures(
    material: &[SignatureMaterial],
    expect: &Expectation<'_>,
    trust: &TrustRoot,
    now: Timestamp,
) -> Verdict {
    let mut worst: Option<Verdict> = None;
    for one in material.iter().take(MAX_MATERIALS) {
        let verdict = verify_one(one, expect, trust, now);
        if verdict.result == CheckResult::Passed {
            return verdict;
        }
        if worst
            .as_ref()
            .is_none_or(|held| rank(verdict.reason) < rank(held.reason))
        {
            worst = Some(verdict);
        }
    }
    let Some(mut verdict) = worst else {
        return Verdict {
            result: CheckResult::NotChecked,
            reason: Reason::SignatureMissing,
            detail: format!(
                "no signature was found beside {}@{}",
                expect.image.repository(),
                expect.digest
            ),
            found: None,
            integrated_time: None,
        };
    };
    if material.len() > 1 {
        verdict
            .detail
            .push_str(&format!("; none of {} signatures passed", material.len()));
    }
    if material.len() > MAX_MATERIALS {
        verdict
            .detail
            .push_str(&format!(", the first {MAX_MATERIALS} were looked at"));
    }
    verdict
}

/// One signature: form, cryptography, claims, payload, time.
fn verify_one(
    material: &SignatureMaterial,
    expect: &Expectation<'_>,
    trust: &TrustRoot,
    now: Timestamp,
) -> Verdict {
    let failed = |(reason, detail): Failure| Verdict {
        result: CheckResult::Failed,
        reason,
        detail: for_people(&detail),
        found: material::signer(material),
        integrated_time: None,
    };
    match Signature::read(material) {
        Err(error) => failed((Reason::MaterialMalformed, error.to_string())),
        Ok(signature) => match accept(&signature, expect, trust, now) {
            Err(failure) => failed(failure),
            Ok(time) => {
                let found = material::identity(&signature.certificate);
                Verdict {
                    result: CheckResult::Passed,
                    reason: Reason::SignatureVerified,
                    detail: format!("signed by {}, logged at {time}", found.subject_alternative_name),
                    found: Some(found),
                    integrated_time: Some(time),
                }
            }
        },
    }
}

type Failure = (Reason, String);

fn accept(
    signature: &Signature<'_>,
    expect: &Expectation<'_>,
    trust: &TrustRoot,
    now: Timestamp,
) -> Result<Timestamp, Failure> {
    let profile = expect.profile;
    let time = match subject_to_demand(&signature.certificate, profile) {
        Some(subject) => cryptography::verify(signature, subject, &profile.issuer, trust)
            .map_err(|failure| name_signer(failure, &signature.certificate, profile))?,
        None => return Err((Reason::IdentityMismatch, "the profile allows nobody".to_owned())),
    };
    check_claims(&signature.certificate, profile)?;
    signature
        .payload
        .check(expect.image, expect.digest)
        .map_err(|mismatch| (Reason::PayloadMismatch, mismatch.to_string()))?;
    check_time(time, &signature.certificate, now)?;
    Ok(time)
}

/// The one allowed name that this certificate could satisfy; the first where it satisfies none, so that
/// chain, SCT and promise are verified before "somebody else signed" is said. Whether the certificate has
/// it is decided by `sigstore-verify`, which compares it exactly and as a URI.
fn subject_to_demand<'a>(certificate: &CertificateInfo, profile: &'a IdentityProfile) -> Option<&'a str> {
    let carried = certificate.identity.as_ref().map(|san| san.as_str());
    let mut allowed = profile.subject_alternative_names.iter().map(String::as_str);
    allowed
        .clone()
        .find(|name| Some(*name) == carried)
        .or_else(|| allowed.next())
}

fn name_signer(failure: Failure, certificate: &CertificateInfo, profile: &IdentityProfile) -> Failure {
    let (reason, detail) = failure;
    if reason != Reason::IdentityMismatch {
        return (reason, detail);
    }
    let found = material::identity(certificate);
    let detail = format!(
        "signed by {:?} of issuer {:?}, but allowed is {} of issuer {:?}",
        found.subject_alternative_name,
        found.issuer,
        profile
            .subject_alternative_names
            .iter()
            .map(|n| format!("{n:?}"))
            .collect::<Vec<_>>()
            .join(" or "),
        profile.issuer,
    );
    (reason, detail)
}

/// Claims of the workflow run (Fulcio `docs/oid-info.md`), each exactly. One workflow signs for many
/// repositories, and can be started by hand on any branch: the name alone says neither.
fn check_claims(certificate: &CertificateInfo, profile: &IdentityProfile) -> Result<(), Failure> {
    let carried = &certificate.ci_claims;
    let demanded = &profile.claims;
    let claims = [
        ("runner (.11)", &carried.runner_environment, &demanded.runner),
        (
            "source repository (.12)",
            &carried.source_repository_uri,
            &demanded.source_repository,
        ),
        (
            "source ref (.14)",
            &carried.source_repository_ref,
            &demanded.source_ref,
        ),
        (
            "source owner (.16)",
            &carried.source_repository_owner_uri,
            &demanded.source_owner,
        ),
        ("trigger (.20)", &carried.build_trigger, &demanded.trigger),
    ];
    for (name, carried, demanded) in claims {
        if carried.as_ref() != Some(demanded) {
            let carried = carried
                .as_ref()
                .map_or_else(|| "missing".to_owned(), |text| format!("{text:?}"));
            return Err((
                Reason::ClaimMismatch,
                format!("{name} is {carried}, not {demanded:?}"),
            ));
        }
    }
    Ok(())
}

/// The log's time against our own `now` (cosign 2.6 accepts one in the future) and, once more than
/// `sigstore-verify` does, against the certificate's validity.
fn check_time(time: Timestamp, certificate: &CertificateInfo, now: Timestamp) -> Result<(), Failure> {
    let latest = now.saturating_add(CLOCK_TOLERANCE).unwrap_or(Timestamp::MAX);
    if time > latest {
        return Err((
            Reason::LogEntryInvalid,
            format!("the log's time {time} is after {now}"),
        ));
    }
    if time < certificate.not_before || time > certificate.not_after {
        let CertificateInfo {
            not_before,
            not_after,
            ..
        } = certificate;
        let detail =
            format!("the log's time {time} is outside the certificate's {not_before} to {not_after}");
        return Err((Reason::CertificateInvalid, detail));
    }
    Ok(())
}

/// Details hold texts of certificates and payloads, which anybody can write: no control characters, and no
/// more than a screenful.
fn for_people(detail: &str) -> String {
    let shown = detail.chars().take(MAX_DETAIL);
    let mut text: String = shown
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect();
    if text.len() < detail.len() {
        text.push('…');
    }
    text
}

/// How telling a failure is; lower says more.
fn rank(reason: Reason) -> usize {
    const ORDER: [Reason; 7] = [
        Reason::IdentityMismatch,
        Reason::ClaimMismatch,
        Reason::PayloadMismatch,
        Reason::CertificateInvalid,
        Reason::LogEntryInvalid,
        Reason::SignatureInvalid,
        Reason::MaterialMalformed,
    ];
    ORDER
        .iter()
        .position(|known| *known == reason)
        .unwrap_or(ORDER.len())
}
