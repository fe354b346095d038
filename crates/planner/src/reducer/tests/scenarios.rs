//! Scenario scripts: `tests/scenarios/*.txt` drive the planner line by line; the transcripts beside them are
//! golden. A script is read by people first, so it says what happens, not what is expected.
//!
//! Empty lines and lines that begin with `#` are kept as they are. Every other line is one command:
//!
//! ```text
//! strategy KEY: VALUE...       a strategy's `spec`, one line each; before anything else
//! fleet WAVE CLUSTER...        clusters with label wave=WAVE, at v2.9.3
//! runs VERSION CLUSTER...      what their agents report from now on
//! allow|wait|approve|deny VERSION from VERSION     the policy's newest decision
//! enforce|observe WAVE...      a person sets the mode of waves
//! stop SCOPE | lift SCOPE      a person stops a scope, or lifts the stop
//! retry ROLLOUT                a person asks for another attempt
//! remove CLUSTER...            they leave the fleet
//! silent CLUSTER... | back CLUSTER...     their agents send no heartbeats, or do again
//! accept|apply CLUSTER...      their agents say so about their tasks
//! refuse CODE CLUSTER...       their agents refuse
//! end HEALTH CLUSTER...        their agents end their tasks
//! sick CLUSTER...              their agents report UNHEALTHY, long after
//! ledger ok|unsure             whether audit-log confirms
//! pass DURATION                time passes; every agent that is not silent beats
//! plan                         the controller plans and carries out until nothing is left to do
//! work                         the same, and every agent that is there does what it is asked, to the end
//! waits                        what is waited for
//! gates CLUSTER                every condition of one cluster
//! restart                      the controller dies and reads everything again: it plans the same
//! ```

use std::fmt::Write as _;

use super::*;

/// One script with what it has printed.
struct Stage {
    lab: Lab,
    silent: BTreeSet<String>,
    transcript: String,
}

impl Stage {
    fn play(script: &str) -> String {
        let spec: String = script
            .lines()
            .filter_map(|line| line.strip_prefix("strategy "))
            .map(|line| format!("  {line}\n"))
            .collect();
        let head = "apiVersion: rollout.fluxgate.dev/v1alpha1\nkind: Strategy\nmetadata: {name: s}\nspec:\n";
        let strategy = Strategy::parse("script", &format!("{head}{spec}")).unwrap();
        let mut stage = Self {
            lab: Lab::of(strategy, Vec::new()),
            silent: BTreeSet::new(),
            transcript: String::new(),
        };
        for line in script.lines() {
            stage.line(line);
        }
        stage.transcript
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() || line.starts_with('#') {
            writeln!(self.transcript, "{line}").unwrap();
            return;
        }
        writeln!(self.transcript, "> {line}").unwrap();
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap();
        let rest: Vec<&str> = words.collect();
        match verb {
            "strategy" => {}
            "plan" => self.plan(),
            "work" => self.work(),
            "waits" => self.waits(),
            "gates" => self.gates(rest[0]),
            "restart" => self.restart(),
            "pass" => {
                self.lab.pass(rest[0].parse().unwrap());
                self.beat();
            }
            "silent" => self.silent.extend(rest.iter().map(ToString::to_string)),
            "back" => {
                self.silent.retain(|cluster| !rest.contains(&cluster.as_str()));
                self.beat();
            }
            _ if self.person(verb, &rest) || self.agent(verb, &rest) => {}
            _ => panic!("no such command: {line}"),
        }
    }

    /// What a person, the policy or audit-log says.
    fn person(&mut self, verb: &str, rest: &[&str]) -> bool {
        let outcome = match verb {
            "allow" => Some(Outcome::Allow),
            "wait" => Some(Outcome::Wait),
            "approve" => Some(Outcome::NeedsApproval),
            "deny" => Some(Outcome::Deny),
            _ => None,
        };
        match verb {
            "fleet" => {
                for cluster in &rest[1..] {
                    self.lab.members.push(member(cluster, rest[0]));
                    self.lab.runs(cluster, "v2.9.3");
                }
                self.beat();
            }
            "enforce" | "observe" => {
                let mode = if verb == "enforce" {
                    Mode::Enforce
                } else {
                    Mode::Observe
                };
                let waves = rest.iter().map(|wave| ((*wave).to_owned(), mode));
                self.lab.modes.waves.extend(waves);
            }
            "stop" => self.lab.stop(rest[0], true),
            "lift" => self.lab.stop(rest[0], false),
            "retry" => self.lab.restarts.extend([rest[0].parse().unwrap()]),
            "remove" => {
                let members = self.lab.members.iter_mut();
                let gone = members.filter(|m| rest.contains(&m.cluster.as_str()));
                gone.for_each(|member| member.removed = true);
            }
            "ledger" => self.lab.ledger_ok = rest[0] == "ok",
            _ => {
                let Some(outcome) = outcome else { return false };
                self.lab.decide(rest[0], rest[2], outcome);
            }
        }
        true
    }

    /// What agents say.
    fn agent(&mut self, verb: &str, rest: &[&str]) -> bool {
        let health = |text: &str| match text {
            "HEALTHY" => Health::Healthy,
            "UNHEALTHY" => Health::Unhealthy,
            "INCONCLUSIVE" => Health::Inconclusive,
            _ => panic!("no such health: {text}"),
        };
        let (kind, clusters) = match verb {
            "runs" => {
                rest[1..]
                    .iter()
                    .for_each(|cluster| self.lab.runs(cluster, rest[0]));
                return true;
            }
            "sick" => {
                for cluster in rest {
                    self.lab.judge(cluster, Health::Unhealthy);
                }
                return true;
            }
            "accept" => (ReportKind::Accepted, rest),
            "apply" => (ReportKind::Applied, rest),
            "refuse" => (ReportKind::Refused(rest[0].parse().unwrap()), &rest[1..]),
            "end" => (ReportKind::Finished(health(rest[0])), &rest[1..]),
            _ => return false,
        };
        for cluster in clusters {
            self.lab.report(cluster, kind.clone());
        }
        true
    }

    fn beat(&mut self) {
        for member in self.lab.members.clone() {
            if !member.removed && !self.silent.contains(member.cluster.as_str()) {
                self.lab.beat(member.cluster.as_str(), Health::Healthy);
            }
        }
    }

    fn plan(&mut self) {
        for step in self.lab.settle() {
            let told = match &step {
                Step::Start(started) => {
                    let wave = |wave: &domain::rollout::WaveSnapshot| {
                        format!("{} of {} clusters", wave.name, wave.clusters.len())
                    };
                    let waves: Vec<String> = started.waves.iter().map(wave).collect();
                    format!("start {}: {}", started.rollout, waves.join(", "))
                }
                Step::OpenWave(opened) => format!("open {}", opened.wave),
                Step::Assign(draft) if draft.renews.is_some() => format!("renew {}", draft.cluster),
                Step::Assign(draft) if draft.mode == Mode::Observe => format!("dry run of {}", draft.cluster),
                Step::Assign(draft) => format!("upgrade {} to {}", draft.cluster, draft.release.version),
                Step::Stop(stop) => format!("take back {}: {}: {}", stop.cluster, stop.reason, stop.detail),
                Step::BakeWave(baked) => format!(
                    "bake {}: {} clusters, {} reconciliations",
                    baked.wave, baked.clusters, baked.reconciles
                ),
                Step::Finish(finished) => format!("finish {}: {}", finished.end, finished.detail),
            };
            writeln!(self.transcript, "  {told}").unwrap();
        }
    }

    fn work(&mut self) {
        for _ in 0..40 {
            self.plan();
            let there = |cluster: &&str| !self.silent.contains(*cluster);
            let Some(cluster) = self.lab.in_work().into_iter().find(there).map(ToOwned::to_owned) else {
                return;
            };
            if self.lab.assignments[&name(&cluster)].action == Action::Stop {
                self.lab.report(&cluster, ReportKind::Accepted);
                writeln!(self.transcript, "  {cluster} has begun nothing").unwrap();
                continue;
            }
            let target = self.lab.assignments[&name(&cluster)].target.version.to_string();
            self.lab.report(&cluster, ReportKind::Accepted);
            self.lab.report(&cluster, ReportKind::Applied);
            self.lab.pass(SignedDuration::from_secs(60));
            self.lab.report(&cluster, ReportKind::Finished(Health::Healthy));
            self.lab.pass(SignedDuration::from_secs(1));
            self.lab.runs(&cluster, &target);
            self.beat();
            writeln!(self.transcript, "  {cluster} runs {target} and is HEALTHY").unwrap();
        }
    }

    fn waits(&mut self) {
        for wait in self.lab.plan().waits {
            let scope = match wait.scope {
                Scope::Rollout => "rollout".to_owned(),
                Scope::Wave(wave) => format!("wave {wave}"),
                Scope::Cluster(cluster) => cluster.to_string(),
            };
            let until = wait
                .until
                .map_or_else(String::new, |until| format!(" (until {until})"));
            writeln!(
                self.transcript,
                "  {scope}: {}: {}{until}",
                wait.reason, wait.detail
            )
            .unwrap();
        }
    }

    fn gates(&mut self, cluster: &str) {
        for line in super::super::gates(&self.lab.world(), &name(cluster)) {
            let state = line
                .reason
                .map_or_else(|| "open".to_owned(), |reason| reason.to_string());
            let until = line
                .until
                .map_or_else(String::new, |until| format!(" (until {until})"));
            let gate = format!("{}:", line.gate);
            writeln!(self.transcript, "  {gate:<9} {state}: {}{until}", line.detail).unwrap();
        }
    }

    fn restart(&mut self) {
        let plan = self.lab.plan();
        self.lab.assignments = self.lab.replayed();
        assert_eq!(self.lab.plan(), plan);
        writeln!(self.transcript, "  the same plan: {} steps", plan.steps.len()).unwrap();
    }
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        /// Every script that has a test.
        const PLAYED: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios/", stringify!($name), ".txt");
            let transcript = Stage::play(&std::fs::read_to_string(script).unwrap());
            insta::with_settings!({
                snapshot_path => "../../../tests/scenarios",
                prepend_module_to_snapshot => false,
                omit_expression => true,
            }, {
                insta::assert_snapshot!(stringify!($name), transcript);
            });
        })*
    };
}

scenarios! {
    budget
    hold
    lost_cluster
    new_release
    pause_and_resume
    recall
    restart_of_the_controller
    retry
    sick_canary
    stalled_wave
    superseding
}

#[test]
fn every_script_is_played() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
    let mut scripts: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            Some(
                entry
                    .unwrap()
                    .file_name()
                    .to_str()?
                    .strip_suffix(".txt")?
                    .to_owned(),
            )
        })
        .collect();
    scripts.sort();
    assert_eq!(scripts, PLAYED);
}
