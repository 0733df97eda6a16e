//! What a sink's answer means, and what a sink may do instead of answering.

use std::{env, fs, path::PathBuf, time::Duration};

use serde_json::Value;
use tidegate_deliver::{Outcome, Seen};
use tidegate_testkit::{Manner, Reply, Sink};

use crate::{attempt, event, plain};

fn code(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered { .. } => "delivered",
        Outcome::Retry { failure, .. } | Outcome::Rejected { failure } => failure.code,
    }
}

/// The public table of delivery semantics, row by row, over a real socket.
#[tokio::test]
async fn statuses_mean_what_the_public_table_says() {
    let Some(vectors) = env::var_os("TIDEGATE_VECTORS").map(PathBuf::from) else {
        return;
    };
    let table = fs::read(vectors.join("vectors/knative/delivery-semantics.json")).unwrap();
    let table: Value = serde_json::from_slice(&table).unwrap();
    let mut judged = 0;
    for row in table["status"].as_array().unwrap() {
        let statuses: &[u16] = match row["code"].as_str().unwrap() {
            "1xx" => continue, // no final answer
            "2xx-other" => &[201, 204, 206, 299],
            "3xx" => &[300, 301, 302, 303, 304, 307, 308],
            "4xx-other" => &[402, 405, 406, 411, 413, 415, 418, 422, 431, 451],
            "5xx" => &[500, 501, 502, 503, 504, 511],
            one => &[one.parse().unwrap()],
        };
        for status in statuses.iter().copied() {
            let sink = Sink::start(move |_| status).await;
            let outcome = plain(&sink).await;
            let (delivered, retried) = match outcome {
                Outcome::Delivered { .. } => (true, false),
                Outcome::Retry { .. } => (false, true),
                Outcome::Rejected { .. } => (false, false),
            };
            assert_eq!(delivered, row["completed"].as_bool().unwrap(), "{status}");
            assert_eq!(retried, row["retry"].as_bool().unwrap(), "{status}");
            judged += 1;
        }
    }
    assert!(judged > 30, "only {judged}");
}

/// Why a sink refuses is told, as far as it fits.
#[tokio::test]
async fn the_beginning_of_a_refusal_is_kept() {
    for bytes in [0, 10, 1_024, 5_000] {
        let body = vec![b'x'; bytes];
        let sink = Sink::start(move |_| Reply {
            body: body.clone(),
            ..Reply::from(422)
        })
        .await;
        let Outcome::Rejected { failure } = plain(&sink).await else {
            panic!("it was refused");
        };
        let answer = failure.answer.unwrap();
        assert_eq!(
            (answer.status.as_u16(), answer.body.len()),
            (422, bytes.min(1_024))
        );
    }
}

/// A redirect could turn the event into a GET without it.
#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Sink::start(|_| 200_u16).await;
    let location = target.url();
    let sink = Sink::start(move |_| Reply {
        headers: vec![("location".to_owned(), location.clone())],
        ..Reply::from(302)
    })
    .await;
    assert_eq!(code(&plain(&sink).await), "deliver/redirect");
    assert_eq!(target.count(), 0);
}

/// A sink that says when to come again is heard.
#[tokio::test]
async fn retry_after_is_reported() {
    let sink = Sink::start(|_| Reply {
        headers: vec![("retry-after".to_owned(), "120".to_owned())],
        ..Reply::from(503)
    })
    .await;
    let Outcome::Retry { after, .. } = plain(&sink).await else {
        panic!("not retried")
    };
    assert_eq!(after, Some(Duration::from_secs(120)));
}

/// A sink that hangs is one failed attempt, within its time.
#[tokio::test]
async fn a_silent_sink_costs_its_timeout() {
    let sink = Sink::start(|_| Reply {
        manner: Manner::Silent,
        ..Reply::from(200)
    })
    .await;
    let timeout = Duration::from_millis(200);
    let outcome = attempt(&sink.url(), &event(), Seen::default(), timeout).await;
    assert_eq!(code(&outcome), "deliver/timeout");
}

/// A connection that ends in the middle of an answer is one failed attempt.
#[tokio::test]
async fn a_broken_answer_is_a_transport_failure() {
    let sink = Sink::start(|_| Reply {
        manner: Manner::HalfAnswer,
        ..Reply::from(200)
    })
    .await;
    assert_eq!(code(&plain(&sink).await), "deliver/transport");
}

/// The status decides; a body without end costs neither memory nor the delivery.
#[tokio::test]
async fn an_endless_answer_is_delivered_by_its_status() {
    let sink = Sink::start(|_| Reply {
        manner: Manner::Endless,
        ..Reply::from(200)
    })
    .await;
    assert_eq!(code(&plain(&sink).await), "delivered");
}

/// Nobody there is a failure that may pass.
#[tokio::test]
async fn a_refused_connection_is_retried() {
    let url = {
        let sink = Sink::start(|_| 200_u16).await;
        sink.url()
    };
    let outcome = attempt(&url, &event(), Seen::default(), Duration::from_secs(30)).await;
    assert_eq!(code(&outcome), "deliver/connect");
}
