//! SAP Cloud Application Event Hub: `ce-` headers, and a body that is the data or wraps it.

use bytes::Bytes;
use bytestring::ByteString;
use http::header::CONTENT_TYPE;
use tidegate_event::{
    Data, Draft,
    http::{Mode, mode, read_binary},
    is_json,
};

use crate::{
    Error, Events, Request, cloudevent,
    object::{Object, is_scalar, loose},
};

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    match mode(request.headers) {
        Ok(Some(Mode::Binary)) => {}
        Ok(None) if has_attributes(request) => {}
        Ok(Some(Mode::Structured | Mode::Batch) | None) | Err(_) => {
            return cloudevent::read(request);
        }
    }
    let mut draft = read_binary(request.headers, request.body.clone())?;
    let content_type = request.headers.get(CONTENT_TYPE);
    let may_wrap = content_type.is_none_or(|value| value.to_str().is_ok_and(is_json));
    if may_wrap {
        let body = request.body.clone();
        unwrap(&body, &mut draft);
    }
    let version = || ByteString::from_static("1.0");
    draft.specversion.get_or_insert_with(version);
    cloudevent::finish(draft, request).map(Events::One)
}

/// Whether a header holds what makes an event, but for its version: the door says that it is one.
fn has_attributes(request: &Request<'_>) -> bool {
    let mut headers = ["ce-id", "ce-source", "ce-type"].into_iter();
    headers.any(|name| request.headers.contains_key(name))
}

/// An object with a member `data` is a wrapper: its other members are attributes. Headers count
/// more, and a body that is anything else is the data itself.
fn unwrap(body: &Bytes, draft: &mut Draft) {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return;
    }
    let Ok(object) = Object::of_body(body) else {
        return;
    };
    if !object.may_be_attributes() {
        return;
    }
    let Some((_, data)) = object.iter().find(|(name, _)| *name == "data") else {
        return;
    };
    draft.data = Data::Json(body.slice_ref(data.get().as_bytes()));
    for (name, value) in object.iter() {
        if name == "data" || value.get() == "null" {
            continue;
        }
        let loose = loose(value);
        if let Some(slot) = draft.core(name) {
            if slot.is_none() && is_scalar(&loose) {
                *slot = Some(loose.to_text());
            }
        } else if !draft.extensions.iter().any(|(have, _)| have == name) {
            draft.extensions.push((name.into(), loose));
        }
    }
}
