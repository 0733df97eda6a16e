//! CloudEvents 0.1, as older S/4HANA releases send it: other names, the same meaning.

use bytestring::ByteString;
use serde_json::value::RawValue;
use tidegate_event::{Data, Draft, Loose, json};

use crate::{
    Error, Events, Request, cloudevent,
    object::{Object, is_scalar, loose, text},
    repair::{Kind, Repairs},
};

const VERSION: &str = "cloudEventsVersion";

/// Names of 0.1, and what they became.
const CORE: [(&str, &str); 6] = [
    ("eventID", "id"),
    ("eventType", "type"),
    ("eventTime", "time"),
    ("schemaURL", "dataschema"),
    ("contentType", "datacontenttype"),
    ("source", "source"),
];

/// Whether a JSON object is such an event.
pub(crate) fn is_one(body: &[u8]) -> bool {
    // Looked for before anything is parsed, since every body is asked this first.
    body.trim_ascii_start().first() == Some(&b'{')
        && std::str::from_utf8(body).is_ok_and(|text| text.contains(VERSION))
        && Object::of_body(body).is_ok_and(|object| object.get(VERSION).is_some())
}

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let body = request.body.clone();
    let draft = json::read(&body)?;
    if !names_version(&draft) {
        return Err(Error::Member { name: VERSION });
    }
    cloudevent::finish(draft, request).map(Events::One)
}

/// Whether an event says that it is of 0.1.
pub(crate) fn names_version(draft: &Draft) -> bool {
    draft.extensions.iter().any(|(name, _)| name == VERSION)
}

/// Such an event under the names of 1.0; any other stays as it is.
pub(crate) fn raise(draft: &mut Draft, repairs: &mut Repairs) {
    if draft.take(VERSION).is_none() {
        return;
    }
    repairs.add(VERSION, Kind::VersionRaised("0.1"));
    draft.specversion = Some(ByteString::from_static("1.0"));
    for (old, new) in CORE {
        if let Some(value) = draft.take(old)
            && is_scalar(&value)
            && let Some(slot) = draft.core(new)
        {
            *slot = Some(value.to_text());
        }
    }
    if draft.source.is_none() {
        // Empty, so that it is mended like an empty one.
        draft.source = Some(ByteString::new());
    }
    if let Some(version) = draft.take("eventTypeVersion") {
        add("eventtypeversion", version, draft);
    }
    // The prose of 0.1 has a bag of extensions; what stood beside it counts more.
    if let Some(Loose::Json(bag)) = draft.take("extensions") {
        match Object::of_body(bag.as_bytes()) {
            Ok(bag) if bag.may_be_attributes() => unpack(&bag, draft),
            Ok(_) | Err(_) => repairs.add("extensions", Kind::NotScalar),
        }
    }
    if draft.subject.is_none()
        && let Data::Json(data) = &draft.data
    {
        draft.subject = subject(data);
    }
}

fn unpack(bag: &Object<'_>, draft: &mut Draft) {
    for (name, value) in bag.iter() {
        if value.get() != "null" {
            add(name, loose(value), draft);
        }
    }
}

/// Adds an extension, unless it is there already, in whichever case.
fn add(name: &str, value: Loose, draft: &mut Draft) {
    let mut names = draft.extensions.iter().map(|(name, _)| name);
    if !names.any(|have| have.eq_ignore_ascii_case(name)) {
        draft.extensions.push((name.into(), value));
    }
}

/// The value of the key, where `data.KEY` is one object with one member. Data that cannot be
/// looked into has no subject.
fn subject(data: &[u8]) -> Option<ByteString> {
    let data = Object::of_body(data).ok()?;
    let key = data.get("KEY")?;
    let key = match key.get().as_bytes().first() {
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(key.get()) {
            Ok(keys) if keys.len() == 1 => keys.first().copied()?,
            _ => return None,
        },
        _ => key,
    };
    let key = Object::of_value(key).ok().flatten()?;
    let mut members = key.iter();
    match (members.next(), members.next()) {
        (Some((_, value)), None) => text(value).map(|text| (&*text).into()),
        _ => None,
    }
}
