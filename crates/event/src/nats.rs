//! The NATS protocol binding in binary mode: `ce-` headers, `ce-datacontenttype` among them, and
//! the data as the payload.

use bytes::Bytes;

use crate::{Error, Event, Leniency, headers, percent};

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
}

/// Reads an event from a message's headers, names in any case, and its payload. Headers without
/// `ce-` are none of the event's.
pub fn decode<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    payload: Bytes,
) -> Result<Event, Error> {
    let attributes = headers.filter_map(|(name, value)| {
        let (prefix, name) = name.split_at_checked(3)?;
        prefix
            .eq_ignore_ascii_case("ce-")
            .then_some((name, value.as_bytes()))
    });
    headers::read(attributes, None, payload)?.finish(Leniency::Lowercase)
}
