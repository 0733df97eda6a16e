//! Trace context between an event and the requests that carry it.
//!
//! From a request's headers into an event is a matter of the format that is read and stands in
//! `normalize`. Spans are made in [`crate::spans`].

use bytestring::ByteString;
use tidegate_event::{Event, TraceContext, Value};

/// The extension and the header of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";

/// Extension attributes that carry trace context, and their headers.
const HEADERS: [(&str, &str); 7] = [
    (TRACEPARENT, TRACEPARENT),
    ("tracestate", "tracestate"),
    ("b3traceid", "x-b3-traceid"),
    ("b3parentspanid", "x-b3-parentspanid"),
    ("b3spanid", "x-b3-spanid"),
    ("b3sampled", "x-b3-sampled"),
    ("b3flags", "x-b3-flags"),
];

/// The trace headers (names in lower case) that a sink gets with this event; `span` is that of the
/// request, where there is one.
///
/// A value that is not visible ASCII is left out: it is no trace context, and no header could
/// carry it.
pub fn headers_of(
    event: &Event,
    span: Option<TraceContext>,
) -> impl Iterator<Item = (&'static str, ByteString)> {
    let own = span.map(|span| (TRACEPARENT, ByteString::from(span.to_string())));
    let is_told = own.is_some();
    let others = HEADERS.iter().filter_map(move |&(extension, header)| {
        if is_told && header == TRACEPARENT {
            return None;
        }
        let value = event.extensions.get(extension)?.to_text();
        let legal = !value.is_empty() && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        legal.then_some((header, value))
    });
    own.into_iter().chain(others)
}

/// Under which span an event was handed on, or sent where nobody in between says more.
pub fn parent_of(event: &Event) -> Option<TraceContext> {
    event.hop.or_else(|| origin_of(event))
}

/// Under which span an event was sent, by its extensions.
pub fn origin_of(event: &Event) -> Option<TraceContext> {
    if event.extensions.is_empty() {
        return None;
    }
    context(|extension, _| event.extensions.get(extension).map(Value::to_text))
}

/// Under which span a request was made, by its headers.
pub fn parent_of_request<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<TraceContext> {
    context(|_, name| header(name))
}

/// What W3C's context says, or B3's where there is none; `text` is given the name of the extension
/// and of the header.
fn context<T: AsRef<str>>(
    text: impl Fn(&'static str, &'static str) -> Option<T>,
) -> Option<TraceContext> {
    let w3c = text(TRACEPARENT, TRACEPARENT);
    let w3c = w3c.and_then(|value| TraceContext::parse(value.as_ref()));
    w3c.or_else(|| {
        let trace = text("b3traceid", "x-b3-traceid")?;
        let span = text("b3spanid", "x-b3-spanid")?;
        let is = |value: Option<T>| value.is_some_and(|value| value.as_ref() == "1");
        // The flag of B3 asks for all to be recorded.
        let is_sampled = is(text("b3sampled", "x-b3-sampled")) || is(text("b3flags", "x-b3-flags"));
        TraceContext::parse_b3(trace.as_ref(), span.as_ref(), is_sampled)
    })
}

#[cfg(test)]
mod tests {
    use tidegate_event::Name;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn event(extensions: &[(&'static str, Value)]) -> Event {
        let mut event = Event::new("1", "/source", "type");
        for (name, value) in extensions {
            event
                .extensions
                .insert(Name::from_static(name), value.clone());
        }
        event
    }

    fn of_b3(sampled: Value) -> Event {
        event(&[
            ("b3traceid", "463ac35c9f6413ad48485a3953bb6124".into()),
            ("b3parentspanid", "0020000000000001".into()),
            ("b3spanid", "a2fb4a1d1a96d312".into()),
            ("b3sampled", sampled),
        ])
    }

    /// Both kinds of context reach the sink, whatever type the attribute has.
    #[test]
    fn every_trace_extension_becomes_its_header() {
        let mut event = of_b3(Value::Integer(1));
        for (name, value) in [
            ("traceparent", PARENT),
            ("tracestate", "a=b"),
            ("b3flags", "1"),
            ("other", "no trace"),
        ] {
            event
                .extensions
                .insert(Name::from_static(name), value.into());
        }
        let headers: Vec<_> = headers_of(&event, None).collect();
        assert_eq!(headers.len(), 7);
        assert!(headers.contains(&("traceparent", PARENT.into())));
        assert!(headers.contains(&("tracestate", "a=b".into())));
        assert!(headers.contains(&("x-b3-parentspanid", "0020000000000001".into())));
        assert!(headers.contains(&("x-b3-sampled", "1".into())));
    }

    /// A request's own span stands in the place of the sender's, once.
    #[test]
    fn the_span_of_the_request_is_the_one_that_is_told() {
        let event = event(&[("traceparent", PARENT.into()), ("tracestate", "a=b".into())]);
        let span = TraceContext::new([1; 16], [2; 8], false);
        let headers: Vec<_> = headers_of(&event, Some(span)).collect();
        let told = ("traceparent", span.to_string().into());
        assert_eq!(headers, [told, ("tracestate", "a=b".into())]);
    }

    /// An attribute must not be able to break the request to the sink.
    #[test]
    fn values_that_no_header_can_carry_are_left_out() {
        let event = event(&[
            ("traceparent", "".into()),
            ("tracestate", "a=\u{fc}".into()),
            ("b3flags", "1\r\nx: y".into()),
        ]);
        assert_eq!(headers_of(&event, None).count(), 0);
        assert_eq!(parent_of(&event), None);
    }

    /// The hop before counts more than the sender, and W3C more than B3.
    #[test]
    fn the_nearest_span_is_the_parent() {
        let mut event = of_b3("1".into());
        let b3 = parent_of(&event).unwrap();
        assert_eq!(b3.trace_id[0], 0x46);
        assert!(b3.is_sampled());
        assert!(!parent_of(&of_b3("0".into())).unwrap().is_sampled());
        let name = Name::from_static("traceparent");
        event.extensions.insert(name, PARENT.into());
        assert_eq!(parent_of(&event), TraceContext::parse(PARENT));
        event.hop = Some(TraceContext::new([1; 16], [2; 8], true));
        assert_eq!(parent_of(&event), event.hop);
        assert_eq!(origin_of(&event), TraceContext::parse(PARENT));
        let header = |name: &str| (name == "traceparent").then_some(PARENT);
        assert_eq!(parent_of_request(header), TraceContext::parse(PARENT));
        assert_eq!(parent_of_request(|_| None), None);
    }
}
