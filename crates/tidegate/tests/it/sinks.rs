//! What a sink's trouble means, as whoever runs Tidegate sees it.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tidegate_testkit::{Client, Received, Reply, Sink};

use crate::harness::{
    ListenProcess, PATIENCE, Progress, Tidegate, free_address, publish_all, subscription,
};

/// So little patience with an event that an outage would cost many their attempts.
const CONFIGURATION: &str = "consume: { retry: { attempts_max: 3, backoff_delay: 10ms, backoff_max: 20ms }, \
                             breaker: { probe_delay: 100ms, probe_delay_max: 200ms } }\n\
                             deliver: { timeout: 5s, connect_timeout: 1s }\n";

/// What is in one request is settled one by one: a bad event is a dead letter, the rest arrives.
#[tokio::test]
async fn events_come_in_batches() {
    const EVENTS: u32 = 500;
    let function = Sink::start(|request| {
        let events: Vec<Value> = serde_json::from_slice(&request.body).unwrap();
        let is_bad = events.iter().any(|event| event["id"] == "17");
        if is_bad { 422_u16 } else { 200 }
    })
    .await;
    let document = format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\nmetadata: {{ name: all }}\n\
         spec:\n  sink: {{ uri: '{}' }}\n  \
         delivery: {{ format: {{ batch: {{ size: 50, wait: 20ms }} }} }}\n",
        function.url()
    );
    let tidegate = Tidegate::up(&document, CONFIGURATION).await;
    publish(&tidegate, EVENTS as usize).await;
    let delivered = "tidegate_consume_events_delivered_total";
    tidegate
        .metric_reaches(delivered, f64::from(EVENTS - 1))
        .await;
    let letters = "tidegate_consume_dead_letters_total";
    tidegate.metric_reaches(letters, 1.0).await;
    let requests = function.count();
    assert!(requests < EVENTS as usize, "{requests} requests");
}

/// Before a sink permits it nothing is sent, and everything waits.
#[tokio::test]
async fn a_sink_is_asked_for_its_permission() {
    let status = Arc::new(AtomicU16::new(405));
    let answers = Arc::clone(&status);
    let function = Sink::start(move |_| {
        let fields = [
            ("webhook-allowed-origin", "tidegate.example.com"),
            ("webhook-allowed-rate", "6000"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Reply {
            headers: fields.to_vec(),
            ..Reply::from(answers.load(Ordering::Relaxed))
        }
    })
    .await;
    let document = format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\nmetadata: {{ name: all }}\n\
         spec:\n  sink: {{ uri: '{}' }}\n  \
         delivery: {{ webhook: {{ origin: tidegate.example.com }} }}\n",
        function.url()
    );
    let tidegate = Tidegate::up(&document, CONFIGURATION).await;
    publish(&tidegate, 20).await;
    stands(&tidegate, "all", "NotPermitted").await;
    let is_question = |one: &Received| one.line.starts_with("OPTIONS ");
    let questions = function.received(1).await;
    assert!(questions.iter().all(is_question), "{questions:?}");
    status.store(200, Ordering::Relaxed);
    let mut received = Vec::new();
    while received.iter().filter(|one| !is_question(one)).count() < 20 {
        received = function.received(received.len() + 1).await;
    }
    for one in &received {
        let origin = one.header("webhook-request-origin");
        assert_eq!(origin, Some("tidegate.example.com"));
    }
    stands(&tidegate, "all", "Open").await;
}

/// Secrets lie beside the documents; a rotated key counts without a restart, and what waits for a
/// missing one is not lost.
#[tokio::test]
async fn events_are_signed_and_authenticated_by_secrets_that_may_be_rotated() {
    let function = Sink::start(|request| match request.header("authorization") {
        Some("Bearer t0ken") => 200_u16,
        _ => 401,
    })
    .await;
    let document = format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\nmetadata: {{ name: all }}\n\
         spec:\n  sink: {{ uri: '{}' }}\n  delivery:\n    \
         auth: {{ bearer: {{ token: {{ file: secrets/token }} }} }}\n    \
         signing: {{ keys: [{{ file: secrets/key }}] }}\n",
        function.url()
    );
    let tidegate = Tidegate::up(&document, CONFIGURATION).await;
    publish(&tidegate, 20).await;
    let message = stands(&tidegate, "all", "Failing").await;
    let cause = "deliver/credentials: secret file secrets/";
    assert!(message.contains(cause), "{message}");
    tidegate.log_says("it is left alone and probed").await;
    assert_eq!(
        function.count(),
        0,
        "nothing is sent without its credentials"
    );
    let secrets = tidegate.subscriptions().join("secrets");
    fs::create_dir(&secrets).unwrap();
    fs::write(secrets.join("token"), "t0ken\n").unwrap();
    fs::write(
        secrets.join("key"),
        "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\n",
    )
    .unwrap();
    let received = function.received(20).await;
    for one in &received {
        assert!(one.header("webhook-signature").unwrap().starts_with("v1,"));
    }
    let letters = tidegate.metric("tidegate_consume_dead_letters_total").await;
    assert!(letters < 1.0, "{}", tidegate.log());
    assert!(!tidegate.log().contains("t0ken"), "a secret is in the log");
}

/// Waits until a Subscription's sink is said to stand so.
async fn stands(tidegate: &Tidegate, name: &str, reason: &str) -> String {
    let path = format!("/api/v1/subscriptions/default/{name}");
    let began = Instant::now();
    loop {
        let mut client = Client::connect(tidegate.admin).await.unwrap();
        let answer = client.send("GET", &path, &[], b"").await.unwrap().text();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let conditions = answer["conditions"].as_array().unwrap();
        let sink = conditions.iter().find(|one| one["type"] == "SinkAvailable");
        let sink = sink.unwrap();
        if sink["reason"] == reason {
            return sink["message"].to_string();
        }
        assert!(began.elapsed() < PATIENCE, "{answer}: {}", tidegate.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn publish(tidegate: &Tidegate, count: usize) {
    publish_all(tidegate.receive, "/s", "t.v1", count, Progress::default()).await;
}

/// A sink that nobody can reach for long makes no dead letter, and gets everything when it is back.
#[tokio::test]
async fn an_outage_makes_no_dead_letters() {
    const EVENTS: usize = 300;
    let address = free_address();
    let document = subscription("all", "/s", "t.v1", &format!("http://{address}/"));
    let tidegate = Tidegate::up(&document, CONFIGURATION).await;
    publish(&tidegate, EVENTS).await;
    stands(&tidegate, "all", "Failing").await;
    let function = ListenProcess::start(address).await;
    function.received(EVENTS).await;
    stands(&tidegate, "all", "Open").await;
    let letters = tidegate.metric("tidegate_consume_dead_letters_total").await;
    assert!(letters < 1.0, "{}", tidegate.log());
}

/// A sink that answers 410 is left alone, loses nothing, and is asked again when its Subscription
/// is changed.
#[tokio::test]
async fn a_sink_that_is_gone_keeps_what_is_for_it() {
    let status = Arc::new(AtomicU16::new(410));
    let answers = Arc::clone(&status);
    let function = Sink::start(move |_| answers.load(Ordering::Relaxed)).await;
    let document = subscription("all", "/s", "t.v1", &function.url());
    let tidegate = Tidegate::up(&document, CONFIGURATION).await;
    publish(&tidegate, 1).await;
    stands(&tidegate, "all", "Gone").await;
    publish(&tidegate, 50).await;
    let metric = "tidegate_consume_dead_letters_total";
    assert!(tidegate.metric(metric).await < 1.0, "{}", tidegate.log());
    let so_far = function.count();
    assert!(so_far <= 10, "what was under way, and no more: {so_far}");
    status.store(200, Ordering::Relaxed);
    let changed = document + "  config: { maxInFlightMessages: \"5\" }\n";
    fs::write(tidegate.subscriptions().join("subscriptions.yaml"), changed).unwrap();
    // The first of the second load bears the id of the first load's only one.
    function.received(so_far + 50).await;
    stands(&tidegate, "all", "Open").await;
}
