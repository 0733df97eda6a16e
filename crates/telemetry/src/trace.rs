//! Trace context from an event's extensions to the headers that a sink gets.
//!
//! The other way, from a request's headers into an event, is a matter of the format that is read
//! and stands in `normalize`. No span is made here.

use bytestring::ByteString;
use tidegate_event::Event;

/// Extension attributes that carry trace context, and their headers.
const HEADERS: [(&str, &str); 7] = [
    ("traceparent", "traceparent"),
    ("tracestate", "tracestate"),
    ("b3traceid", "x-b3-traceid"),
    ("b3parentspanid", "x-b3-parentspanid"),
    ("b3spanid", "x-b3-spanid"),
    ("b3sampled", "x-b3-sampled"),
    ("b3flags", "x-b3-flags"),
];

/// The trace headers (names in lower case) that a sink gets with this event.
///
/// A value that is not visible ASCII is left out: it is no trace context, and no header could
/// carry it.
pub fn headers_of(event: &Event) -> impl Iterator<Item = (&'static str, ByteString)> {
    HEADERS.iter().filter_map(|&(extension, header)| {
        let value = event.extensions.get(extension)?.to_text();
        let legal = !value.is_empty() && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        legal.then_some((header, value))
    })
}

#[cfg(test)]
mod tests {
    use tidegate_event::{Name, Value};

    use super::*;

    fn event(extensions: &[(&'static str, Value)]) -> Event {
        let mut event = Event::new("1", "/source", "type");
        for (name, value) in extensions {
            event
                .extensions
                .insert(Name::from_static(name), value.clone());
        }
        event
    }

    /// Both kinds of context reach the sink, whatever type the attribute has.
    #[test]
    fn every_trace_extension_becomes_its_header() {
        let event = event(&[
            (
                "traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
            ),
            ("tracestate", "a=b".into()),
            ("b3traceid", "463ac35c9f6413ad48485a3953bb6124".into()),
            ("b3parentspanid", "0020000000000001".into()),
            ("b3spanid", "a2fb4a1d1a96d312".into()),
            ("b3sampled", Value::Integer(1)),
            ("b3flags", "1".into()),
            ("other", "no trace".into()),
        ]);
        let headers: Vec<_> = headers_of(&event).collect();
        assert_eq!(headers.len(), 7);
        assert!(headers.contains(&("tracestate", "a=b".into())));
        assert!(headers.contains(&("x-b3-parentspanid", "0020000000000001".into())));
        assert!(headers.contains(&("x-b3-sampled", "1".into())));
    }

    /// An attribute must not be able to break the request to the sink.
    #[test]
    fn values_that_no_header_can_carry_are_left_out() {
        let event = event(&[
            ("traceparent", "".into()),
            ("tracestate", "a=\u{fc}".into()),
            ("b3flags", "1\r\nx: y".into()),
        ]);
        assert_eq!(headers_of(&event).count(), 0);
    }
}
