//! Formats judged by recorded and documented requests.

#[cfg(test)]
mod envelopes;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod identities;
#[cfg(test)]
mod legacy;
#[cfg(test)]
mod mesh;
#[cfg(test)]
mod products;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod sap_cases;
#[cfg(test)]
mod xml;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use tidegate_application::Application;
use tidegate_event::{Event, Leniency};
use tidegate_normalize::{Error, Input, Normalized, Reading, normalize};

/// A request of an Application.
struct Sent<'a> {
    reading: Reading,
    application: &'a Application,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
    topic: Option<&'a str>,
}

impl Sent<'_> {
    fn normalized(&self) -> Result<Normalized, Error> {
        let mut map = HeaderMap::new();
        for (name, value) in self.headers {
            let name: HeaderName = name.parse().expect("a header name");
            map.append(name, HeaderValue::from_str(value).expect("a header value"));
        }
        normalize(Input {
            reading: self.reading,
            application: self.application,
            proven: true,
            headers: &map,
            body: Bytes::copy_from_slice(self.body),
            topic: self.topic,
            place: None,
            batch_events_max: 100,
            received_at: Timestamp::UNIX_EPOCH,
        })
    }
}

/// The events of a request, without what the gateway adds.
fn read(
    reading: Reading,
    application: Option<&str>,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Vec<Event>, Error> {
    let sent = Sent {
        reading,
        application: &Application::unnamed(application.unwrap_or_default()),
        headers,
        body,
        topic: None,
    };
    sent.normalized().map(|normalized| bare(&normalized))
}

fn bare(normalized: &Normalized) -> Vec<Event> {
    let mut events = normalized.events.as_slice().to_vec();
    for event in &mut events {
        for name in ["app", "format", "time", "timefix", "specver"] {
            event.extensions.remove(&format!("ingress{name}"));
        }
    }
    events
}

/// A system as a document without settings describes it.
fn system() -> Application {
    Application {
        extension_names: Leniency::Lowercase,
        ..Application::unnamed("sys")
    }
}

/// What a request of such a system becomes.
fn seen(reading: Reading, headers: &[(&str, &str)], body: &[u8]) -> Result<Normalized, Error> {
    let application = system();
    let sent = Sent {
        reading,
        application: &application,
        headers,
        body,
        topic: None,
    };
    sent.normalized()
}

/// The one event of a request.
fn event_of(reading: Reading, headers: &[(&str, &str)], body: &[u8]) -> Event {
    let normalized = seen(reading, headers, body).expect("an event");
    let mut events = bare(&normalized);
    assert_eq!(events.len(), 1);
    events.remove(0)
}

/// An extension as text.
fn text(event: &Event, name: &str) -> Option<String> {
    let value = event.extensions.get(name)?;
    Some(value.to_text().to_string())
}
