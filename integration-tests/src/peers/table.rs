//! The table that a person reads.

use domain::Outcome;

use super::cosign::Said;
use super::releases::Row;

const RELEASE: usize = 38;
const OURS: usize = 28;

/// The line over the rows.
#[must_use]
pub fn head() -> String {
    format!(
        "{:<RELEASE$}{:<OURS$}{:<14}{:<14}what cosign says; note",
        "RELEASE", "FLUXGATE", "COSIGN EXACT", "AS DOCUMENTED"
    )
}

/// One row.
#[must_use]
pub fn line(row: &Row) -> String {
    let ours = if row.ours.outcome == Outcome::Allow {
        "ALLOW".to_owned()
    } else {
        format!("{} {}", row.ours.outcome, row.ours.reason)
    };
    let words = [said(&row.exact), row.note];
    let words: Vec<&str> = words.into_iter().filter(|text| !text.is_empty()).collect();
    let mark = if row.is_wrong() { "WRONG: " } else { "" };
    let text = format!(
        "{:<RELEASE$}{ours:<OURS$}{:<14}{:<14}{mark}{}",
        row.release,
        word(&row.exact),
        word(&row.documented),
        words.join("; ")
    );
    text.trim_end().to_owned()
}

/// What follows from all rows.
#[must_use]
pub fn closing(rows: &[Row]) -> Vec<String> {
    let names = |wanted: fn(&Row) -> bool| {
        let found: Vec<_> = rows.iter().filter(|row| wanted(row)).collect();
        let names: Vec<_> = found.iter().map(|row| row.release.as_str()).collect();
        (found.len(), names.join(", "))
    };
    let (good, _) = names(|row| row.good);
    let (alone, ours_alone) = names(Row::is_ours_alone);
    let (loose, documented) = names(|row| !row.good && row.documented == Said::Accepted);
    vec![
        format!(
            "{good} good ones, {} wrong ones. Only fluxgate refuses {alone}: {ours_alone}.",
            rows.len() - good
        ),
        format!("Asked as Flux's documentation does, cosign accepts {loose} wrong ones: {documented}."),
    ]
}

const fn word(said: &Said) -> &'static str {
    match said {
        Said::Accepted => "accepted",
        Said::Refused(_) => "refused",
    }
}

fn said(said: &Said) -> &str {
    match said {
        Said::Accepted => "",
        Said::Refused(why) => why,
    }
}

#[cfg(test)]
mod tests {
    use domain::Reason;

    use super::*;
    use crate::peers::ours::Answer;

    fn row(release: &str, good: bool, outcome: Outcome, exact: Said) -> Row {
        Row {
            release: release.to_owned(),
            good,
            ours: Answer {
                outcome,
                reason: Reason::ClaimMismatch,
            },
            documented: exact.clone(),
            exact,
            note: "a note",
        }
    }

    #[test]
    fn what_only_fluxgate_refuses_is_named_and_no_failure() {
        let refused = || Said::Refused("no".to_owned());
        let rows = [
            row("a", true, Outcome::Allow, Said::Accepted),
            row("b", false, Outcome::Deny, Said::Accepted),
            row("c", false, Outcome::Deny, refused()),
        ];
        assert!(!rows.iter().any(Row::is_wrong));
        let closing = closing(&rows);
        assert!(closing[0].contains("Only fluxgate refuses 1: b."), "{closing:?}");
        assert!(closing[1].contains("accepts 1 wrong ones: b."), "{closing:?}");
        assert!(line(&rows[1]).contains("DENY CLAIM_MISMATCH"));
    }

    #[test]
    fn a_good_one_that_is_refused_and_a_bad_one_that_is_allowed_are_failures() {
        let refused = || Said::Refused("no".to_owned());
        assert!(row("a", true, Outcome::Allow, refused()).is_wrong());
        assert!(row("a", true, Outcome::Wait, Said::Accepted).is_wrong());
        let allowed = row("b", false, Outcome::Allow, refused());
        assert!(allowed.is_wrong() && line(&allowed).contains("WRONG"));
    }
}
