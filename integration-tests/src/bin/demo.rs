//! `./justw demo`: plays the scenes. Exit code 0 only when each ended as it should.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use integration_tests::demo::{Played, Scene, Teller, play};
use integration_tests::lab::progress::StderrLines;
use integration_tests::lab::tools::{Tool, Tools};
use integration_tests::lab::{Lab, tether};
use integration_tests::outsider::has;
use integration_tests::stage::Service;
use integration_tests::terminal::{self, write};

/// A Flux release goes from a registry to three upgraded clusters, signed at every step, on real parts.
#[derive(Debug, Parser)]
#[command(
    name = "demo",
    after_help = "Exit codes: 0 each scene ended as it should, 1 one did not, 2 wrong usage, 130 interrupted."
)]
struct Arguments {
    /// Play this scene alone: good-patch, wrong-signer, forged-assignment or sick-canary
    #[arg(long, value_name = "NAME", value_parser = scene)]
    scene: Option<Scene>,
    /// Leave everything of the last scene running until Ctrl-C, for the CLI in a second terminal
    #[arg(long)]
    keep: bool,
}

fn scene(text: &str) -> Result<Scene, String> {
    let known = || Scene::ALL.map(Scene::name).join(", ");
    Scene::ALL
        .into_iter()
        .find(|scene| scene.name() == text)
        .ok_or_else(|| format!("scenes are {}", known()))
}

fn main() -> ExitCode {
    tether::run_if_asked();
    let arguments = Arguments::parse();
    terminal::run(run(&arguments))
}

async fn run(arguments: &Arguments) -> ExitCode {
    let teller = Teller::new(write);
    teller.plain(
        "Real: Kubernetes API servers, etcd, NATS JetStream, an OCI registry, every format and signature.",
    );
    teller.plain(
        "Pretend: the kubelet (no container runs), the images (a few bytes), the signers (DEMO keys).",
    );
    let lab = match Lab::start().await {
        Ok(lab) => lab,
        Err(error) => return failed(&teller, &error),
    };
    let scenes = arguments
        .scene
        .map_or_else(|| Scene::ALL.to_vec(), |scene| vec![scene]);
    if scenes.contains(&Scene::GoodPatch) {
        outsider(&teller).await;
    }
    let last = scenes.len();
    let place = place(&lab);
    for (number, scene) in scenes.into_iter().enumerate() {
        teller.begin(&format!("{}: {}", scene.name(), scene.about()));
        match play(scene, &lab, &teller, &place).await {
            Ok(played) => {
                teller.say(&format!("{} ended as it should", scene.name()));
                if arguments.keep && number + 1 == last {
                    keep(&teller, played).await;
                }
            }
            Err(error) => {
                lab.keep_logs();
                teller.say(&format!("logs are kept in {}", lab.folder().display()));
                return failed(&teller, &error);
            }
        }
    }
    next(&teller, arguments);
    ExitCode::SUCCESS
}

/// The export at the end of `good-patch` is checked by a cosign too: one is built, once, where the machine has none.
/// Without one the scene says that it was not checked.
async fn outsider(teller: &Teller) {
    if has("cosign").await {
        return;
    }
    let built = tokio::task::spawn_blocking(|| Tools::ensure(&[Tool::Cosign], &StderrLines)).await;
    match built {
        Ok(Ok(_tools)) => {}
        Ok(Err(error)) => teller.say(&format!("no cosign: {}", runtime::errors::chain(&error))),
        Err(error) => teller.say(&format!("no cosign: {error}")),
    }
}

/// Where exports lie afterwards: above the binary, in the build's folder.
fn place(lab: &Lab) -> PathBuf {
    let own = std::env::current_exe().ok();
    let above = own.as_deref().and_then(Path::parent).and_then(Path::parent);
    above.map_or_else(|| lab.folder().to_owned(), Path::to_owned)
}

fn failed(teller: &Teller, error: &dyn std::error::Error) -> ExitCode {
    teller.plain(&format!("error: {}", runtime::errors::chain(error)));
    ExitCode::FAILURE
}

/// What to type in a second terminal, while everything runs.
async fn keep(teller: &Teller, played: Played) {
    let url = played.hub.url();
    let address = url.trim_start_matches("http://");
    teller.plain("");
    teller.plain("Everything runs until Ctrl-C. In a second terminal:");
    let own = std::env::current_exe().ok();
    let folder = own.as_deref().and_then(Path::parent).map(Path::display);
    teller.plain(&format!(
        "  export FLUXGATE_SERVER={url} PATH={}:$PATH",
        folder.map_or_else(|| "$PWD/target/debug".to_owned(), |folder| folder.to_string())
    ));
    for command in [
        "status",
        "check",
        "describe clusters/canary",
        "describe releases/v2.9.4",
        "describe rollouts/flux-v2.9.4-1",
        "trace releases/v2.9.4",
    ] {
        teller.plain(&format!("  fluxgate {command}"));
    }
    teller.plain(&format!(
        "  buf curl --http2-prior-knowledge --protocol grpc http://{address}/fluxgate.fleet.v1.FleetService/ListClusters"
    ));
    for site in &played.stage.sites {
        teller.plain(&format!(
            "  kubectl --kubeconfig {} -n flux-system get pods",
            site.file.kubeconfig.display()
        ));
    }
    teller.plain("");
    teller.plain("To break something (process, log):");
    let hub = played.hub.process(Service::RolloutController);
    let hub = hub.map(|part| ("the hub".to_owned(), part));
    let agents = played.stage.sites.iter();
    let agents = agents.filter_map(|site| Some((format!("the agent of {}", site.name), site.agent()?)));
    let nats = ("nats-server".to_owned(), played.stage.nats.part());
    for (what, part) in hub.into_iter().chain(agents).chain([nats]) {
        teller.plain(&format!("  {:<7} {what}: {}", part.id(), part.log().display()));
    }
    std::future::pending::<()>().await;
}

fn next(teller: &Teller, arguments: &Arguments) {
    teller.plain("");
    let shell = if std::io::stdout().is_terminal() {
        ""
    } else {
        " (a terminal is not needed)"
    };
    match arguments.scene {
        None => teller.plain(&format!(
            "Next: ./justw demo --scene good-patch --keep{shell} leaves it running, to be looked at with `fluxgate`"
        )),
        Some(scene) => teller.plain(&format!("Next: ./justw demo --scene {} --keep{shell}", scene.name())),
    }
}
