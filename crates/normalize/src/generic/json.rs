//! Any JSON: paths are JSON pointers (RFC 6901).

use bytes::Bytes;
use serde_json::value::RawValue;
use tidegate_application::Mapping;

use crate::{
    Error, Events, Request, generic,
    made::Payload,
    object::{Object, items, text},
};

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let Some(mapping) = request.application.mapping.as_ref() else {
        return Err(Error::NotAnEvent);
    };
    let body = request.body.clone();
    let root: &RawValue =
        serde_json::from_slice(body.trim_ascii()).map_err(|error| Error::Json {
            reason: error.to_string(),
        })?;
    let payload = Payload::Json(data(mapping, root, &body)?);
    let find = |path: &str| {
        let value = at(root, path).ok().flatten()?;
        text(value).map(Into::into)
    };
    generic::event(mapping, payload, request, find).map(Events::One)
}

fn data(mapping: &Mapping, root: &RawValue, body: &Bytes) -> Result<Bytes, Error> {
    let Some(path) = &mapping.data else {
        return Ok(body.clone());
    };
    let found = at(root, path)?.ok_or(Error::Mapping { attribute: "data" })?;
    Ok(body.slice_ref(found.get().as_bytes()))
}

/// The value that a pointer leads to.
fn at<'a>(root: &'a RawValue, pointer: &str) -> Result<Option<&'a RawValue>, Error> {
    let mut value = root;
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        let next = match value.get().as_bytes().first() {
            Some(b'{') => Object::of_value(value)?.and_then(|object| object.get(&name)),
            Some(b'[') => {
                let items = items(value)?;
                index(&name).and_then(|at| items.get(at).copied())
            }
            _ => None,
        };
        match next {
            Some(next) => value = next,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// Digits without a zero before them (RFC 6901 §4).
fn index(token: &str) -> Option<usize> {
    let plain = token.bytes().all(|byte| byte.is_ascii_digit());
    let zeros = token.len() > 1 && token.starts_with('0');
    (plain && !zeros).then(|| token.parse().ok()).flatten()
}
