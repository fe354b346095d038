//! `reconcile releases/VERSION`: verifies a release once more, now.

use wire::common::v1::CheckResult;
use wire::verification::v1::{
    ReverifyReleaseRequest, ReverifyReleaseResponse as Answer, RoleSummary, SummaryLine,
};

use super::{Context, mutation};
use crate::cli::{Format, Mutation};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lists::summary_result;
use crate::names;
use crate::output::Sign;
use crate::table::{Table, clean};
use crate::words::{self, NOTHING, instant, instant_and_age, or_nothing};

/// What the request came to.
#[derive(Debug, Clone, Copy)]
enum Ended<'a> {
    /// Nothing was to be stored.
    DryRun,
    /// Something is not there yet and upstream still has time.
    Early,
    /// An attempt is stored.
    Stored(&'a RoleSummary),
    /// An attempt is stored, and its summary was not told.
    Untold,
}

impl<'a> Ended<'a> {
    const fn of(answer: &'a Answer, dry_run: bool) -> Self {
        match &answer.summary {
            _ if dry_run => Self::DryRun,
            Some(summary) => Self::Stored(summary),
            None if answer.sequence == 0 => Self::Early,
            None => Self::Untold,
        }
    }

    fn result(self) -> &'static str {
        match self {
            Self::Stored(summary) => summary_result(summary),
            Self::DryRun | Self::Early | Self::Untold => NOTHING,
        }
    }

    fn exit(self) -> Exit {
        match self {
            Self::DryRun => Exit::Done,
            Self::Early => Exit::Pending,
            Self::Stored(summary) if summary_result(summary) == "PASSED" => Exit::Done,
            Self::Stored(_) => Exit::No,
            Self::Untold => Exit::NoAnswer,
        }
    }
}

pub(super) async fn run(name: &str, mutation: &Mutation, context: &Context<'_>) -> Result<Exit, Failure> {
    let screen = context.screen;
    let name = names::release(name);
    let doing = format!("verifying {name} again");
    screen.hint(Sign::Begin, &doing);
    let id = mutation::request_id(mutation, context);
    let request = ReverifyReleaseRequest {
        release: name.clone(),
        request_id: id.clone(),
        validate_only: mutation.dry_run,
    };
    let mut verifications = context.connect().await?.verifications();
    let asking = verifications.reverify_release(request);
    let answer = mutation::answer(context, &id, doing, asking).await?;
    let ended = Ended::of(&answer, mutation.dry_run);
    if screen.format() == Format::Json {
        screen.json(&answer)?;
        screen.summary(&text(&answer, ended, true, context));
    } else {
        screen.data(&text(&answer, ended, screen.header(), context));
    }
    hints(&name, &answer, ended, context);
    Ok(ended.exit())
}

/// The attempt, and below it what did not pass; where it may be wide, everything.
fn text(answer: &Answer, ended: Ended<'_>, header: bool, context: &Context<'_>) -> String {
    let wide = context.screen.format() == Format::Wide;
    let attempt = attempt(answer, ended, wide, context).render(header, "");
    match ended {
        Ended::Stored(summary) => {
            let checks = checks(summary, wide);
            if checks.is_empty() {
                attempt
            } else {
                format!("{attempt}\n\n{}", checks.render(header, ""))
            }
        }
        Ended::DryRun | Ended::Early | Ended::Untold => attempt,
    }
}

fn attempt(answer: &Answer, ended: Ended<'_>, wide: bool, context: &Context<'_>) -> Table {
    let stored = answer.sequence != 0;
    let release = if wide {
        answer.release.as_str()
    } else {
        names::without_digest(&answer.release)
    };
    // What is stored does not wait for anybody any more.
    let grace = if stored && !wide {
        NOTHING.to_owned()
    } else {
        instant_and_age(answer.grace_end_time, context.clock())
    };
    let cells = [
        release.to_owned(),
        answer.attempt.to_string(),
        ended.result().to_owned(),
        grace,
    ];
    if !wide {
        let mut table = Table::new(&["RELEASE", "ATTEMPT", "RESULT", "GRACE END"]);
        table.row(cells);
        return table;
    }
    let mut table = Table::new(&["RELEASE", "ATTEMPT", "RESULT", "GRACE END", "EVENT"]);
    let event = if stored {
        answer.sequence.to_string()
    } else {
        NOTHING.to_owned()
    };
    table.row(cells.into_iter().chain([event]));
    table
}

fn checks(summary: &RoleSummary, wide: bool) -> Table {
    let cells = |line: &SummaryLine| {
        [
            line.artifact.clone(),
            line.check.clone(),
            words::result(line.result),
            or_nothing(&line.reason),
        ]
    };
    if !wide {
        let mut table = Table::new(&["ARTIFACT", "CHECK", "RESULT", "REASON"]);
        for line in not_passed(summary) {
            table.row(cells(line));
        }
        return table;
    }
    let mut table = Table::new(&["ARTIFACT", "CHECK", "RESULT", "REASON", "DIGEST"]);
    for line in &summary.checks {
        let digest = words::digest(line.digest.as_ref());
        table.row(cells(line).into_iter().chain([digest]));
    }
    table
}

fn not_passed(summary: &RoleSummary) -> impl Iterator<Item = &SummaryLine> {
    let lines = summary.checks.iter();
    lines.filter(|line| line.result() != CheckResult::Passed)
}

fn hints(name: &str, answer: &Answer, ended: Ended<'_>, context: &Context<'_>) {
    let screen = context.screen;
    let Answer {
        attempt, sequence, ..
    } = answer;
    let stored = format!("attempt {attempt} is stored as event {sequence} of the log");
    let describe = format!("`fluxgate describe {name}`");
    match ended {
        Ended::DryRun => {
            let text = format!("dry run: attempt {attempt} would be made; nothing was fetched or stored");
            screen.hint(Sign::Good, &text);
        }
        Ended::Early => {
            let until = instant(answer.grace_end_time);
            // Where an attempt is stored, the time alone may not open another one.
            let next = if *attempt == 1 {
                "fluxgate tries again by itself"
            } else {
                "what was stored before still counts; ask again later"
            };
            let what = match answer.wait_detail.as_str() {
                "" => "something is not there or not signed yet".to_owned(),
                detail => format!("not there or not signed yet is {}", clean(detail)),
            };
            let text = format!("{what}; upstream has time until {until}: nothing was stored, {next}");
            screen.hint(Sign::Warning, &text);
        }
        Ended::Stored(summary) if summary_result(summary) == "PASSED" => {
            screen.hint(Sign::Good, &format!("{stored}; decisions follow by themselves"));
        }
        Ended::Stored(_) => {
            screen.hint(
                Sign::Warning,
                &format!("{stored}; {describe} shows what was found and what to do"),
            );
        }
        Ended::Untold => {
            let text = format!("{stored}, but the hub can't read it: ask again with {describe}");
            screen.hint(Sign::Warning, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(results: &[i32]) -> RoleSummary {
        let line = |result: &i32| SummaryLine {
            result: *result,
            ..SummaryLine::default()
        };
        RoleSummary {
            checks: results.iter().map(line).collect(),
            ..RoleSummary::default()
        }
    }

    fn exit(summary: Option<RoleSummary>, sequence: u64, dry_run: bool) -> u8 {
        let answer = Answer {
            summary,
            sequence,
            ..Answer::default()
        };
        Ended::of(&answer, dry_run).exit().code()
    }

    #[test]
    fn only_an_attempt_in_which_everything_passed_is_well() {
        let [passed, failed, not_checked] = [
            CheckResult::Passed.into(),
            CheckResult::Failed.into(),
            CheckResult::NotChecked.into(),
        ];
        let stored = |results: &[i32]| exit(Some(summary(results)), 50, false);
        assert_eq!(stored(&[passed, passed]), 0);
        assert_eq!(stored(&[passed, failed]), 1);
        assert_eq!(stored(&[passed, not_checked]), 1);
        assert_eq!(stored(&[]), 1, "no check at all is no pass");
        assert_eq!(stored(&[77]), 1, "a result that is not known is no pass");
    }

    #[test]
    fn what_is_not_stored_waits_and_what_is_not_told_is_no_answer() {
        assert_eq!(exit(None, 0, false), 8);
        assert_eq!(exit(None, 50, false), 3);
        assert_eq!(exit(None, 0, true), 0);
    }
}
