//! What the texts of a file look like, for the JSON Schemas that editors use. For `#[schemars(with = ...)]`.
//!
//! A schema sees less than the reader: what it refuses the reader refuses as well, never the other way round.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident: $schema:tt;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl JsonSchema for $name {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn inline_schema() -> bool {
                    true
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($schema)
                }
            }
        )*
    };
}

shapes! {
    /// A name, as [`super::Document::name`] takes it.
    Name: {
        "type": "string",
        "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
    };
    /// A duration, as [`super::Document::duration`] takes it.
    Duration: {
        "type": "string",
        "pattern": "^[0-9]+[smhd]$",
        "examples": ["30m", "72h", "14d"]
    };
    /// Labels, as [`super::Document::label`] takes them. YAML reads an unquoted number as one; it counts as
    /// its text.
    Labels: {
        "type": "object",
        "propertyNames": {
            "pattern": "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
        },
        "additionalProperties": {
            "type": ["string", "number", "boolean"],
            "pattern": "^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$"
        }
    };
    /// Labels that select something: at least one.
    Selection: {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {
            "pattern": "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
        },
        "additionalProperties": {
            "type": ["string", "number", "boolean"],
            "pattern": "^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$"
        }
    };
    /// Some of a number of clusters: a count above 0, or 1% to 100%.
    Share: {
        "type": ["integer", "string"],
        "minimum": 1,
        "pattern": "^([1-9][0-9]*|([1-9]|[1-9][0-9]|100)%)$",
        "examples": [1, "25%"]
    };
    /// Some of a number of clusters, perhaps none: a count, or 0% to 100%.
    Budget: {
        "type": ["integer", "string"],
        "minimum": 0,
        "pattern": "^([0-9]+|([0-9]|[1-9][0-9]|100)%)$",
        "examples": [0, "2%"]
    };
    /// The fingerprint of an agent's key.
    Fingerprint: {
        "type": "string",
        "pattern": "^SHA256:[A-Za-z0-9+/]{43}$"
    };
    /// A registry host, with a path where wanted.
    Registry: {
        "type": "string",
        "pattern": "^[a-z0-9._:-]+(/[a-z0-9._-]+)*$",
        "examples": ["ghcr.io", "mirror.local:5000/flux"]
    };
}
