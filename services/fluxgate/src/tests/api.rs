//! The shape of the API (docs/adr/0007): lists have pages, mutations can be sent again and tried, watches
//! can be gone on with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A call: its name, request and response.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    name: String,
    request: String,
    response: String,
}

/// Calls, and the fields of each message.
#[derive(Debug, Default)]
struct Api {
    calls: Vec<Call>,
    messages: BTreeMap<String, Vec<String>>,
}

impl Api {
    /// Reads the text of a protocol file: one line for each call and field, as buf's lint demands it.
    fn read(&mut self, text: &str) {
        let mut message = String::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
            if let Some(call) = line.strip_prefix("rpc ") {
                let mut parts = call
                    .split(['(', ')'])
                    .map(|part| part.trim().trim_start_matches("stream "));
                let (name, request) = (parts.next().unwrap(), parts.next().unwrap());
                assert_eq!(parts.next(), Some("returns"), "{line}");
                self.calls.push(Call {
                    name: name.to_owned(),
                    request: request.to_owned(),
                    response: parts.next().unwrap().to_owned(),
                });
            } else if let Some(name) = line.strip_prefix("message ") {
                message = name.split_whitespace().next().unwrap().to_owned();
                self.messages.entry(message.clone()).or_default();
            } else if let Some((field, _)) = line.split_once(" = ")
                && let Some(fields) = self.messages.get_mut(&message)
            {
                fields.push(field.split_whitespace().last().unwrap().to_owned());
            }
        }
    }

    /// What is missing in the messages of a call.
    fn missing(&self, call: &Call) -> Vec<String> {
        let has = |message: &str, field: &str| {
            let fields = self.messages.get(message);
            fields.is_some_and(|fields| fields.iter().any(|known| known == field))
        };
        let Call {
            name,
            request,
            response,
        } = call;
        let wanted: &[(&String, &str)] = if name.starts_with("List") {
            &[
                (request, "page_size"),
                (request, "page_token"),
                (response, "next_page_token"),
            ]
        } else if name.starts_with("Watch") {
            &[
                (request, "resume_token"),
                (response, "resume_token"),
                (response, "event"),
            ]
        } else if name.starts_with("Get") || name.starts_with("Export") {
            &[]
        } else {
            // Everything else changes something.
            &[(request, "request_id"), (request, "validate_only")]
        };
        let missing = wanted.iter().filter(|(message, field)| !has(message, field));
        missing
            .map(|(message, field)| format!("{name}: {message} has no {field}"))
            .collect()
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
}

#[test]
fn lists_have_pages_mutations_can_be_repeated_and_watches_resumed() {
    let mut found = Vec::new();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    files(&root, &mut found);
    let mut api = Api::default();
    for file in found {
        api.read(&fs::read_to_string(file).unwrap());
    }
    assert!(api.calls.len() >= 18, "{:?}", api.calls);
    let missing: Vec<String> = api.calls.iter().flat_map(|call| api.missing(call)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_call_of_another_shape_is_found() {
    let mut api = Api::default();
    api.read(
        "service S {\n  rpc ListThings(ListThingsRequest) returns (ListThingsResponse);\n  \
         rpc Break(BreakRequest) returns (stream BreakResponse);\n}\n\
         message ListThingsRequest {\n  int32 page_size = 1;\n  string page_token = 2;\n}\n\
         message ListThingsResponse {}\nmessage BreakRequest {\n  // bool validate_only = 1;\n  string request_id = 1;\n}\n",
    );
    let missing: Vec<String> = api.calls.iter().flat_map(|call| api.missing(call)).collect();
    assert_eq!(
        missing,
        [
            "ListThings: ListThingsResponse has no next_page_token",
            "Break: BreakRequest has no validate_only"
        ]
    );
    assert_eq!(api.calls[1].response, "BreakResponse");
}
