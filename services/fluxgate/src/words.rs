//! Words for people: enums, times, reasons.

use domain::Reason;
use jiff::{SignedDuration, Timestamp};
use wire::common::v1::{CheckResult, Digest, Health, Mode, Outcome};

/// What stands where nothing is known.
pub(crate) const NOTHING: &str = "-";

/// How old a heartbeat or a status may be, and how far apart clocks may be.
pub(crate) const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

fn without_prefix(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

/// `PASSED`, `FAILED`, `NOT_CHECKED`. Unknown numbers are no pass.
pub(crate) fn result(number: i32) -> String {
    let known = CheckResult::try_from(number).unwrap_or_default();
    without_prefix(known.as_str_name(), "CHECK_RESULT_")
}

/// `ALLOW`, `WAIT`, `NEEDS_APPROVAL`, `DENY`.
pub(crate) fn outcome(number: i32) -> String {
    let known = Outcome::try_from(number).unwrap_or_default();
    without_prefix(known.as_str_name(), "OUTCOME_")
}

/// What an agent's alarm says: an assignment that does not count (forged, old, or a renewal that can't be used), or what keeps the agent itself from beginning.
pub(crate) fn alarm(forged: &str, reason: &str, detail: &str) -> String {
    let trouble = [
        Reason::HealthUnknown,
        Reason::RegistryUnreachable,
        Reason::ApplyFailed,
    ];
    match reason.parse::<Reason>() {
        Ok(reason) if trouble.contains(&reason) => detail.to_owned(),
        Ok(_) | Err(_) => format!("{forged}: {detail}"),
    }
}

/// `OBSERVE`, `ENFORCE`.
pub(crate) fn mode(number: i32) -> String {
    without_prefix(Mode::try_from(number).unwrap_or_default().as_str_name(), "MODE_")
}

/// `HEALTHY`, `INCONCLUSIVE`, `UNHEALTHY`.
pub(crate) fn health(number: i32) -> String {
    without_prefix(
        Health::try_from(number).unwrap_or_default().as_str_name(),
        "HEALTH_",
    )
}

/// The text, or `-` where there is none.
pub(crate) fn or_nothing(text: &str) -> String {
    if text.is_empty() {
        NOTHING.to_owned()
    } else {
        text.to_owned()
    }
}

/// A digest as `sha256:...`, or `-`.
pub(crate) fn digest(digest: Option<&Digest>) -> String {
    digest.map_or_else(|| NOTHING.to_owned(), |d| format!("{}:{}", d.algorithm, d.hex))
}

/// A time of a message, if it has one that can be.
pub(crate) fn at(time: Option<wire::protobuf::Timestamp>) -> Option<Timestamp> {
    wire::time::read_optional("time", time).ok().flatten()
}

/// RFC 3339 in UTC to the second, or `-`.
pub(crate) fn instant(time: Option<wire::protobuf::Timestamp>) -> String {
    at(time).map_or_else(|| NOTHING.to_owned(), |time| format!("{time:.0}"))
}

/// Like `3h`, or `-`.
pub(crate) fn age(time: Option<wire::protobuf::Timestamp>, now: Timestamp) -> String {
    at(time).map_or_else(|| NOTHING.to_owned(), |time| span(now.duration_since(time)))
}

/// `2026-11-24T07:00:00Z (3h ago)`, or `-`.
pub(crate) fn instant_and_age(time: Option<wire::protobuf::Timestamp>, now: Timestamp) -> String {
    match at(time) {
        Some(at) if at > now => format!("{} (in {})", instant(time), span(at.duration_since(now))),
        Some(_) => format!("{} ({} ago)", instant(time), age(time, now)),
        None => NOTHING.to_owned(),
    }
}

/// A length of time in its largest unit, as kubectl writes ages; one that is not over yet has a minus.
pub(crate) fn span(time: SignedDuration) -> String {
    let (sign, seconds) = match time.as_secs() {
        seconds if seconds < 0 => ("-", seconds.saturating_neg()),
        seconds => ("", seconds),
    };
    let text = match seconds {
        ..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    };
    format!("{sign}{text}")
}

/// `; did you mean X?` where one of the words is near enough to be meant.
pub(crate) fn meant<'a>(written: &str, words: impl Iterator<Item = &'a str>) -> String {
    let written = written.to_lowercase();
    let near = words.map(|word| {
        (
            strsim::normalized_levenshtein(&written, &word.to_lowercase()),
            word,
        )
    });
    let best = near.filter(|(likeness, _)| *likeness >= 0.6);
    best.max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| format!("; did you mean {word}?"))
        .unwrap_or_default()
}

/// The page of a reason code, as it stands under `docs/reasons/`.
pub(crate) fn page(reason: Reason) -> String {
    format!(
        "# {}\n\n{}\n\n## What to do\n\n{}\n",
        reason.code(),
        reason.meaning(),
        reason.next_step()
    )
}

/// Meaning and next step of a reason code; nothing for one that this version does not know.
pub(crate) fn explain(code: &str) -> Option<(&'static str, &'static str)> {
    let reason: Reason = code.parse().ok()?;
    Some((reason.meaning(), reason.next_step()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let text = |seconds| span(SignedDuration::from_secs(seconds));
        assert_eq!(
            [text(0), text(119), text(120), text(7_200), text(-90)],
            ["0s", "119s", "2m", "2h", "-90s"]
        );
        assert_eq!(text(172_800), "2d");
        assert_eq!(span(SignedDuration::from_millis(-10)), "0s");
    }

    #[test]
    fn a_word_is_suggested_only_where_it_is_near() {
        let words = ["TAG_MOVED", "DOWNGRADE"];
        assert_eq!(meant("tag_move", words.into_iter()), "; did you mean TAG_MOVED?");
        assert_eq!(meant("bananas", words.into_iter()), "");
    }

    #[test]
    fn a_trouble_of_the_agent_is_not_called_a_forgery() {
        let text = |reason| alarm("forged", reason, "pods: no");
        assert_eq!(text("HEALTH_UNKNOWN"), "pods: no");
        assert_eq!(text("EPOCH_OLD"), "forged: pods: no");
        assert_eq!(text("A_LATER_CODE"), "forged: pods: no");
    }

    #[test]
    fn what_is_unknown_is_never_a_pass() {
        assert_eq!(result(3), "NOT_CHECKED");
        assert_eq!(result(77), "UNSPECIFIED");
        assert_eq!(health(0), "UNSPECIFIED");
        assert!(explain("NO_SUCH").is_none());
    }
}
