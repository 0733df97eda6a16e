//! Attempts at a real socket.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod permission;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod tls;

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

fn code(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered { .. } => "delivered",
        Outcome::Retry { failure, .. } | Outcome::Rejected { failure } => failure.code,
    }
}

fn to(url: &str) -> Sink {
    Sink::new(url).expect("an address")
}

fn client(config: &Config) -> Client {
    let metrics = Metrics::register(&mut Registry::default());
    Client::new(config, metrics).expect("a client")
}

async fn attempt_with(config: &Config, sink: &Sink, event: &Event) -> Outcome {
    let timeout = Duration::from_secs(30);
    let client = client(config);
    client.attempt(sink, event, Seen::default(), timeout).await
}

async fn attempt(url: &str, event: &Event, seen: Seen<'_>, timeout: Duration) -> Outcome {
    let client = client(&Config::default());
    client.attempt(&to(url), event, seen, timeout).await
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
