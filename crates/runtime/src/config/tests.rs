use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sample {
    name: String,
    grpc: Grpc,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Grpc {
    listen: SocketAddr,
    streams: u32,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            name: "sample".into(),
            grpc: Grpc::default(),
        }
    }
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7000".parse().unwrap(),
            streams: 128,
        }
    }
}

impl Validate for Sample {
    fn validate(&self) -> Result<(), Invalid> {
        if self.grpc.streams > 0 {
            return Ok(());
        }
        Err(Invalid {
            key: "grpc.streams".into(),
            found: self.grpc.streams.to_string(),
            expected: "at least 1".into(),
            remedy: "leave it out for 128".into(),
        })
    }
}

fn sample(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Sample, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fluxgate.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
    }
    let variables = variables
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    load_with(file.map(|_| path.as_path()), variables)
}

#[test]
fn defaults_are_below_the_file_and_the_file_below_the_environment() {
    assert_eq!(sample(None, &[]).unwrap(), Sample::default());
    let file = "name = \"file\"\n[grpc]\nstreams = 2\n";
    let config = sample(Some(file), &[("FLUXGATE__GRPC__STREAMS", "3")]).unwrap();
    assert_eq!((config.name.as_str(), config.grpc.streams), ("file", 3));
    assert_eq!(config.grpc.listen, Grpc::default().listen);
}

#[test]
fn variables_of_others_are_not_read() {
    let foreign = [
        ("FLUXGATE_LOG", "x"),
        ("FLUXGATE_SERVICE_HOST", "10.0.0.1"),
        ("GRPC__STREAMS", "9"),
    ];
    assert_eq!(sample(None, &foreign).unwrap(), Sample::default());
}

#[test]
fn an_unknown_key_in_the_file_is_named_with_line_and_column() {
    let error = sample(Some("name = \"x\"\n[grpc]\n  stream = 2\n"), &[]).unwrap_err();
    assert!(
        matches!(
            error,
            ConfigError::File {
                line: 3,
                column: 3,
                ..
            }
        ),
        "{error:?}"
    );
    let text = error.to_string();
    for part in [
        "fluxgate.toml",
        "line 3, column 3",
        "unknown field `stream`",
        "`streams`",
        "3 |   stream = 2\n  |   ^",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn a_wrong_type_in_the_file_is_named_with_line_and_column() {
    let error = sample(Some("[grpc]\nstreams = \"many\"\n"), &[]).unwrap_err();
    assert!(
        matches!(
            error,
            ConfigError::File {
                line: 2,
                column: 11,
                ..
            }
        ),
        "{error:?}"
    );
    let error = sample(Some("[grpc]\nstreams = \"5\"\n"), &[("FLUXGATE__NAME", "x")]).unwrap_err();
    assert!(matches!(error, ConfigError::File { line: 2, .. }), "{error:?}");
    let error = sample(Some("[grpc\n"), &[]).unwrap_err();
    assert!(matches!(error, ConfigError::File { line: 1, .. }), "{error:?}");
}

#[test]
fn a_file_to_blame_is_blamed_though_the_environment_is_there() {
    let error = sample(Some("nonsense = 1\n"), &[("FLUXGATE__GRPC__STREAMS", "3")]).unwrap_err();
    assert!(
        matches!(
            error,
            ConfigError::File {
                line: 1,
                column: 1,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_variable_to_blame_is_named() {
    for (variable, value, key) in [
        ("FLUXGATE__GRPC__STREAM", "3", "grpc.stream"),
        ("FLUXGATE__GRPC__STREAMS", "many", "grpc.streams"),
        ("FLUXGATE__GRPC__LISTEN", "here", "grpc.listen"),
    ] {
        let error = sample(None, &[(variable, value), ("FLUXGATE__NAME", "fine")]).unwrap_err();
        let ConfigError::Environment {
            variable: named,
            key: named_key,
            ..
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!((named.as_str(), named_key.as_str()), (variable, key));
    }
}

#[test]
fn a_file_that_does_not_exist_is_an_error() {
    let missing = load_with::<Sample>(Some(Path::new("/nonexistent/fluxgate.toml")), HashMap::new());
    assert!(matches!(missing, Err(ConfigError::Read { .. })));
}

#[test]
fn values_that_cannot_stand_are_refused_with_who_set_them_and_what_to_do() {
    let what = "cannot stand: grpc.streams is 0, expected at least 1; leave it out for 128";
    let refused =
        |file, variables: &[(&str, &str)]| crate::errors::chain(&sample(file, variables).unwrap_err());
    let text = refused(Some("[grpc]\nstreams = 0\n"), &[]);
    assert!(
        text.ends_with(&format!("fluxgate.toml, line 2, column 11 {what}")),
        "{text}"
    );
    let text = refused(Some("grpc = { streams = 0 }\n"), &[]);
    assert!(text.ends_with(&format!("line 1, column 20 {what}")), "{text}");
    assert_eq!(
        refused(Some("[grpc]\nstreams = 9\n"), &[("FLUXGATE__GRPC__STREAMS", "0")]),
        format!("configuration in environment variable FLUXGATE__GRPC__STREAMS {what}")
    );
}

#[test]
fn a_misspelt_word_is_refused_with_the_one_that_was_meant() {
    let error = sample(Some("[grpc]\nstreems = 2\n"), &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("did you mean `streams`?"), "{error}");
    let error = sample(None, &[("FLUXGATE__GRPC__STREEMS", "3")])
        .unwrap_err()
        .to_string();
    assert!(error.contains("did you mean `streams`?"), "{error}");
    let error = sample(Some("bananas = 2\n"), &[]).unwrap_err().to_string();
    assert!(!error.contains("did you mean"), "{error}");
}
