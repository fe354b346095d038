//! What somebody probably meant to write: for the errors of every file that a person writes.

/// The candidate that is nearest to what was written, if one is near enough to be meant: at most a third of
/// its letters differ, whatever their case.
#[must_use]
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = written.chars().count().div_ceil(3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                distance(&written.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= near)
        .min()
        .map(|(_, candidate)| candidate)
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
        let words = ["signature", "releaseAge"];
        assert_eq!(nearest("signatur", words), Some("signature"));
        assert_eq!(nearest("ReleaseAge", words), Some("releaseAge"));
        assert_eq!(nearest("bananas", words), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
