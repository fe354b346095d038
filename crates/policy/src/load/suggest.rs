//! What somebody probably meant to write.

/// The candidate that is nearest to what was written, if one is near enough to be meant.
pub(super) fn nearest(written: &str, candidates: &[&'static str]) -> Option<&'static str> {
    let near = written.chars().count().div_ceil(3).max(1);
    candidates
        .iter()
        .map(|candidate| {
            (
                distance(&written.to_lowercase(), &candidate.to_lowercase()),
                *candidate,
            )
        })
        .filter(|(distance, _)| *distance <= near)
        .min()
        .map(|(_, candidate)| candidate)
}

/// What follows an unknown word: the known ones, and the nearest.
pub(super) fn hint(expected: &[&'static str], nearest: Option<&'static str>) -> String {
    let meant = nearest
        .map(|word| format!("; did you mean {word:?}?"))
        .unwrap_or_default();
    if expected.is_empty() {
        return format!("; nothing may stand here{meant}");
    }
    format!("; expected {}{meant}", expected.join(", "))
}

/// Levenshtein distance: letters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((above, pair), to) in row.iter().skip(1).zip(&row).zip(&b) {
            let left = next.last().copied().unwrap_or(i + 1);
            next.push((pair + usize::from(from != *to)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        assert_eq!(
            nearest("signatur", &["signature", "releaseAge"]),
            Some("signature")
        );
        assert_eq!(
            nearest("ReleaseAge", &["signature", "releaseAge"]),
            Some("releaseAge")
        );
        assert_eq!(nearest("bananas", &["signature", "releaseAge"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
