//! Scenario scripts: `tests/scenarios/*.txt` drive the policy, their transcripts are golden files.
//!
//! One command a line; what follows `#` is a remark. A script begins with the shipped policy, a cluster that
//! runs v2.9.3, and v2.9.4 as it must be, signed at the time of the clock, 2026-11-24T12:00:00Z.
//!
//! ```text
//! policy                               the policy in force: the lines below, indented by two blanks
//! clock TIME                           what time it is
//! wait 72h                             that time goes by
//! baseline VERSION | baseline unknown  what the cluster runs
//! release VERSION signed TIME          a release as it must be, last signed at that time
//! tag moved                            the version was seen before with another digest
//! ledger unsure WHY | ledger sure      what audit-log says
//! WHO ARTIFACT fails REASON            verifier, engine or both: checked, and wrong
//! WHO ARTIFACT unchecked REASON        ... not checked
//! WHO ARTIFACT silent                  ... nothing is said
//! WHO ARTIFACT swapped                 ... other bytes are spoken of
//! contents unknown                     nobody says what the release contains
//! summary missing                      the verifier has not summed up
//! decide                               ask the policy; the stored inputs are decided upon again
//! ```

use std::fs;
use std::path::PathBuf;

use domain::{Artifact, CheckResult, Digest, Outcome, Reason};
use jiff::{SignedDuration, Timestamp};
use policy::Ledger;

use crate::world::{Voice, World};

/// What a script did: its transcript, and the stored inputs of each of its decisions.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) name: String,
    pub(crate) transcript: String,
    pub(crate) decided: Vec<Vec<u8>>,
}

/// Plays every script.
pub(crate) fn play_all() -> Vec<Played> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut scripts: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 10, "scripts are missing: {scripts:?}");
    scripts
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            play(name, &fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn play(name: String, script: &str) -> Played {
    let mut world = World::new();
    let (mut transcript, mut decided) = (String::new(), Vec::new());
    let mut lines = script.lines().peekable();
    while let Some(line) = lines.next() {
        transcript.push_str(&format!("{line}\n"));
        let command = line.split('#').next().unwrap_or_default().trim();
        match command {
            "" => {}
            "policy" => {
                let mut text = String::new();
                while let Some(line) = lines.next_if(|line| line.starts_with("  ")) {
                    transcript.push_str(&format!("{line}\n"));
                    text.push_str(&format!("{}\n", &line[2..]));
                }
                world.policy(&text);
            }
            "decide" => {
                let (answer, inputs) = decide(&mut world);
                transcript.push_str(&answer);
                decided.push(inputs);
            }
            other => obey(&mut world, other).unwrap_or_else(|| panic!("{name}: not understood: {other}")),
        }
    }
    assert!(!decided.is_empty(), "{name} decides nothing");
    Played {
        name,
        transcript,
        decided,
    }
}

/// Carries out a command; `None` if it is none.
fn obey(world: &mut World, command: &str) -> Option<()> {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words.as_slice() {
        ["clock", time] => world.0.now = time.parse().ok()?,
        ["wait", time] => world.0.now += time.parse::<SignedDuration>().ok()?,
        ["baseline", "unknown"] => world.run_baseline(None),
        ["baseline", version] => world.run_baseline(Some(version.parse().ok()?)),
        ["release", version, "signed", time] => {
            world.release(version.parse().ok()?, time.parse::<Timestamp>().ok()?);
        }
        ["tag", "moved"] => world.0.tag_moved = true,
        ["ledger", "sure"] => world.0.ledger = Ledger::Confirmed,
        ["ledger", "unsure", why @ ..] => world.0.ledger = Ledger::Unconfirmed { why: why.join(" ") },
        ["contents", "unknown"] => world.0.contents = None,
        ["summary", "missing"] => world.0.summary = None,
        [who, artifact, rest @ ..] => {
            let artifact: Artifact = artifact.parse().ok()?;
            let voices: &[Voice] = match *who {
                "verifier" => &[Voice::Verifier],
                "engine" => &[Voice::Engine],
                "both" => &[Voice::Verifier, Voice::Engine],
                _ => return None,
            };
            for voice in voices {
                said(world, *voice, artifact, rest)?;
            }
        }
        _ => return None,
    }
    Some(())
}

fn said(world: &mut World, who: Voice, artifact: Artifact, rest: &[&str]) -> Option<()> {
    match rest {
        ["fails", reason] => {
            let reason: Reason = reason.parse().ok()?;
            world.spoil(who, artifact, CheckResult::Failed, reason);
        }
        ["unchecked", reason] => {
            let reason: Reason = reason.parse().ok()?;
            world.spoil(who, artifact, CheckResult::NotChecked, reason);
        }
        ["silent"] => world.silence(who, artifact),
        ["swapped"] => world.swap(who, artifact),
        _ => return None,
    }
    Some(())
}

/// Decides, stores, and decides again from what was stored: both must be one.
fn decide(world: &mut World) -> (String, Vec<u8>) {
    let inputs = world.0.to_bytes();
    let evaluation = world.0.evaluate().unwrap();
    let decision = policy::replay(&inputs).unwrap();
    assert_eq!(
        (
            decision.outcome,
            &decision.rules,
            decision.valid_until,
            decision.wait_until
        ),
        (
            evaluation.outcome,
            &evaluation.rules,
            evaluation.valid_until,
            evaluation.wait_until
        )
    );
    assert_eq!(decision.inputs, Digest::of(&inputs));
    assert_eq!(policy::replay(&inputs).unwrap(), decision);
    let until = match (decision.outcome, decision.valid_until, decision.wait_until) {
        (Outcome::Allow, Some(until), _) => format!(", valid until {until}"),
        (Outcome::Wait, _, Some(until)) => format!(", until {until}"),
        (Outcome::Wait, _, None) => ", nobody knows until when".to_owned(),
        _ => String::new(),
    };
    let mut answer = format!("> {} at {}{until}\n", decision.outcome, decision.decided);
    for rule in &decision.rules {
        answer.push_str(&format!(">   {}: {} {}\n", rule.rule, rule.outcome, rule.reason));
        for line in rule.detail.lines() {
            answer.push_str(&format!(">     {line}\n"));
        }
    }
    // The next decision of the series comes after this one.
    world.0.as_of += 1;
    (answer, inputs)
}

#[test]
fn every_scenario_goes_as_its_transcript_says() {
    for played in play_all() {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "../scenarios/transcripts" }, {
            insta::assert_snapshot!(played.name, played.transcript);
        });
    }
}
