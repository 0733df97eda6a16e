//! CloudEvents 0.1, as older S/4HANA releases send it: other names, the same meaning.

use bytestring::ByteString;
use serde_json::value::RawValue;
use tidegate_event::{Data, Draft, Event, Loose, json};

use crate::{
    Error, Events, Request, cloudevent,
    object::{Object, text},
    repair::Kind,
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
    Object::of_body(body).is_ok_and(|object| object.get(VERSION).is_some())
}

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let body = request.body.clone();
    let draft = json::read(&body)?;
    event(draft, request).map(Events::One)
}

fn event(mut draft: Draft, request: &mut Request<'_>) -> Result<Event, Error> {
    if draft.take(VERSION).is_none() {
        return Err(Error::Member { name: VERSION });
    }
    request.repairs.add(VERSION, Kind::VersionRaised("0.1"));
    draft.specversion = Some(ByteString::from_static("1.0"));
    for (old, new) in CORE {
        if let Some(value) = draft.take(old)
            && let Some(slot) = draft.core(new)
        {
            *slot = Some(value.to_text());
        }
    }
    if draft.source.is_none() {
        // Empty, so that it is mended like an empty one.
        draft.source = Some(ByteString::new());
    }
    // The prose of 0.1 has a bag of extensions; what stood beside it counts more.
    if let Some(Loose::Json(bag)) = draft.take("extensions") {
        unpack(&bag, &mut draft)?;
    }
    if draft.subject.is_none()
        && let Data::Json(data) = &draft.data
    {
        draft.subject = subject(data)?;
    }
    cloudevent::finish(draft, request)
}

fn unpack(bag: &ByteString, draft: &mut Draft) -> Result<(), Error> {
    let object = Object::of_body(bag.as_bytes())?;
    for (name, value) in object.iter() {
        let taken = draft.extensions.iter().any(|(have, _)| have == name);
        if !taken && value.get() != "null" {
            let value = text(value).map_or_else(
                || Loose::Json(value.get().into()),
                |text| Loose::Value((&*text).into()),
            );
            draft.extensions.push((name.into(), value));
        }
    }
    Ok(())
}

/// The value of the key, where `data.KEY` is one object with one member.
fn subject(data: &[u8]) -> Result<Option<ByteString>, Error> {
    if data.first() != Some(&b'{') {
        return Ok(None);
    }
    let data = Object::of_body(data)?;
    let Some(key) = data.get("KEY") else {
        return Ok(None);
    };
    let key = match key.get().as_bytes().first() {
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(key.get()) {
            Ok(keys) if keys.len() == 1 => keys.first().copied(),
            _ => None,
        },
        _ => Some(key),
    };
    let Some(key) = key.map(Object::of_value).transpose()?.flatten() else {
        return Ok(None);
    };
    let mut members = key.iter();
    match (members.next(), members.next()) {
        (Some((_, value)), None) => Ok(text(value).map(|text| (&*text).into())),
        _ => Ok(None),
    }
}
