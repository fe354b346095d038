//! What every call of the API has in common, read from the descriptors that reflection serves: lists are paged,
//! mutations can be sent again and tried out, watches can be gone on with.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet, MethodDescriptorProto};

use crate::DESCRIPTOR_SET;

/// Calls that fit no rule, each with why. Nothing does.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// What the first word of a call's name says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Get,
    List,
    Watch,
    Export,
    Mutation,
}

impl Kind {
    fn of(method: &str) -> Self {
        let kinds = [
            ("Get", Self::Get),
            ("List", Self::List),
            ("Watch", Self::Watch),
            ("Export", Self::Export),
        ];
        let found = kinds.iter().find(|(word, _)| method.starts_with(word));
        found.map_or(Self::Mutation, |(_, kind)| *kind)
    }

    /// Fields that its request must have.
    fn asks(self) -> &'static [(&'static str, Type)] {
        match self {
            Self::Get | Self::Export => &[],
            Self::List => &[("page_size", Type::Int32), ("page_token", Type::String)],
            Self::Watch => &[("resume_token", Type::String)],
            Self::Mutation => &[("request_id", Type::String), ("validate_only", Type::Bool)],
        }
    }

    /// Fields that its response must have.
    fn gives(self) -> &'static [(&'static str, Type)] {
        match self {
            Self::Get | Self::Export | Self::Mutation => &[],
            Self::List => &[("next_page_token", Type::String)],
            Self::Watch => &[("resume_token", Type::String), ("event", Type::Enum)],
        }
    }

    fn streams(self) -> bool {
        match self {
            Self::Watch | Self::Export => true,
            Self::Get | Self::List | Self::Mutation => false,
        }
    }
}

/// Every message and every call of our own packages, by full name.
struct Surface {
    messages: BTreeMap<String, DescriptorProto>,
    calls: BTreeMap<String, MethodDescriptorProto>,
}

fn surface() -> Surface {
    let files = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap().file;
    let (mut messages, mut calls) = (BTreeMap::new(), BTreeMap::new());
    for file in files {
        let package = file.package().to_owned();
        for message in file.message_type {
            messages.insert(format!(".{package}.{}", message.name()), message);
        }
        for service in file.service {
            let name = service.name().to_owned();
            for method in service.method {
                calls.insert(format!("{package}.{name}/{}", method.name()), method);
            }
        }
    }
    Surface { messages, calls }
}

/// What a message lacks of these fields.
fn lacks(message: &DescriptorProto, fields: &[(&str, Type)]) -> Vec<String> {
    let has = |(name, kind): &&(&str, Type)| {
        let mut own = message.field.iter();
        own.any(|field| field.name() == *name && field.r#type() == *kind)
    };
    let missing = fields.iter().filter(|field| !has(field));
    missing
        .map(|(name, kind)| format!("{} has no {name} ({kind:?})", message.name()))
        .collect()
}

fn problems(call: &MethodDescriptorProto, surface: &Surface) -> Vec<String> {
    let kind = Kind::of(call.name());
    let request = &surface.messages[call.input_type()];
    let response = &surface.messages[call.output_type()];
    let mut problems = lacks(request, kind.asks());
    problems.extend(lacks(response, kind.gives()));
    if call.server_streaming() != kind.streams() || call.client_streaming() {
        problems.push(format!("{} streams otherwise than a {kind:?} does", call.name()));
    }
    let lists = response
        .field
        .iter()
        .any(|field| field.label() == Label::Repeated);
    if kind == Kind::List && !lists {
        problems.push(format!("{} lists nothing", response.name()));
    }
    if !request.name().starts_with(call.name()) {
        problems.push(format!("{} is asked by {}", call.name(), request.name()));
    }
    problems
}

#[test]
fn every_list_is_paged_every_mutation_can_be_sent_again_every_watch_gone_on_with() {
    let surface = surface();
    let mut found = BTreeMap::new();
    for (name, call) in &surface.calls {
        let problems = problems(call, &surface);
        if !problems.is_empty() {
            found.insert(name.as_str(), problems);
        }
    }
    let excepted: Vec<&str> = EXCEPTIONS.iter().map(|(name, _why)| *name).collect();
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), excepted, "{found:#?}");
}

#[test]
fn the_rules_are_about_calls_of_every_kind() {
    let surface = surface();
    for kind in [Kind::Get, Kind::List, Kind::Watch, Kind::Export, Kind::Mutation] {
        let calls = surface
            .calls
            .values()
            .filter(|call| Kind::of(call.name()) == kind);
        assert!(calls.count() > 0, "{kind:?}");
    }
    // A request without what a mutation needs is found.
    let mut surface = surface;
    let name = ".fluxgate.rollout.v1.SetStopRequest";
    let request = surface.messages.get_mut(name).unwrap();
    request.field.retain(|field| field.name() != "request_id");
    let call = &surface.calls["fluxgate.rollout.v1.RolloutService/SetStop"];
    assert_eq!(
        problems(call, &surface),
        ["SetStopRequest has no request_id (String)"]
    );
}
