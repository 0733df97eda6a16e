//! Formats judged by recorded and documented requests.

#[cfg(test)]
mod legacy;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod sap_cases;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_event::{Event, Leniency};
use tidegate_normalize::{Error, Format, Input, Normalized, normalize};

fn read(
    format: Format,
    application: Option<&str>,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Vec<Event>, Error> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a header name");
        map.append(name, HeaderValue::from_str(value).expect("a header value"));
    }
    let input = Input {
        format,
        application,
        headers: &map,
        body: Bytes::copy_from_slice(body),
        leniency: Leniency::Strict,
        batch_events_max: 100,
    };
    normalize(input).map(|normalized| match normalized {
        Normalized::One(event) => vec![event],
        Normalized::Batch(events) => events,
    })
}
