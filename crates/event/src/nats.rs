//! The NATS protocol binding in binary mode: `ce-` headers, `ce-datacontenttype` among them, and
//! the data as the payload. Beside them `traceparent`, the trace context of the hop.

use bytes::Bytes;

use crate::{Error, Event, Leniency, TraceContext, headers, percent};

/// The header of the hop's trace context.
const TRACEPARENT: &str = "traceparent";

/// Calls `header` with the name and the value of each header. The payload is `event.data` as it
/// is. Values are printable ASCII: no line break can get into a header.
pub fn encode(event: &Event, mut header: impl FnMut(&str, &str)) {
    headers::encode(event, |name, text| {
        let value = &*percent::encode(text);
        match name {
            "specversion" => header("ce-specversion", value),
            "id" => header("ce-id", value),
            "source" => header("ce-source", value),
            "type" => header("ce-type", value),
            "dataschema" => header("ce-dataschema", value),
            "subject" => header("ce-subject", value),
            "time" => header("ce-time", value),
            extension => header(&format!("ce-{extension}"), value),
        }
    });
    if let Some(content_type) = &event.datacontenttype {
        header("ce-datacontenttype", &percent::encode(content_type));
    }
    if let Some(hop) = &event.hop {
        header(TRACEPARENT, &hop.to_string());
    }
}

/// Reads an event from a message's headers, names in any case, and its payload. Headers without
/// `ce-` are none of the event's.
pub fn decode<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    payload: Bytes,
) -> Result<Event, Error> {
    let mut hop = None;
    let attributes = headers.filter_map(|(name, value)| {
        let (prefix, attribute) = name.split_at_checked(3)?;
        if prefix.eq_ignore_ascii_case("ce-") {
            return Some((attribute, value.as_bytes()));
        }
        if name.eq_ignore_ascii_case(TRACEPARENT) {
            hop = TraceContext::parse(value);
        }
        None
    });
    let draft = headers::read(attributes, None, payload, percent::decode_into)?;
    let mut event = draft.finish(Leniency::Lowercase)?;
    event.hop = hop;
    Ok(event)
}
