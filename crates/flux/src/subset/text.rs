//! The same subset as text, byte for byte what upstream's generator prints for those components: what Git holds is a
//! file, and a change of it must show nothing but the upgrade.
//!
//! Documents are taken over as they stand; only the lines that an absent component's presence would have written are
//! changed, and the comment that lists the components. The result is read again: it must be the rendered objects.

use std::collections::BTreeSet;

use domain::Component;

use super::{EVENTS_ADDR, Error, FEATURE_GATES, GATES, render, without};
use crate::manifest::{self, Object};

const SEPARATOR: &str = "---\n";
const COMPONENTS: &str = "# Components: ";

/// Renders the file of the components in `keep` from one that holds at least these.
///
/// # Errors
/// If the document can't be read, [`render`] can't, or the text has another form than upstream's generator
/// gives it.
pub fn text(document: &str, keep: &BTreeSet<Component>) -> Result<String, Error> {
    let form = || Error::Form;
    let objects = manifest::parse(document).map_err(|_unreadable| form())?;
    let rendered = render(&objects, keep)?;
    let present = manifest::components(&objects);
    let dropped: BTreeSet<Component> = present.difference(keep).copied().collect();
    let body = document.strip_prefix(SEPARATOR).ok_or_else(form)?;
    // A separator stands at the beginning of a line alone.
    let documents: Vec<&str> = body.split("\n---\n").collect();
    if documents.len() != objects.len() {
        return Err(form());
    }
    let mut kept = Vec::new();
    for (text, object) in documents.into_iter().zip(&objects) {
        let name = object.to_string();
        if let Some(wanted) = rendered.iter().find(|rendered| rendered.to_string() == name) {
            kept.push(lines(
                text.trim_end_matches('\n'),
                (object, wanted),
                keep,
                &dropped,
            ));
        }
    }
    let text = format!("{SEPARATOR}{}\n", kept.join("\n---\n"));
    match manifest::parse(&text) {
        Ok(read) if read == rendered => Ok(text),
        Ok(_) | Err(_) => Err(form()),
    }
}

/// One document with the lines that are to be changed.
fn lines(
    text: &str,
    (object, wanted): (&Object, &Object),
    keep: &BTreeSet<Component>,
    dropped: &BTreeSet<Component>,
) -> String {
    let component: Option<Component> = object.name.parse().ok();
    let gates: Vec<&str> = GATES
        .iter()
        .filter(|gate| dropped.contains(&gate.with) && component.is_some_and(|c| gate.on.contains(&c)))
        .map(|gate| gate.gate)
        .collect();
    let mute = dropped.contains(&Component::NotificationController);
    let line = |line: &str| {
        if line.starts_with(COMPONENTS) {
            let names: Vec<&str> = keep.iter().map(|component| component.name()).collect();
            return Some(format!("{COMPONENTS}{}", names.join(",")));
        }
        let item = line
            .find("- --")
            .filter(|_| object != wanted)
            .and_then(|at| Some((line.get(..at + 2)?, line.get(at + 2..)?)));
        match item {
            Some((begin, argument))
                if argument.starts_with(FEATURE_GATES) || argument.starts_with(EVENTS_ADDR) =>
            {
                without(argument, &gates, mute).map(|argument| format!("{begin}{argument}"))
            }
            Some(_) | None => Some(line.to_owned()),
        }
    };
    text.lines().filter_map(line).collect::<Vec<_>>().join("\n")
}
