//! Attempts at a real socket.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod requests;

use std::time::Duration;

use prometheus_client::registry::Registry;
use tidegate_deliver::{Client, Config, Metrics, Outcome, Seen, Sink};
use tidegate_event::Event;
use tidegate_testkit as testkit;

/// An event with nothing special about it.
fn event() -> Event {
    let mut event = Event::new("1", "/shop", "order.created.v1");
    event.datacontenttype = Some("application/json".into());
    event.data = Some(br#"{"m":1.10}"#.to_vec().into());
    event
}

async fn attempt(url: &str, event: &Event, seen: Seen<'_>, timeout: Duration) -> Outcome {
    let metrics = Metrics::register(&mut Registry::default());
    let client = Client::new(&Config::default(), metrics).expect("a client");
    let sink = Sink::new(url).expect("an address");
    client.attempt(&sink, event, seen, timeout).await
}

async fn plain(sink: &testkit::Sink) -> Outcome {
    attempt(
        &sink.url(),
        &event(),
        Seen::default(),
        Duration::from_secs(30),
    )
    .await
}
