//! Trace context: headers of a request to extensions of its events (CloudEvents extension
//! "Distributed Tracing"; B3 as Kyma takes it).

use http::{HeaderMap, HeaderName};
use tidegate_application::Format;
use tidegate_event::{Event, Name, Value};

use crate::made::is_text;

/// What every format takes.
const W3C: [(&str, &str); 2] = [("traceparent", "traceparent"), ("tracestate", "tracestate")];

/// What the formats of Kyma's publisher take besides.
const B3: [(&str, &str); 5] = [
    ("x-b3-traceid", "b3traceid"),
    ("x-b3-parentspanid", "b3parentspanid"),
    ("x-b3-spanid", "b3spanid"),
    ("x-b3-sampled", "b3sampled"),
    ("x-b3-flags", "b3flags"),
];

fn taken(format: Format) -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_kyma = matches!(format, Format::CloudEvent | Format::KymaLegacy);
    W3C.into_iter()
        .chain(B3.into_iter().filter(move |_| of_kyma))
}

/// Whether a request carries any; most do not.
pub(crate) fn is_present(headers: &HeaderMap, format: Format) -> bool {
    // Each name is looked at once, since looking seven up costs more.
    let mut names = headers.keys().map(HeaderName::as_str);
    names.any(|name| {
        (name.starts_with("trace") || name.starts_with("x-b3-"))
            && taken(format).any(|(header, _)| header == name)
    })
}

/// Gives the event what it does not say itself. A value that is no legal attribute is left out:
/// a broken trace must not cost the event.
pub(crate) fn take(headers: &HeaderMap, format: Format, event: &mut Event) {
    for (header, extension) in taken(format) {
        let Some(value) = headers.get(header).and_then(|value| value.to_str().ok()) else {
            continue;
        };
        let free = event.extensions.get(extension).is_none();
        if free && is_text(value) {
            event
                .extensions
                .insert(Name::from_static(extension), Value::from(value));
        }
    }
}
