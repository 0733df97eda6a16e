//! What the work is done with.

use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_event::{Event, Name};
use tidegate_subscription::Subscription;

/// The type of the events.
pub(crate) const TYPE: &str = "sap.s4.beh.salesorder.v1.SalesOrder.Changed.v1";

/// Their source.
pub(crate) const SOURCE: &str = "/default/sap.s4.beh/QE4CLNT200";

/// Events of a batch.
pub(crate) const BATCH: u32 = 100;

/// Bytes of an event's data, about: what systems send is small.
const DATA_BYTES: usize = 1_024;

/// An event as an S/4HANA system sends it. Its id is its own, its subject one of sixteen.
pub(crate) fn event(number: u32) -> Event {
    let mut event = Event::new(id(number), SOURCE, TYPE);
    event.datacontenttype = Some("application/json".into());
    event.subject = Some(subject(number));
    event.time = Some("2026-09-14T07:31:05.120Z".into());
    let mut extend = |name, value: &'static str| {
        event
            .extensions
            .insert(Name::from_static(name), value.into());
    };
    extend("ingressapp", "s4");
    extend(
        "traceparent",
        "00-6c1f9e22d4b84a0f8f5d3a6b7c8d9e01-5b6c7d8e9f0a1b2c-01",
    );
    event.data = Some(data());
    event
}

/// So many of them. Where they are used up, making one is part of the work: it costs little.
pub(crate) fn events(count: u32) -> Vec<Event> {
    let first = event(0);
    let numbered = |number| Event {
        id: id(number).into(),
        subject: Some(subject(number)),
        ..first.clone()
    };
    (0..count).map(numbered).collect()
}

fn id(number: u32) -> String {
    format!("5f1d7a3e-90c4-1edf-a6b2-0d4e{number:08x}")
}

fn subject(number: u32) -> ByteString {
    format!("77004{:02}", number % 16).into()
}

/// An order with its items.
fn data() -> Bytes {
    let mut text = r#"{"SalesOrder":"7700412","note":"a \"rush\" order","items":["#.to_owned();
    for item in 1.. {
        text.push_str(&format!(
            r#"{{"item":{item}0,"material":"A-{item}00","quantity":1.50}}"#
        ));
        if text.len() > DATA_BYTES {
            break;
        }
        text.push(',');
    }
    text.push_str("]}");
    text.into()
}

/// The only Subscription of a document with this `spec`, as flow style YAML.
pub(crate) fn subscription(spec: &str) -> Subscription {
    let mut parsed = tidegate_subscription::parse(&format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: s, namespace: shop }}\nspec: {spec}\n"
    ));
    assert!(parsed.mistakes.is_empty(), "{:?}", parsed.mistakes);
    parsed.documents.remove(0).1
}

/// Headers.
pub(crate) fn headers<'a>(lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let pair = |(name, value): (&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        (name, HeaderValue::from_str(value).expect("its value"))
    };
    lines.into_iter().map(pair).collect()
}
