//! Trace context from a request's headers into the extensions of its events.
//!
//! An event that brings a context of its own keeps it: that is where it began, the request is
//! only one hop. Nothing here makes a request fail; a header that is no text is not taken.

use bytestring::ByteString;
use http::{HeaderMap, HeaderValue};
use tidegate_event::{EXTENSIONS_MAX, Event, Name};

/// The W3C context, and what vendors add to it.
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The B3 headers, and the extensions that Kyma makes of them.
const B3: [(&str, &str); 5] = [
    ("x-b3-traceid", "b3traceid"),
    ("x-b3-parentspanid", "b3parentspanid"),
    ("x-b3-spanid", "b3spanid"),
    ("x-b3-sampled", "b3sampled"),
    ("x-b3-flags", "b3flags"),
];

/// Adds what the request brings to each event that has none.
pub(crate) fn add(headers: &HeaderMap, events: &mut [Event]) {
    if let Some(parent) = headers.get(TRACEPARENT).and_then(text) {
        let parent = ByteString::from(parent);
        let state = state(headers).map(ByteString::from);
        for event in events.iter_mut() {
            // The two belong together: a state from another hop would be about another parent.
            if event.extensions.get(TRACEPARENT).is_none() {
                set(event, TRACEPARENT, &parent);
                if let Some(state) = &state {
                    set(event, TRACESTATE, state);
                }
            }
        }
    }
    for (header, extension) in B3 {
        if let Some(value) = headers.get(header).and_then(text) {
            let value = ByteString::from(value);
            for event in events.iter_mut() {
                set(event, extension, &value);
            }
        }
    }
}

fn set(event: &mut Event, extension: &'static str, value: &ByteString) {
    // An event with as many extensions as it may have stays a legal one.
    if event.extensions.len() < EXTENSIONS_MAX && event.extensions.get(extension).is_none() {
        event
            .extensions
            .insert(Name::from_static(extension), value.clone().into());
    }
}

/// The vendors' state. Several headers are one list in parts.
fn state(headers: &HeaderMap) -> Option<String> {
    let parts: Vec<&str> = headers
        .get_all(TRACESTATE)
        .iter()
        .filter_map(text)
        .collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

/// A value that an event may carry. (A tab may stand in a header, but in no attribute.)
fn text(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    (!text.is_empty() && !text.contains('\t')).then_some(text)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use tidegate_event::Value;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let value = HeaderValue::from_bytes(value).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        headers
    }

    fn traced(
        pairs: &[(&'static str, &[u8])],
        own: &[(&'static str, &str)],
    ) -> Vec<(String, String)> {
        let mut events = [Event::new("1", "/source", "type")];
        for (name, value) in own {
            events[0]
                .extensions
                .insert(Name::from_static(name), Value::from(*value));
        }
        add(&headers(pairs), &mut events);
        let text = |(name, value): (&Name, &Value)| (name.to_string(), value.to_text().to_string());
        events[0].extensions.iter().map(text).collect()
    }

    fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// A trace that a sender has begun goes on at the sink.
    #[test]
    fn headers_become_extensions() {
        let brought: &[(&'static str, &[u8])] = &[
            ("traceparent", PARENT.as_bytes()),
            ("tracestate", b"a=b"),
            ("tracestate", b"c=d"),
            ("x-b3-traceid", b"463ac35c9f6413ad48485a3953bb6124"),
            ("x-b3-parentspanid", b"0020000000000001"),
            ("x-b3-spanid", b"a2fb4a1d1a96d312"),
            ("x-b3-sampled", b"1"),
            ("x-b3-flags", b"0"),
        ];
        let extensions = [
            ("b3flags", "0"),
            ("b3parentspanid", "0020000000000001"),
            ("b3sampled", "1"),
            ("b3spanid", "a2fb4a1d1a96d312"),
            ("b3traceid", "463ac35c9f6413ad48485a3953bb6124"),
            ("traceparent", PARENT),
            ("tracestate", "a=b,c=d"),
        ];
        assert_eq!(traced(brought, &[]), expected(&extensions));
    }

    /// The context in which an event arose is not overwritten, nor mixed with a hop's.
    #[test]
    fn an_events_own_context_stays() {
        let brought: &[(&'static str, &[u8])] = &[
            ("traceparent", PARENT.as_bytes()),
            ("tracestate", b"a=b"),
            ("x-b3-sampled", b"1"),
        ];
        let own = [("b3sampled", "0"), ("traceparent", "own")];
        assert_eq!(traced(brought, &own), expected(&own));
        assert_eq!(traced(&[("tracestate", b"a=b")], &[]), expected(&[]));
    }

    /// A bad trace header must not cost the event.
    #[test]
    fn headers_that_no_event_can_carry_are_left_out() {
        let brought: &[(&'static str, &[u8])] = &[
            ("traceparent", b"\xfc"),
            ("tracestate", b"a=b"),
            ("x-b3-traceid", b""),
            ("x-b3-flags", b"a\tb"),
        ];
        assert_eq!(traced(brought, &[]), expected(&[]));
    }

    /// What a request brings must not make an event illegal that was legal.
    #[test]
    fn an_event_that_is_full_takes_no_more() {
        let mut event = Event::new("1", "/source", "type");
        for number in 0..EXTENSIONS_MAX {
            let name = Name::new(format!("x{number}")).unwrap();
            event.extensions.insert(name, "".into());
        }
        let mut events = [event];
        add(&headers(&[("x-b3-flags", b"1")]), &mut events);
        assert_eq!(events[0].extensions.len(), EXTENSIONS_MAX);
    }
}
