//! `keys init|show|agent`.

use std::path::Path;

use serde_json::json;

use super::Context;
use crate::cli::{Format, KeysArgs, KeysCommand};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::keys::{self, Made};
use crate::output::Sign;
use crate::table::Table;

pub(super) fn run(args: &KeysArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    match &args.command {
        KeysCommand::Init { out, days, demo } => {
            let made = keys::init(out, *days, *demo, context.now)?;
            show_made(out, &made, *demo, context)?;
        }
        KeysCommand::Show { file } => {
            let (key, private) = keys::show(file)?;
            match context.screen.format() {
                Format::Json => {
                    context
                        .screen
                        .json(&json!({ "fingerprint": key.fingerprint(), "private": private }))?;
                }
                Format::Table | Format::Wide => context.screen.data(&key.fingerprint()),
            }
            if private {
                context
                    .screen
                    .hint(Sign::Warning, "this file holds a private key: keep it secret");
            }
        }
        KeysCommand::Agent { out } => {
            let key = keys::agent(out)?;
            match context.screen.format() {
                Format::Json => context.screen.json(&json!({ "agentKey": key.fingerprint() }))?,
                Format::Table | Format::Wide => {
                    context.screen.data(&format!("agentKey: {}", key.fingerprint()));
                }
            }
            let next = format!(
                "{} is the agent's alone; the line above belongs into fleet.yaml",
                out.display()
            );
            context.screen.hint(Sign::Good, &next);
        }
    }
    Ok(Exit::Done)
}

fn show_made(dir: &Path, made: &Made, demo: bool, context: &Context<'_>) -> Result<(), Failure> {
    let screen = context.screen;
    if screen.format() == Format::Json {
        let roles: serde_json::Map<_, _> = made
            .roles
            .iter()
            .map(|(role, key)| (role.to_string(), key.fingerprint().into()))
            .collect();
        return screen.json(&json!({
            "root": made.root.fingerprint(),
            "roles": roles,
            "files": made.files,
            "notAfter": made.not_after,
            "demo": demo,
        }));
    }
    let mut table = Table::new(&["KEY", "FINGERPRINT", "MAY ACT UNTIL"]);
    table.row(["root".to_owned(), made.root.fingerprint(), "replaced".to_owned()]);
    for (role, key) in &made.roles {
        table.row([
            role.to_string(),
            key.fingerprint(),
            format!("{:.0}", made.not_after),
        ]);
    }
    screen.data(&table.render(screen.header(), ""));
    screen.hint(
        Sign::Good,
        &format!("{} files written to {}", made.files.len(), dir.display()),
    );
    if demo {
        screen.hint(
            Sign::Warning,
            "DEMO keys: everything decided under them is marked, and most agents refuse it",
        );
    }
    screen.hint(
        Sign::Warning,
        "root.key: keep offline; it is needed only to sign the next bundle",
    );
    let next = format!(
        "next: give root.pub and one ROLE.key to each service, root.pub to each agent, then run\n  fluxgate migrate --nats URL --bundle {}",
        dir.join(keys::BUNDLE).display()
    );
    screen.hint(Sign::Begin, &next);
    Ok(())
}
