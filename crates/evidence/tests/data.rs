//! Real signatures and the Sigstore conformance suite, from `$FLUXGATE_TEST_DATA` (default `../shared/data`
//! beside the workspace). Where the data is absent the tests are listed as ignored;
//! `FLUXGATE_REQUIRE_TEST_DATA=1` makes absence a failure.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test program without libtest: it ends where its data is broken, and says where data is missing"
)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use domain::evidence::SignatureMaterial;
use domain::identity::{Claims, IdentityProfile};
use domain::{CheckResult, Digest, ImageRef, Reason};
use evidence::{Expectation, TrustRoot, Verdict, verify_signatures};
use jiff::Timestamp;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use sigstore_trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot};
use sigstore_types::{Bundle, DerPublicKey, Sha256Hash};
use sigstore_verify::{Policy, PublicKeyVerificationPolicy, VerificationPolicy, Verifier};

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const CONFORMANCE_IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
/// Cases of sigstore-conformance v0.0.29; a folder that lost some must not pass.
const CONFORMANCE_CASES: usize = 70;

type Outcome = Result<(), Failed>;
type LegacyTest = fn(&Legacy) -> Outcome;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let data = std::env::var_os("FLUXGATE_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let folder = data.join("sigstore");
    let trials = if folder.is_dir() {
        present(&folder).expect("the test data can be listed")
    } else {
        absent(&folder)
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn absent(folder: &Path) -> Vec<Trial> {
    let required = std::env::var_os("FLUXGATE_REQUIRE_TEST_DATA").is_some_and(|value| value == "1");
    let message = format!(
        "NO TEST DATA: {} does not exist; set FLUXGATE_TEST_DATA",
        folder.display()
    );
    eprintln!("{message}");
    ["conformance", "legacy_cosign", "synthetic_mix_and_match"]
        .map(|name| {
            let message = message.clone();
            Trial::test(name, move || Err(message.into())).with_ignored_flag(!required)
        })
        .into()
}

fn present(folder: &Path) -> Result<Vec<Trial>, Box<dyn Error>> {
    let mut trials = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(folder.join("conformance/bundle-verify"))? {
        let path = entry?.path();
        if path.is_dir() {
            cases += 1;
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            trials.push(Trial::test(format!("conformance::{name}"), move || {
                conformance(&path)
            }));
        }
    }
    trials.push(Trial::test("conformance::is_complete", move || {
        equal(&cases, &CONFORMANCE_CASES)
    }));
    let legacy: [(&str, LegacyTest); 6] = [
        ("a_real_signature_passes", Legacy::passes),
        ("is_not_flux", Legacy::is_not_flux),
        ("is_about_its_digest", Legacy::is_about_its_digest),
        ("is_about_its_repository", Legacy::is_about_its_repository),
        ("is_of_its_ref", Legacy::is_of_its_ref),
        ("is_not_from_the_future", Legacy::is_not_from_the_future),
    ];
    for (name, test) in legacy {
        let folder = folder.to_owned();
        trials.push(Trial::test(format!("legacy_cosign::{name}"), move || {
            test(&Legacy::read(&folder)?)
        }));
    }
    let legacy = folder.to_owned();
    trials.push(Trial::test("legacy_cosign::staging_root_refuses_it", move || {
        let root = legacy.join("roots/other/staging_trusted_root.json");
        let verdict = Legacy::read(&legacy)?.verify_under(&TrustRoot::from_json(&fs::read(root)?)?);
        equal(
            &(verdict.result, verdict.reason),
            &(CheckResult::Failed, Reason::LogEntryInvalid),
        )
    }));
    let synthetic = folder.join("synthetic-mix-and-match");
    let mixed = synthetic.clone();
    trials.push(Trial::test(
        "synthetic_mix_and_match::good_lacks_an_sct",
        move || {
            let verdict = synthetic_verdict(&synthetic, "good.json")?;
            equal(
                &(verdict.result, verdict.reason),
                &(CheckResult::Failed, Reason::CertificateInvalid),
            )
        },
    ));
    trials.push(Trial::test(
        "synthetic_mix_and_match::mixed_is_refused",
        move || {
            equal(
                &synthetic_verdict(&mixed, "mixed.json")?.result,
                &CheckResult::Failed,
            )
        },
    ));
    Ok(trials)
}

fn equal<T: PartialEq + std::fmt::Debug>(found: &T, wanted: &T) -> Outcome {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("found {found:?}, wanted {wanted:?}").into())
    }
}

/// One case of the suite (its README says what the files mean), by file and by digest: what the crate that
/// `evidence` rests on accepts and refuses.
fn conformance(case: &Path) -> Outcome {
    let name = case.file_name().unwrap().to_string_lossy();
    let own = case.join("artifact");
    let artifact = fs::read(if own.exists() {
        own
    } else {
        case.with_file_name("a.txt")
    })?;
    let digest = Sha256Hash::from(*Digest::of(&artifact).as_bytes());
    let by_file = conformance_verify(case, |verifier, bundle, policy| {
        verifier.verify(artifact.as_slice(), bundle, policy).map(drop)
    });
    let by_digest = conformance_verify(case, |verifier, bundle, policy| {
        verifier.verify(digest, bundle, policy).map(drop)
    });
    let wanted = !name.ends_with("_fail");
    for (how, result) in [("file", by_file), ("digest", by_digest)] {
        if result.is_ok() != wanted {
            return Err(format!("by {how}: {result:?}").into());
        }
    }
    Ok(())
}

fn conformance_verify(
    case: &Path,
    verify: impl FnOnce(&Verifier, &Bundle, &dyn Policy) -> sigstore_verify::Result<()>,
) -> Result<(), Box<dyn Error>> {
    let text = |name: &str, default: &str| fs::read_to_string(case.join(name)).unwrap_or(default.to_owned());
    let root = TrustedRoot::from_json(&text("trusted_root.json", SIGSTORE_PRODUCTION_TRUSTED_ROOT))?;
    let verifier = Verifier::new(&root)?;
    let bundle = Bundle::from_json(&fs::read_to_string(case.join("bundle.sigstore.json"))?)?;
    let policy: Box<dyn Policy> = match fs::read_to_string(case.join("key.pub")) {
        Ok(key) => Box::new(PublicKeyVerificationPolicy::new(DerPublicKey::from_pem(&key)?)),
        Err(_) => {
            let identity = text("identity", CONFORMANCE_IDENTITY);
            Box::new(VerificationPolicy::new(
                identity.trim(),
                text("issuer", ISSUER).trim(),
            ))
        }
    };
    Ok(verify(&verifier, &bundle, policy.as_ref())?)
}

/// A real keyless signature of a GitHub workflow, in the form in which Flux is signed.
struct Legacy {
    material: SignatureMaterial,
    trust: TrustRoot,
    image: ImageRef,
    digest: Digest,
    profile: IdentityProfile,
    now: Timestamp,
}

impl Legacy {
    fn read(folder: &Path) -> Result<Self, Failed> {
        let folder = folder.join("legacy-cosign");
        let manifest: Value = serde_json::from_slice(&fs::read(folder.join("signature-manifest.json"))?)?;
        let owner = "https://github.com/salrashid123";
        let repository = format!("{owner}/go-bazel-github-workflow");
        Ok(Self {
            material: material(&manifest, fs::read(folder.join("payload.json"))?),
            trust: TrustRoot::from_json(SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes())?,
            image: "index.docker.io/salrashid123/server_image:latest".parse()?,
            digest: "sha256:c05263d2ff654c3a94243662440913f045075d59c436e2c69e9145ec2b87a321".parse()?,
            profile: IdentityProfile {
                subject_alternative_names: vec![format!(
                    "{repository}/.github/workflows/release.yaml@refs/tags/v0.0.30"
                )],
                issuer: ISSUER.to_owned(),
                claims: Claims {
                    source_repository: repository,
                    source_ref: "refs/tags/v0.0.30".to_owned(),
                    source_owner: owner.to_owned(),
                    trigger: "push".to_owned(),
                    runner: "github-hosted".to_owned(),
                },
            },
            now: "2026-03-01T00:00:00Z".parse()?,
        })
    }

    fn verify(&self) -> Verdict {
        self.verify_under(&self.trust)
    }

    fn verify_under(&self, trust: &TrustRoot) -> Verdict {
        let expect = Expectation {
            image: &self.image,
            digest: self.digest,
            profile: &self.profile,
        };
        verify_signatures(std::slice::from_ref(&self.material), &expect, trust, self.now)
    }

    fn passes(&self) -> Outcome {
        let verdict = self.verify();
        if verdict.result != CheckResult::Passed {
            return Err(format!("{verdict:?}").into());
        }
        equal(
            &verdict.integrated_time,
            &Some(Timestamp::from_second(1_772_216_446)?),
        )
    }

    fn fails(&self, reason: Reason) -> Outcome {
        let verdict = self.verify();
        equal(&(verdict.result, verdict.reason), &(CheckResult::Failed, reason))
    }

    fn is_not_flux(&self) -> Outcome {
        let mut profile = self.profile.clone();
        profile.subject_alternative_names = vec![
            "https://github.com/fluxcd/flux2/.github/workflows/release.yaml@refs/tags/v2.9.4".to_owned(),
        ];
        let expect = Expectation {
            image: &self.image,
            digest: self.digest,
            profile: &profile,
        };
        let verdict = verify_signatures(
            std::slice::from_ref(&self.material),
            &expect,
            &self.trust,
            self.now,
        );
        equal(&verdict.reason, &Reason::IdentityMismatch)?;
        let found = verdict.found.ok_or("no identity found")?;
        equal(&found.source_repository, &self.profile.claims.source_repository)
    }

    fn is_about_its_digest(&self) -> Outcome {
        self.with(|legacy| legacy.digest = Digest::of(b"other"))
            .fails(Reason::PayloadMismatch)
    }

    fn is_about_its_repository(&self) -> Outcome {
        let other = "ghcr.io/fluxcd/source-controller:v1.9.4".parse()?;
        self.with(|legacy| legacy.image = other)
            .fails(Reason::PayloadMismatch)
    }

    fn is_of_its_ref(&self) -> Outcome {
        let other = "refs/tags/v0.0.4".to_owned();
        self.with(|legacy| legacy.profile.claims.source_ref = other)
            .fails(Reason::ClaimMismatch)
    }

    fn is_not_from_the_future(&self) -> Outcome {
        let before = "2026-02-27T18:00:00Z".parse()?;
        self.with(|legacy| legacy.now = before)
            .fails(Reason::LogEntryInvalid)
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = Self {
            material: self.material.clone(),
            trust: self.trust.clone(),
            image: self.image.clone(),
            digest: self.digest,
            profile: self.profile.clone(),
            now: self.now,
        };
        change(&mut changed);
        changed
    }
}

/// The first layer of a `.sig` manifest.
fn material(manifest: &Value, payload: Vec<u8>) -> SignatureMaterial {
    let annotations = &manifest["layers"][0]["annotations"];
    let text = |name: &str| annotations[name].as_str().unwrap_or_default().to_owned();
    SignatureMaterial {
        payload,
        signature: text("dev.cosignproject.cosign/signature"),
        certificate: text("dev.sigstore.cosign/certificate"),
        bundle: text("dev.sigstore.cosign/bundle"),
    }
}

/// Our own set: an instance of its own whose root has no CT log (one of the public-good instance is put in,
/// because a root without one is refused) and whose certificates have no SCT.
fn synthetic_verdict(folder: &Path, file: &str) -> Result<Verdict, Failed> {
    let meta: Value = serde_json::from_slice(&fs::read(folder.join("meta.json"))?)?;
    let mut root: Value = serde_json::from_slice(&fs::read(folder.join("trusted_root.json"))?)?;
    let public: Value = serde_json::from_str(SIGSTORE_PRODUCTION_TRUSTED_ROOT)?;
    root["ctlogs"] = public["ctlogs"].clone();
    let trust = TrustRoot::from_json(&serde_json::to_vec(&root)?)?;
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join(file))?)?;
    let text = |name: &str| meta[name].as_str().unwrap_or_default().to_owned();
    let profile = IdentityProfile {
        subject_alternative_names: vec![text("url")],
        issuer: text("iss"),
        claims: Claims {
            source_repository: String::new(),
            source_ref: String::new(),
            source_owner: String::new(),
            trigger: String::new(),
            runner: String::new(),
        },
    };
    let image = "localhost:5077/lab/img:latest".parse()?;
    let expect = Expectation {
        image: &image,
        digest: text("img").parse()?,
        profile: &profile,
    };
    let material = material(&manifest, fs::read(folder.join("payload"))?);
    Ok(verify_signatures(
        &[material],
        &expect,
        &trust,
        "2026-03-01T00:00:00Z".parse()?,
    ))
}
