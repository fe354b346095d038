//! Paging of lists (AIP-158): opaque tokens that say where the next page begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tonic::Status;

const DEFAULT: usize = 50;
const MOST: usize = 1000;

/// One page of a sorted list and the token of the next, which is empty on the last page.
///
/// The token names the last item that was given, so a list that grows in between loses nothing.
///
/// # Errors
/// `INVALID_ARGUMENT` where size or token are not what a client can have got.
pub fn page<T>(
    items: Vec<T>,
    size: i32,
    token: &str,
    key: impl Fn(&T) -> String,
) -> Result<(Vec<T>, String), Box<Status>> {
    let size = match usize::try_from(size) {
        Ok(0) => DEFAULT,
        Ok(size) => size.min(MOST),
        Err(_) => return Err(crate::grpc::invalid("page_size", "must not be negative")),
    };
    let start = if token.is_empty() {
        0
    } else {
        start_of(&items, token, &key)?
    };
    let mut rest = items.into_iter().skip(start);
    let given: Vec<T> = rest.by_ref().take(size).collect();
    let next = match (rest.next(), given.last()) {
        (Some(_), Some(last)) => URL_SAFE_NO_PAD.encode(key(last)),
        (Some(_), None) | (None, _) => String::new(),
    };
    Ok((given, next))
}

fn start_of<T>(items: &[T], token: &str, key: impl Fn(&T) -> String) -> Result<usize, Box<Status>> {
    let bad = || crate::grpc::invalid("page_token", "is none that this list gave");
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else {
        return Err(bad());
    };
    let last = items
        .iter()
        .position(|item| key(item).as_bytes() == bytes)
        .ok_or_else(bad)?;
    Ok(last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(size: i32) -> Vec<Vec<u32>> {
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let (items, next) = page((0..7).collect(), size, &token, u32::to_string).unwrap();
            pages.push(items);
            if next.is_empty() {
                return pages;
            }
            token = next;
        }
    }

    #[test]
    fn pages_cover_the_list_once() {
        assert_eq!(all(3), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
        assert_eq!(all(7), [vec![0, 1, 2, 3, 4, 5, 6]]);
        assert_eq!(all(0).len(), 1);
    }

    #[test]
    fn strange_sizes_and_tokens_are_refused() {
        assert!(page(vec![1], -1, "", u32::to_string).is_err());
        assert!(page(vec![1], 1, "!!", u32::to_string).is_err());
        assert!(page(vec![1], 1, &URL_SAFE_NO_PAD.encode("9"), u32::to_string).is_err());
    }
}
