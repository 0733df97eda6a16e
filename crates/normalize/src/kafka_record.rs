//! The Kafka record of a CAP application: attributes are plain headers, without the `ce_` of the
//! CloudEvents binding, and the value is the data.

use bytestring::ByteString;
use http::{HeaderMap, header::CONTENT_TYPE};
use tidegate_event::{Data, Draft, Loose};

use crate::{Error, Events, Request, cloudevent};

/// What begins so is CAP's own.
const OWN: &str = "x-sap-cap-";

const TOPIC: &str = "x-sap-cap-effective-topic";
const TENANT: &str = "x-sap-cap-tenant-id";

/// Whether a record without the binding's headers is one: it says where CAP has sent it, or has the
/// attributes that every event has.
pub(crate) fn is_one(headers: &HeaderMap) -> bool {
    let has = |name: &str| headers.contains_key(name);
    has(TOPIC) || ["id", "source", "type"].into_iter().all(has)
}

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let mut draft = Draft::default();
    for (name, value) in request.headers {
        let name = name.as_str();
        if name.starts_with(OWN) || name == CONTENT_TYPE.as_str() {
            continue;
        }
        let value = text(name, value.as_bytes())?;
        let twice = match draft.core(name) {
            Some(slot) => slot.replace(value).is_some(),
            None => {
                let twice = draft.extensions.iter().any(|(have, _)| have == name);
                let value = Loose::Value(value.into());
                draft.extensions.push((name.into(), value));
                twice
            }
        };
        if twice {
            let attribute = name.to_owned();
            return Err(tidegate_event::Error::Duplicate { attribute }.into());
        }
    }
    for (header, place) in [
        (TOPIC, &mut draft.r#type),
        (CONTENT_TYPE.as_str(), &mut draft.datacontenttype),
    ] {
        if let (None, Some(value)) = (&place, request.headers.get(header)) {
            *place = Some(text(header, value.as_bytes())?);
        }
    }
    let named = draft
        .extensions
        .iter()
        .any(|(name, _)| name == "xsaptenantid");
    if let Some(tenant) = request.headers.get(TENANT).filter(|_| !named) {
        let tenant = Loose::Value(text(TENANT, tenant.as_bytes())?.into());
        draft.extensions.push(("xsaptenantid".into(), tenant));
    }
    if !request.body.is_empty() {
        draft.data = Data::Bytes(request.body.clone());
    }
    // Whoever reads records knows that they are events.
    let version = || ByteString::from_static("1.0");
    draft.specversion.get_or_insert_with(version);
    cloudevent::finish(draft, request).map(Events::One)
}

fn text(name: &str, value: &[u8]) -> Result<ByteString, Error> {
    let text = std::str::from_utf8(value);
    let text = text.map_err(|_| tidegate_event::Error::invalid(name, "must be UTF-8", value))?;
    Ok(text.into())
}
