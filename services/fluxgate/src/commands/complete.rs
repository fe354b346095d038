//! The hidden `__complete`: what can be typed next, in the protocol of Cobra, which `flux` and kubectl speak
//! with their plugins: `value<TAB>help` lines, then `:DIRECTIVE`.
//!
//! Names of resources are asked for with a budget of 300 ms; a hub that takes longer completes no names.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Arg, Command, CommandFactory as _};

use crate::cli::{Cli, Kind};
use crate::client::Client;
use crate::names;

/// How long names may take: a shell waits for them. The tests are about what is offered, on a machine that may be busy.
const BUDGET: Duration = Duration::from_millis(if cfg!(test) { 3_000 } else { 300 });
/// No files in place of what is offered.
const NO_FILES: u8 = 4;
/// No space behind what is offered: it goes on.
const NO_SPACE: u8 = 2;
/// Collections of `freeze`, which are no types of `get`.
const FREEZES: [&str; 3] = ["fleet", "waves/", "labels/"];

/// What the words behind `__complete` can be completed to; the last one is being typed.
#[must_use]
pub(crate) fn answer(words: &[OsString]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let (typed, before) = match words.split_last() {
        Some((typed, before)) => (typed.as_str(), before),
        None => ("", [].as_slice()),
    };
    let mut root = Cli::command();
    root.build();
    let place = place(&root, before);
    let offers = match place.value_of {
        Some(flag) => of_flag(flag, typed, &server(&words)),
        None if typed.starts_with('-') => flags(place.command, typed),
        None => {
            let mut offers = subcommands(place.command, typed);
            if let Some(argument) = place.command.get_positionals().nth(place.positionals) {
                offers.extend(positional(argument, typed, &server(&words)));
            }
            offers
        }
    };
    let goes_on = !offers.is_empty() && offers.iter().all(|(value, _)| value.ends_with('/'));
    let directive = if goes_on { NO_FILES | NO_SPACE } else { NO_FILES };
    let mut lines: Vec<String> = offers
        .into_iter()
        .map(|(value, help)| match help.as_str() {
            "" => value,
            help => format!("{value}\t{help}"),
        })
        .collect();
    lines.push(format!(":{directive}"));
    lines.join("\n")
}

/// A value and what it is.
type Offer = (String, String);

/// Where in the tree of commands the next word stands.
struct Place<'a> {
    command: &'a Command,
    /// Positional arguments that were typed.
    positionals: usize,
    /// The flag whose value comes next.
    value_of: Option<&'a Arg>,
}

fn place<'a>(root: &'a Command, before: &[String]) -> Place<'a> {
    let mut place = Place {
        command: root,
        positionals: 0,
        value_of: None,
    };
    for word in before {
        if place.value_of.take().is_some() {
            continue;
        }
        if word.starts_with('-') {
            place.value_of = flag(place.command, word).filter(|flag| flag.get_action().takes_values());
        } else if let Some(command) = place.command.find_subcommand(word) {
            place.command = command;
        } else {
            place.positionals = place.positionals.saturating_add(1);
        }
    }
    place
}

/// The flag of a word; none where its value stands in the same word.
fn flag<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|argument| {
        let long = word
            .strip_prefix("--")
            .is_some_and(|name| argument.get_long() == Some(name));
        let short = word.strip_prefix('-').and_then(|name| name.parse::<char>().ok());
        long || (short.is_some() && argument.get_short() == short)
    })
}

fn help(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

fn subcommands(command: &Command, typed: &str) -> Vec<Offer> {
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name().starts_with(typed))
        .map(|command| (command.get_name().to_owned(), help(command.get_about())))
        .collect()
}

fn flags(command: &Command, typed: &str) -> Vec<Offer> {
    let flags = command.get_arguments().filter(|argument| !argument.is_hide_set());
    flags
        .filter_map(|argument| {
            let flag = format!("--{}", argument.get_long()?);
            flag.starts_with(typed).then(|| (flag, help(argument.get_help())))
        })
        .collect()
}

/// What a flag or an argument may be, where that is a closed list.
fn values(argument: &Arg, typed: &str) -> Vec<Offer> {
    argument
        .get_possible_values()
        .into_iter()
        .filter(|value| !value.is_hide_set() && value.get_name().starts_with(typed))
        .map(|value| (value.get_name().to_owned(), help(value.get_help())))
        .collect()
}

/// Values of a flag: a closed list, or names without their collection.
fn of_flag(flag: &Arg, typed: &str, server: &str) -> Vec<Offer> {
    let kind = match placeholder(flag) {
        "CLUSTER" => Kind::Clusters,
        "RELEASE" => Kind::Releases,
        "DECISION" => Kind::Decisions,
        _ => return values(flag, typed),
    };
    let whole = format!("{}/{typed}", kind.plural());
    let offers = resources(kind, &whole, server).into_iter();
    offers
        .map(|(name, help)| (names::bare(&name).to_owned(), help))
        .collect()
}

/// What stands for the value in the help.
fn placeholder(argument: &Arg) -> &str {
    let names = argument.get_value_names().and_then(|names| names.first());
    names.map_or("", |name| name.as_str())
}

fn positional(argument: &Arg, typed: &str, server: &str) -> Vec<Offer> {
    let closed = values(argument, typed);
    if !closed.is_empty() {
        return closed;
    }
    let placeholder = placeholder(argument);
    let kinds: Vec<Kind> = match placeholder {
        "TYPE[/NAME]" | "TYPE/NAME" => Kind::ALL.to_vec(),
        "rollouts/ID" => vec![Kind::Rollouts],
        "clusters/NAME" => vec![Kind::Clusters],
        "releases/VERSION" | "releases[/VERSION]" => vec![Kind::Releases],
        "SCOPE" => {
            let scopes = FREEZES.into_iter().filter(|scope| scope.starts_with(typed));
            return scopes.map(|scope| (scope.to_owned(), String::new())).collect();
        }
        "REASON_CODE" => {
            let codes = domain::Reason::all().filter(|reason| reason.code().starts_with(typed));
            return codes
                .map(|reason| (reason.code().to_owned(), reason.meaning().to_owned()))
                .collect();
        }
        _ => return Vec::new(),
    };
    let named = typed.split_once('/').map(|(collection, _)| collection);
    match kinds.iter().find(|kind| Some(kind.plural()) == named) {
        Some(kind) => resources(*kind, typed, server),
        None if placeholder.contains('[') => collections(&kinds, typed, ""),
        None => collections(&kinds, typed, "/"),
    }
}

fn collections(kinds: &[Kind], typed: &str, end: &str) -> Vec<Offer> {
    let words = kinds.iter().map(|kind| format!("{}{end}", kind.plural()));
    let words = words.filter(|word| word.starts_with(typed));
    words.map(|word| (word, String::new())).collect()
}

/// The address that was typed, or that of the environment, or the default.
fn server(words: &[String]) -> String {
    let pairs = words.iter().zip(words.iter().skip(1));
    let apart = pairs
        .filter(|(flag, _)| *flag == "--server")
        .map(|(_, url)| url.as_str());
    let together = words.iter().filter_map(|word| word.strip_prefix("--server="));
    if let Some(typed) = apart.chain(together).next_back() {
        return typed.to_owned();
    }
    let own = Cli::command()
        .get_arguments()
        .find(|argument| argument.get_id() == "server")
        .map(|argument| {
            let default = argument.get_default_values().first();
            let set = argument.get_env().and_then(std::env::var_os);
            let chosen = set.or_else(|| default.map(|value| value.to_os_string()));
            chosen.unwrap_or_default().to_string_lossy().into_owned()
        });
    own.unwrap_or_default()
}

/// The names of a kind, as far as they come in time.
fn resources(kind: Kind, typed: &str, server: &str) -> Vec<Offer> {
    let Ok(executor) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let asked = executor.block_on(async { tokio::time::timeout(BUDGET, listed(kind, server)).await });
    executor.shutdown_background();
    let offers = asked.ok().flatten().unwrap_or_default();
    offers
        .into_iter()
        .filter(|(name, _)| name.starts_with(typed))
        .collect()
}

async fn listed(kind: Kind, server: &str) -> Option<Vec<Offer>> {
    let client = Client::connect(server, BUDGET).await.ok()?;
    let offers = match kind {
        Kind::Releases => {
            let releases = client.all_releases().await.ok()?.items;
            let short = |name: &str| name.replacen("releases/flux/", "releases/", 1);
            releases
                .iter()
                .map(|release| (short(&release.name), String::new()))
                .collect()
        }
        Kind::Decisions => {
            let decisions = client.all_decisions(String::new()).await.ok()?.items;
            let about = |view: &wire::policy::v1::DecisionView| {
                let decision = view.decision.as_ref();
                decision.map(|decision| names::without_digest(&decision.release).to_owned())
            };
            let offers = decisions
                .iter()
                .map(|view| (view.name.clone(), about(view).unwrap_or_default()));
            offers.collect()
        }
        Kind::Policies => {
            let policies = client.all_policies().await.ok()?.items;
            let name = |policy: &str| format!("policies/{policy}");
            policies
                .iter()
                .map(|policy| (name(&policy.policy), String::new()))
                .collect()
        }
        Kind::Rollouts => {
            let rollouts = client.all_rollouts().await.ok()?.items;
            let offers = rollouts
                .iter()
                .map(|rollout| (rollout.name.clone(), crate::lists::rollout_state(rollout)));
            offers.collect()
        }
        Kind::Clusters => {
            let clusters = client.all_clusters().await.ok()?.items;
            clusters
                .iter()
                .map(|cluster| (cluster.name.clone(), cluster.version.clone()))
                .collect()
        }
        Kind::Entries | Kind::Stops => Vec::new(),
    };
    Some(offers)
}
