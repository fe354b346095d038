//! `--print-config`: the configuration in force, as TOML, with secrets hidden.

use serde::Serialize;
use toml::Value;

/// What stands in place of a secret.
const HIDDEN: &str = "[hidden]";
/// A key that ends with one of these holds a secret; `*_file` names a file and may be shown.
const SECRET_KEYS: [&str; 6] = [
    "password",
    "secret",
    "token",
    "seed",
    "private_key",
    "credentials",
];

/// The configuration as TOML. Values of keys that are named like secrets, and user information in URLs, are
/// hidden.
///
/// # Errors
/// If the configuration is nothing that TOML can say.
pub fn print_config<T: Serialize>(config: &T) -> Result<String, toml::ser::Error> {
    let mut value = Value::try_from(config)?;
    hide(&mut value);
    toml::to_string_pretty(&value)
}

fn hide(value: &mut Value) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                if SECRET_KEYS.iter().any(|secret| key.ends_with(secret)) {
                    *value = Value::String(HIDDEN.to_owned());
                } else {
                    hide(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(hide),
        Value::String(text) => *text = without_user(text),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

/// A URL with its user information hidden; any other text as it is.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) => format!(
            "{scheme}://{HIDDEN}{}",
            rest.get(user.len()..).unwrap_or_default()
        ),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_paths_of_secrets_are_not() {
        #[derive(Serialize)]
        struct Config {
            url: &'static str,
            api_token: &'static str,
            token_file: &'static str,
            servers: Vec<&'static str>,
        }
        let printed = print_config(&Config {
            url: "nats://user:hunter2@127.0.0.1:4222/x@y",
            api_token: "hunter2",
            token_file: "/run/token",
            servers: vec!["tls://hunter2@nats:4222", "plain"],
        })
        .unwrap();
        assert!(!printed.contains("hunter2"), "{printed}");
        for shown in [
            "nats://[hidden]@127.0.0.1:4222/x@y",
            "/run/token",
            "tls://[hidden]@nats:4222",
            "plain",
        ] {
            assert!(printed.contains(shown), "{printed}");
        }
    }
}
