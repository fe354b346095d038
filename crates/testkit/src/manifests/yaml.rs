//! Writes JSON values as a YAML stream in block style. Texts stand in double quotes, as JSON has them,
//! unless they can be nothing but text.

use serde_json::Value;

/// The header, then the objects, each as a document.
pub(super) fn stream(header: &str, objects: &[Value]) -> String {
    let mut text = format!("---\n{header}");
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            text.push_str("---\n");
        }
        block(object, 0, &mut text);
    }
    text
}

/// Writes a value that begins a line of its own.
fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str(&scalar(&Value::String(key.clone())));
                out.push(':');
                below(value, indent, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str("- ");
                block(item, indent + 2, out);
            }
        }
        Value::Object(_)
        | Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => {
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

/// Writes a value behind its key: scalars on the same line, the rest below.
fn below(value: &Value, indent: usize, out: &mut String) {
    let deeper = match value {
        Value::Object(map) if !map.is_empty() => indent + 2,
        Value::Array(items) if !items.is_empty() => indent,
        Value::Object(_)
        | Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => {
            out.push(' ');
            return block(value, indent, out);
        }
    };
    out.push('\n');
    out.push_str(&" ".repeat(deeper));
    block(value, deeper, out);
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::String(_)
        | Value::Object(_)
        | Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_) => value.to_string(),
    }
}

/// Whether YAML reads these letters, without quotes, as text: begins with a letter and holds nothing with a
/// meaning, and is no word for a truth value or null in YAML 1.1.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    text.bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}
