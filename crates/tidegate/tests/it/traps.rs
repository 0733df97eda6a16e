//! What other brokers stumbled over.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tidegate_testkit::{Client, Received, Reply, Sink};

use crate::harness::{
    Progress, Tidegate, binary, free_address, numbers, publish_all, subscription,
};

const QUICK: &str = "consume: { retry: { backoff_delay: 10ms, backoff_max: 20ms } }\n";

/// A Subscription that says nothing of delivery loses nothing: a failure is tried again.
#[tokio::test]
async fn without_a_policy_a_failure_is_tried_again() {
    let tries = Mutex::<HashMap<String, usize>>::default();
    let function = Sink::start(move |request: &Received| {
        let id = request.header("ce-id").unwrap_or_default().to_owned();
        let mut tries = tries.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = tries.entry(id).or_default();
        *tries += 1;
        if *tries < 3 { 500_u16 } else { 200 }
    })
    .await;
    let document = format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\nmetadata: {{ name: all }}\n\
         spec: {{ sink: {{ uri: '{}' }} }}\n",
        function.url()
    );
    let tidegate = Tidegate::up(&document, QUICK).await;
    publish_all(tidegate.receive, "/s", "t.v1", 5, Progress::default()).await;
    let delivered = "tidegate_consume_events_delivered_total";
    tidegate.metric_reaches(delivered, 5.0).await;
    assert_eq!(function.count(), 15);
}

/// An id is its source's: the same one from another source is another event.
#[tokio::test]
async fn the_same_id_from_two_sources_is_two_events() {
    let function = Sink::start(|_| 200_u16).await;
    let documents = ["/one", "/two"].map(|source| {
        let name = source.trim_start_matches('/');
        subscription(name, source, "t.v1", &function.url())
    });
    let tidegate = Tidegate::up(&documents.concat(), QUICK).await;
    for source in ["/one", "/two"] {
        let mut client = Client::connect(tidegate.receive).await.unwrap();
        let headers = binary("same", source, "t.v1");
        let answer = client.send("POST", "/publish", &headers, b"{}").await;
        assert_eq!(answer.unwrap().status, 204);
    }
    let received = function.received(2).await;
    let mut sources: Vec<_> = received
        .iter()
        .map(|one| one.header("ce-source").unwrap())
        .collect();
    sources.sort_unstable();
    assert_eq!(sources, ["/one", "/two"]);
}

/// Ten at once for a sink that takes longer than the acknowledgement is waited for: each once.
#[tokio::test]
async fn a_sink_slower_than_the_acknowledgement_gets_each_event_once() {
    let function = Sink::slow(Duration::from_secs(5)).await;
    let document = subscription("all", "/s", "t.v1", &function.url());
    let tidegate = Tidegate::up(&document, "consume: { ack_wait: 2s }\n").await;
    publish_all(tidegate.receive, "/s", "t.v1", 20, Progress::default()).await;
    let delivered = "tidegate_consume_events_delivered_total";
    tidegate.metric_reaches(delivered, 20.0).await;
    assert_eq!(function.count(), 20);
}

/// One dead sink and one that never answers among a hundred: the rest gets everything.
#[tokio::test]
async fn a_dead_and_a_silent_sink_among_a_hundred_harm_nobody() {
    const EVENTS: usize = 20;
    const WELL: usize = 98;
    let function = Sink::start(|_| 200_u16).await;
    let silent = Sink::start(|_| Reply {
        manner: tidegate_testkit::Manner::Silent,
        ..Reply::from(200)
    })
    .await;
    let mut documents = subscription("silent", "/s", "t.v1", &silent.url());
    let dead = format!("http://{}/", free_address());
    documents += &subscription("dead", "/s", "t.v1", &dead);
    for number in 0..WELL {
        let url = format!("{}{number}", function.url());
        let document = subscription(&format!("well-{number}"), "/s", "t.v1", &url);
        write!(documents, "{document}").unwrap();
    }
    let tidegate = Tidegate::up(&documents, QUICK).await;
    publish_all(tidegate.receive, "/s", "t.v1", EVENTS, Progress::default()).await;
    let received = function.received(WELL * EVENTS).await;
    for number in 0..WELL {
        let line = format!("POST /{number} HTTP/1.1");
        let mut missing = numbers(EVENTS);
        for one in received.iter().filter(|one| one.line == line) {
            missing.remove(one.header("ce-id").unwrap());
        }
        assert!(missing.is_empty(), "{line}: {missing:?}");
    }
}
