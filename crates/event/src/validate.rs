//! The rules of CloudEvents 1.0 for attributes, without allocating.
//!
//! Data is not looked at: what it must be is between its sender and its reader.

mod time;
mod uri;

use crate::{Error, Event, Value, media_type};

/// Most extension attributes of an event. The richest sender known has 12, HTTP servers take about
/// 100 headers, and nats-server takes 64 KiB of them.
pub const EXTENSIONS_MAX: usize = 256;

/// What an attribute's type asks for, or which rule is broken.
type Rule = fn(&str) -> Result<(), &'static str>;

/// Whether the event is a legal one.
pub fn validate(event: &Event) -> Result<(), Error> {
    check("id", &event.id, any)?;
    check("source", &event.source, uri::reference)?;
    check("type", &event.r#type, any)?;
    let optional: [(&str, _, Rule); 4] = [
        ("datacontenttype", &event.datacontenttype, media_type::check),
        ("dataschema", &event.dataschema, uri::absolute),
        ("subject", &event.subject, any),
        ("time", &event.time, time::check),
    ];
    for (name, value, rule) in optional {
        if let Some(value) = value {
            check(name, value, rule)?;
        }
    }
    if event.extensions.len() > EXTENSIONS_MAX {
        return Err(Error::TooManyAttributes {
            extensions_max: EXTENSIONS_MAX,
        });
    }
    for (name, value) in event.extensions.iter() {
        match value {
            Value::Boolean(_) | Value::Integer(_) => {}
            Value::String(text) => {
                characters(text).map_err(|reason| Error::invalid(name.as_str(), text, reason))?;
            }
        }
    }
    Ok(())
}

fn check(name: &str, value: &str, rule: Rule) -> Result<(), Error> {
    let checked = if value.is_empty() {
        Err("it must not be empty")
    } else {
        characters(value).and_then(|()| rule(value))
    };
    checked.map_err(|reason| Error::invalid(name, value, reason))
}

fn any(_: &str) -> Result<(), &'static str> {
    Ok(())
}

/// The type String: no control characters, no noncharacters. Surrogates are none of `str`'s.
fn characters(text: &str) -> Result<(), &'static str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.chars().any(is_forbidden) {
        Ok(())
    } else {
        Err("control characters and Unicode noncharacters are forbidden")
    }
}

fn is_forbidden(character: char) -> bool {
    let code = u32::from(character);
    character.is_control() || (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}
