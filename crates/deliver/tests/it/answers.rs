//! What a sink's answer means, and what a sink may do instead of answering.

use std::{env, fs, path::PathBuf, time::Duration};

use serde_json::Value;
use tidegate_deliver::{Config, Egress, Outcome, Seen};
use tidegate_testkit::{Manner, Reply, Sink};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
};

use crate::{attempt, attempt_with, code, event, plain, to};

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

/// Whatever a sink does instead of answering, it is one failed attempt that may pass: no memory
/// without bound, no hanging, and nothing taken for delivered that is not.
#[tokio::test]
async fn a_sink_that_misbehaves_is_one_failed_attempt() {
    for (manner, expected) in [
        (Manner::HalfAnswer, "deliver/transport"),
        (Manner::HalfBody, "deliver/transport"),
        (Manner::Nonsense, "deliver/transport"),
        (Manner::EndlessHead, "deliver/transport"),
        (Manner::Endless, "deliver/answer-too-long"),
    ] {
        let sink = Sink::start(move |_| Reply {
            manner,
            ..Reply::from(200)
        })
        .await;
        let outcome = plain(&sink).await;
        assert!(
            matches!(outcome, Outcome::Retry { .. }),
            "{manner:?}: {outcome:?}"
        );
        assert_eq!(code(&outcome), expected, "{manner:?}");
        assert_eq!(sink.count(), 1, "{manner:?}");
    }
}

/// What a refusal says besides its status is not worth much.
#[tokio::test]
async fn an_endless_refusal_is_a_refusal() {
    let sink = Sink::start(|_| Reply {
        manner: Manner::Endless,
        ..Reply::from(422)
    })
    .await;
    assert_eq!(code(&plain(&sink).await), "deliver/status-rejected");
}

/// A sink that says 200 to the head of a request cannot have the event.
#[tokio::test]
async fn an_answer_before_the_event_was_read_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let sink = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 16];
        stream.read_exact(&mut head).await.unwrap();
        let answer = b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        std::future::pending::<()>().await;
    });
    let mut event = event();
    event.data = Some(vec![b'x'; 64 << 20].into());
    let outcome = attempt(&url, &event, Seen::default(), Duration::from_secs(30)).await;
    assert_eq!(code(&outcome), "deliver/early-answer");
    sink.abort();
}

/// A sink may work long; one that does not even begin to answer is given up sooner, if asked for.
#[tokio::test]
async fn the_first_byte_has_a_time_of_its_own() {
    let config = Config {
        first_byte_timeout: Some(Duration::from_millis(100)),
        ..Config::default()
    };
    let sink = Sink::start(|_| Reply {
        manner: Manner::Silent,
        ..Reply::from(200)
    })
    .await;
    let outcome = attempt_with(&config, &to(&sink.url()), &event()).await;
    assert_eq!(code(&outcome), "deliver/first-byte-timeout");
}

/// By address or by name, before a single byte is sent.
#[tokio::test]
async fn refused_addresses_are_not_connected_to() {
    let config = Config {
        egress: Egress {
            loopback: false,
            ..Egress::default()
        },
        ..Config::default()
    };
    let sink = Sink::start(|_| 200_u16).await;
    let by_name = sink.url().replace("127.0.0.1", "localhost");
    for url in [&sink.url(), &by_name] {
        let outcome = attempt_with(&config, &to(url), &event()).await;
        assert_eq!(code(&outcome), "deliver/egress", "{url}: {outcome:?}");
        let outcome = attempt_with(&Config::default(), &to(url), &event()).await;
        assert_eq!(code(&outcome), "delivered", "{url}");
    }
    assert_eq!(sink.count(), 2);
    for url in [
        "http://169.254.169.254/latest/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://2852039166/",
    ] {
        let url = url::Url::parse(url).unwrap();
        let outcome = attempt_with(&Config::default(), &to(url.as_str()), &event()).await;
        assert_eq!(code(&outcome), "deliver/egress", "{url}: {outcome:?}");
    }
}

/// Nobody there is a failure that may pass.
#[tokio::test]
async fn a_refused_connection_is_retried() {
    // Bound and not listening: nobody else gets the port meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    let outcome = attempt(&url, &event(), Seen::default(), Duration::from_secs(30)).await;
    assert_eq!(code(&outcome), "deliver/connect");
}
