//! Events that a Function answers with.

use std::{fmt::Write as _, time::Duration};

use tidegate_testkit::{Received, Reply, Sink, signal};

use crate::harness::{Progress, Tidegate, numbers, publish_all};

const CONFIGURATION: &str =
    "consume: { retry: { attempts_max: 3, backoff_delay: 10ms, backoff_max: 20ms } }\n";

/// One that answers each event with another, whose id is that of the event and this.
async fn replier(r#type: &'static str, suffix: &'static str) -> Sink {
    Sink::start(move |request: &Received| {
        let id = request.header("ce-id").unwrap_or_default().to_owned() + suffix;
        let fields = [
            ("ce-specversion", "1.0"),
            ("ce-id", &id),
            ("ce-source", "/billing/eu"),
            ("ce-type", r#type),
            ("ce-ingressapp", "commerce"),
        ];
        let headers = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Reply {
            headers: headers.to_vec(),
            body: b"paid".to_vec(),
            delay: Duration::from_millis(1),
            ..Reply::from(200)
        }
    })
    .await
}

fn document(name: &str, r#type: &str, sink: &Sink, sources: Option<&str>) -> String {
    let mut document = format!(
        "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: {name} }}\nspec:\n  sink: {{ uri: '{}' }}\n  \
         filters: [{{ exact: {{ type: {type} }} }}]\n",
        sink.url()
    );
    if let Some(sources) = sources {
        writeln!(document, "  reply: {{ sources: [{sources}] }}").unwrap();
    }
    document
}

/// A chain over two Functions is as durable as each of its parts: nats-server is killed under it.
#[tokio::test]
async fn replies_are_events_like_any_other() {
    const EVENTS: usize = 300;
    let (first, second) = (replier("paid", "").await, Sink::start(|_| 200_u16).await);
    let documents = [
        document("first", "order.v1", &first, Some("'/billing/*'")),
        document("second", "paid", &second, None),
    ];
    let tidegate = Tidegate::up(&documents.concat(), CONFIGURATION).await;
    let progress = Progress::default();
    let publishing = tokio::spawn(publish_all(
        tidegate.receive,
        "/s",
        "order.v1",
        EVENTS,
        progress.clone(),
    ));
    progress.reached(EVENTS / 3).await;
    signal(tidegate.nats_pid, "KILL");
    publishing.await.unwrap();
    let mut missing = numbers(EVENTS);
    let mut seen = 0;
    while !missing.is_empty() {
        seen += 1;
        let received = second.received(seen).await;
        missing.remove(received[seen - 1].header("ce-id").unwrap());
    }
    let received = second.received(1).await.remove(0);
    assert_eq!(received.body, b"paid");
    assert_eq!(received.header("ce-source"), Some("/billing/eu"));
    assert_eq!(received.header("ce-tidegatehops"), Some("1"));
    assert_eq!(
        received.header("ce-ingressapp"),
        None,
        "a sink is no gateway"
    );
}

/// Who answers in another's name, or itself for ever, is stopped, and nothing is lost by it.
#[tokio::test]
async fn what_may_not_be_published_is_a_dead_letter() {
    let (liar, echo) = (replier("paid", "").await, replier("echo", "+").await);
    let documents = [
        document("liar", "order.v1", &liar, Some("/s")),
        document("echo", "echo", &echo, Some("'*'")),
    ];
    let tidegate = Tidegate::up(&documents.concat(), CONFIGURATION).await;
    publish_all(tidegate.receive, "/s", "order.v1", 1, Progress::default()).await;
    publish_all(tidegate.receive, "/t", "echo", 1, Progress::default()).await;
    let metric = "tidegate_consume_dead_letters_total";
    tidegate.metric_reaches(metric, 2.0).await;
    for said in ["reply/source-not-allowed", "reply/too-many-hops"] {
        tidegate.log_says(said).await;
    }
    assert_eq!(liar.count(), 1);
    assert_eq!(
        echo.count(),
        17,
        "sixteen replies, and the event that began it"
    );
}
