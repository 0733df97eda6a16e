//! Messages that only their sender knows: an Application's mapping says where the attributes are.

mod json;
mod xml;

use bytestring::ByteString;
use tidegate_application::{Mapping, Part, Template};
use tidegate_event::{Event, Name, Value};

pub(crate) use json::read as read_json;
pub(crate) use xml::read as read_xml;

use crate::{
    Error, Request,
    made::{Made, Payload},
    repair::Kind,
    source::segment,
};

/// Longest text that a template becomes; longer attributes fit no header.
const TEXT_BYTES_MAX: usize = 4_096;

/// The event of a mapping; `find` gives the text at a path.
fn event(
    mapping: &Mapping,
    payload: Payload,
    request: &mut Request<'_>,
    find: impl Fn(&str) -> Option<String>,
) -> Result<Event, Error> {
    let of = |template: &Option<Template>, encoded| {
        let template = template.as_ref()?;
        fill(template, encoded, &find)
    };
    let r#type = of(&mapping.r#type, false).ok_or(Error::Mapping { attribute: "type" })?;
    let source = match &mapping.source {
        Some(_) => of(&mapping.source, true).ok_or(Error::Mapping {
            attribute: "source",
        })?,
        None => {
            let own = request.own_source();
            own.unwrap_or_else(|| ByteString::from(&*request.application.name))
        }
    };
    let mut missing = |name: &str, template: &Option<Template>, value: &Option<ByteString>| {
        if template.is_some() && value.is_none() {
            request.repairs.add(name, Kind::NothingAtPath);
        }
    };
    let id = of(&mapping.id, false);
    missing("id", &mapping.id, &id);
    let subject = of(&mapping.subject, false);
    missing("subject", &mapping.subject, &subject);
    let time = of(&mapping.time, false);
    missing("time", &mapping.time, &time);
    let mut extensions = Vec::with_capacity(mapping.extensions.len());
    for (name, template) in &mapping.extensions {
        let Some(name) = Name::new(name.as_str()) else {
            continue; // the document's own validation lets none through
        };
        match fill(template, false, &find) {
            Some(value) => extensions.push((name, Value::String(value))),
            None => request.repairs.add(name.as_str(), Kind::NothingAtPath),
        }
    }
    let made = Made {
        id,
        source,
        r#type,
        subject,
        time: time.as_deref(),
        extensions,
        payload,
    };
    made.finish(request)
}

/// The text of a template; `None` when nothing stands at one of its paths, or it gets too long.
fn fill(
    template: &Template,
    encoded: bool,
    find: impl Fn(&str) -> Option<String>,
) -> Option<ByteString> {
    let Template(parts) = template;
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Path(path) => {
                let found = find(path).filter(|found| !found.is_empty())?;
                // A path alone is the sender's own source; in a template it becomes a segment.
                if encoded && parts.len() > 1 {
                    text.push_str(&segment(&found));
                } else {
                    text.push_str(&found);
                }
            }
        }
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
    }
    (!text.is_empty()).then(|| text.into())
}
