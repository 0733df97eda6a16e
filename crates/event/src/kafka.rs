//! The Kafka protocol binding: which mode a record is in, binary mode both ways, and the headers of
//! structured mode (§3.2 and §3.3). Beside them `traceparent`, the trace context of the hop.
//!
//! Header values are UTF-8 as it is (§3.2.3), with no percent-encoding. The value in structured mode
//! is [`crate::json`]. The binding has no batch mode (§1.3); a record that is labelled as a batch all
//! the same is told apart, and none is written. What key a record came with is no part of the event
//! (§3.1).

use bytes::Bytes;
use bytestring::ByteString;

use crate::{Draft, Error, Event, Leniency, TraceContext, headers, json, mode};

pub use crate::mode::{Mode, STRUCTURED};

const PREFIX: &str = "ce_";

/// The header of the data's media type in binary mode, of the event's in structured mode.
const CONTENT_TYPE: &str = "content-type";

/// The header of the hop's trace context.
const TRACEPARENT: &str = "traceparent";

/// The content type that structured mode is written with.
const STRUCTURED_UTF_8: &[u8] = b"application/cloudevents+json; charset=utf-8";

/// The mode of a record; `None` when it does not say that it carries events.
///
/// Binary mode is what has `ce_specversion`: of the attributes that every event has, this one alone
/// says that it is an event. With it, a record that lacks another is an event that is wrong.
pub fn mode<'a>(
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
) -> Result<Option<Mode>, Error> {
    let (mut named, mut content_types, mut has_version) = (None, 0, false);
    for (header, value) in present(headers) {
        match header {
            Header::Attribute(name) => has_version |= name.eq_ignore_ascii_case("specversion"),
            Header::ContentType => {
                content_types += 1;
                named = named.or(mode::named(value)?);
            }
            Header::Traceparent => {}
        }
    }
    let mode = named.or(has_version.then_some(Mode::Binary));
    // Two of a record that is no event are nobody's concern here.
    if mode.is_some() && content_types > 1 {
        return Err(repeated_content_type());
    }
    Ok(mode)
}

/// Reads an event in binary mode. A record without a value, which is a tombstone to Kafka, is an event
/// without data (§3.2.2).
pub fn decode_binary<'a>(
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    value: Option<Bytes>,
    leniency: Leniency,
) -> Result<Event, Error> {
    let (draft, hop) = read(headers, value)?;
    let mut event = draft.finish(leniency)?;
    event.hop = hop;
    Ok(event)
}

/// Reads the parts of an event in binary mode, to be judged later.
pub fn read_binary<'a>(
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    value: Option<Bytes>,
) -> Result<Draft, Error> {
    read(headers, value).map(|(draft, _)| draft)
}

/// The trace context of the hop, in every mode. Instrumentation adds its header to those that a record
/// has, so that the last is the hop's.
pub fn hop<'a>(headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>) -> Option<TraceContext> {
    let is_hop = |(header, value)| matches!(header, Header::Traceparent).then_some(value);
    present(headers)
        .filter_map(is_hop)
        .last()
        .and_then(trace_context)
}

/// Calls `header` with the name and the value of each header in binary mode. The record's value is
/// `event.data` as it is: without data there is none, which in a compacted topic deletes what has the
/// same key (§3.2.2).
pub fn encode_binary(event: &Event, mut header: impl FnMut(&str, &[u8])) {
    headers::encode(event, |name, text| {
        let value = text.as_bytes();
        match name {
            "specversion" => header("ce_specversion", value),
            "id" => header("ce_id", value),
            "source" => header("ce_source", value),
            "type" => header("ce_type", value),
            "dataschema" => header("ce_dataschema", value),
            "subject" => header("ce_subject", value),
            "time" => header("ce_time", value),
            extension => header(&format!("{PREFIX}{extension}"), value),
        }
    });
    if let Some(content_type) = &event.datacontenttype {
        header(CONTENT_TYPE, content_type.as_bytes());
    }
    encode_hop(event, header);
}

/// Calls `header` with the name and the value of each header in structured mode, and gives back the
/// record's value.
pub fn encode_structured(event: &Event, mut header: impl FnMut(&str, &[u8])) -> Vec<u8> {
    header(CONTENT_TYPE, STRUCTURED_UTF_8);
    encode_hop(event, header);
    json::encode(event)
}

/// The record's key by the extension `partitionkey` (§3.1), for those who choose to have it so; the
/// event keeps its extension. An empty one is none (extension "Partitioning").
pub fn key(event: &Event) -> Option<ByteString> {
    let key = event.extensions.get("partitionkey")?.to_text();
    (!key.is_empty()).then_some(key)
}

/// A header that has to do with events.
enum Header<'a> {
    /// Of an attribute, without the prefix.
    Attribute(&'a str),
    ContentType,
    Traceparent,
}

/// The headers that have to do with events, their names in any case. The others hold whatever bytes
/// they like.
///
/// A null value is no value: the binding knows strings only (§3.2.3), and in JSON a null attribute is
/// an absent one as well. Bridges write it for a field that they have nothing for. An empty content
/// type says nothing either, as in HTTP.
fn present<'a>(
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
) -> impl Iterator<Item = (Header<'a>, &'a [u8])> {
    headers.filter_map(|(name, value)| {
        let (header, value) = (Header::of(name)?, value?);
        let says_nothing = matches!(header, Header::ContentType) && value.is_empty();
        (!says_nothing).then_some((header, value))
    })
}

// === impl Header ===

impl<'a> Header<'a> {
    fn of(name: &'a str) -> Option<Self> {
        if let Some((prefix, attribute)) = name.split_at_checked(PREFIX.len())
            && prefix.eq_ignore_ascii_case(PREFIX)
        {
            return Some(Self::Attribute(attribute));
        }
        if name.eq_ignore_ascii_case(CONTENT_TYPE) {
            return Some(Self::ContentType);
        }
        name.eq_ignore_ascii_case(TRACEPARENT)
            .then_some(Self::Traceparent)
    }
}

fn read<'a>(
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    value: Option<Bytes>,
) -> Result<(Draft, Option<TraceContext>), Error> {
    let mut attributes = Vec::with_capacity(12);
    let (mut content_type, mut hop) = (None, None);
    for (header, value) in present(headers) {
        match header {
            Header::Attribute(name) => attributes.push((name, value)),
            Header::ContentType => {
                if content_type.replace(value).is_some() {
                    return Err(repeated_content_type());
                }
            }
            Header::Traceparent => hop = trace_context(value),
        }
    }
    let value = value.unwrap_or_default();
    let draft = headers::read(attributes.into_iter(), content_type, value, plain)?;
    Ok((draft, hop))
}

/// The text of a header's value, which is appended to `out`.
fn plain(value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    std::str::from_utf8(value).map_err(|_| "must be UTF-8")?;
    out.extend_from_slice(value);
    Ok(())
}

fn trace_context(value: &[u8]) -> Option<TraceContext> {
    TraceContext::parse(std::str::from_utf8(value).ok()?)
}

fn encode_hop(event: &Event, mut header: impl FnMut(&str, &[u8])) {
    if let Some(hop) = &event.hop {
        header(TRACEPARENT, hop.to_string().as_bytes());
    }
}

fn repeated_content_type() -> Error {
    Error::Duplicate {
        attribute: CONTENT_TYPE.to_owned(),
    }
}
