//! Several events in one request: gathered, split, and each with an outcome of its own.

use std::time::Duration;

use serde_json::Value;
use tidegate_deliver::{Batches, Config, Outcome, Seen};
use tidegate_event::Event;
use tidegate_telemetry::spans::Tracer;
use tidegate_testkit::{Manner, Received, Reply, Sink};

use crate::{client, code, to};

const LONG: Duration = Duration::from_secs(60);

fn ids(received: &Received) -> Vec<String> {
    let events: Vec<Value> = serde_json::from_slice(&received.body).unwrap();
    let ids = events.iter().map(|event| event["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

fn batches(sink: &Sink, size: usize, wait: Duration, timeout: Duration) -> Batches {
    Batches::new(
        client(&Config::default()),
        to(&sink.url()),
        (size, wait),
        timeout,
        Tracer::default(),
    )
}

/// All at once; the outcomes in order.
async fn attempts(batches: &Batches, count: usize, bytes: usize) -> Vec<Outcome> {
    let attempts: Vec<_> = (0..count)
        .map(|id| {
            let batches = batches.clone();
            tokio::spawn(async move {
                let mut event = Event::new(id.to_string(), "/s", "t");
                event.data = Some(vec![b'x'; bytes].into());
                batches.attempt(&event, Seen::default()).await
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for attempt in attempts {
        outcomes.push(attempt.await.unwrap());
    }
    outcomes
}

/// As many as fit, in order; what does not fill one waits no longer than it may.
#[tokio::test]
async fn events_share_requests() {
    let sink = Sink::start(|_| 200_u16).await;
    let batches = batches(&sink, 10, Duration::from_millis(50), LONG);
    for outcome in attempts(&batches, 25, 5).await {
        assert_eq!(code(&outcome), "delivered");
    }
    let mut received = sink.received(3).await;
    received.sort_by_key(|one| ids(one)[0].parse::<u32>().unwrap());
    let all: Vec<Vec<String>> = received.iter().map(ids).collect();
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    let expected: Vec<String> = (0..25).map(|id| id.to_string()).collect();
    assert_eq!(all.concat(), expected);
    let content_type = "application/cloudevents-batch+json; charset=utf-8";
    assert_eq!(received[0].header("content-type"), Some(content_type));
}

/// A mebibyte of data is a request, however many may be in one.
#[tokio::test]
async fn a_request_has_a_bound_in_bytes() {
    let sink = Sink::start(|_| 200_u16).await;
    let batches = batches(&sink, 4, Duration::from_millis(50), LONG);
    attempts(&batches, 8, 600 << 10).await;
    assert_eq!(sink.count(), 8, "two would be above it");
}

/// One bad event among many is found, and costs the others nothing, whatever a sink does to it.
#[tokio::test]
async fn one_bad_event_is_alone_with_its_outcome() {
    let manner = |manner| Reply {
        manner,
        ..Reply::from(200)
    };
    for (reply, expected) in [
        (Reply::from(422), "deliver/status-rejected"),
        (Reply::from(500), "deliver/status-retryable"),
        (manner(Manner::HalfAnswer), "deliver/transport"),
        (manner(Manner::Silent), "deliver/timeout"),
    ] {
        let sink = Sink::start(move |received| {
            if ids(received).iter().any(|id| id == "7") {
                reply.clone()
            } else {
                Reply::from(200)
            }
        })
        .await;
        let batches = batches(&sink, 16, LONG, Duration::from_secs(1));
        for (id, outcome) in attempts(&batches, 16, 5).await.iter().enumerate() {
            let expected = if id == 7 { expected } else { "delivered" };
            assert_eq!(code(outcome), expected, "{id}: {outcome:?}");
        }
        assert!(sink.count() <= 17, "{} requests", sink.count());
    }
}

/// A sink that takes less than it is sent gets less.
#[tokio::test]
async fn what_is_too_large_is_split() {
    let sink = Sink::start(|received| {
        if ids(received).len() > 3 {
            413_u16
        } else {
            200
        }
    })
    .await;
    let batches = batches(&sink, 16, LONG, LONG);
    for outcome in attempts(&batches, 16, 5).await {
        assert_eq!(code(&outcome), "delivered");
    }
    assert_eq!(sink.count(), 1 + 2 + 4 + 8);
}

/// Where the sink is the reason, it is not asked for each event.
#[tokio::test]
async fn what_is_said_of_the_sink_counts_for_all() {
    for status in [401, 403, 404, 410, 429, 503, 302] {
        let sink = Sink::start(move |_| status).await;
        let batches = batches(&sink, 8, LONG, LONG);
        let outcomes = attempts(&batches, 8, 5).await;
        assert_eq!(sink.count(), 1, "{status}");
        assert!(outcomes.iter().all(|one| code(one) != "delivered"));
    }
}

/// An attempt that was given up is not made: a later event of its key may be on its way already.
#[tokio::test]
async fn an_attempt_that_is_given_up_is_not_made() {
    let sink = Sink::start(|_| 200_u16).await;
    let batches = batches(&sink, 2, LONG, LONG);
    let event = |id: &str| Event::new(id, "/s", "t");
    let first = {
        let (batches, event) = (batches.clone(), event("a"));
        tokio::spawn(async move { batches.attempt(&event, Seen::default()).await })
    };
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.is_err());
    let outcome = batches.attempt(&event("b"), Seen::default()).await;
    assert_eq!(code(&outcome), "delivered");
    assert_eq!(ids(&sink.received(1).await[0]), ["b"]);
}
