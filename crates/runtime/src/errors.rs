//! An error with all its causes, as one line for logs and people.

use std::error::Error;

/// The error and its sources, joined by `: `. A cause whose text the line already ends with is left out,
/// because foreign errors often print their own source.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn names_each_cause_once() {
        let innermost = Layer {
            text: "connection refused",
            source: None,
        };
        let inner = Layer {
            text: "sending: connection refused",
            source: Some(Box::new(innermost)),
        };
        let outer = Layer {
            text: "fetching x",
            source: Some(Box::new(inner)),
        };
        assert_eq!(chain(&outer), "fetching x: sending: connection refused");
    }
}
