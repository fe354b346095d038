//! Writes the material of `evidence::self_test` into the folder that is named: one signature of a demo
//! Sigstore whose keys are forgotten, and its trust root. Run again only if the form changes.

use std::error::Error;
use std::path::PathBuf;

use testkit::sigstore::{DemoSigstore, Workflow, simplesigning};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("name the folder to write to")?);
    let at = "2026-01-15T12:00:00Z".parse()?;
    let demo = DemoSigstore::new(at)?;
    let digest = domain::Digest::of(b"self-test");
    let profile = domain::identity::IdentityProfile {
        subject_alternative_names: vec![
            "https://github.com/fluxgate/self-test/.github/workflows/release.yaml@refs/tags/v1.0.0"
                .to_owned(),
        ],
        issuer: "https://token.actions.githubusercontent.com".to_owned(),
        claims: domain::identity::Claims {
            source_repository: "https://github.com/fluxgate/self-test".to_owned(),
            source_ref: "refs/tags/v1.0.0".to_owned(),
            source_owner: "https://github.com/fluxgate".to_owned(),
            trigger: "push".to_owned(),
            runner: "github-hosted".to_owned(),
        },
    };
    let payload = simplesigning("registry.invalid/fluxgate/self-test", digest);
    let material = demo.sign(&payload, &Workflow::demanded_by(&profile), at)?;
    std::fs::write(folder.join("trusted_root.json"), demo.trusted_root_json()?)?;
    std::fs::write(folder.join("payload.json"), material.payload)?;
    std::fs::write(folder.join("signature.txt"), material.signature)?;
    std::fs::write(folder.join("certificate.pem"), material.certificate)?;
    std::fs::write(folder.join("bundle.json"), material.bundle)?;
    Ok(())
}
