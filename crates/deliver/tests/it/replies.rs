//! Events in answers, as Knative's data plane has them.

use tidegate_deliver::{Config, Outcome};
use tidegate_event::Event;
use tidegate_testkit::{Reply, Sink};

use crate::{attempt_with, code, event, to};

fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let headers = headers.iter();
    let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Reply {
        headers: headers.collect(),
        body: body.to_vec(),
        ..Reply::from(status)
    }
}

const BINARY: [(&str, &str); 6] = [
    ("ce-specversion", "1.0"),
    ("ce-id", "r1"),
    ("ce-source", "/billing%20"),
    ("ce-type", "invoice.created"),
    ("ce-color", "red"),
    ("content-type", "application/json"),
];

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");

async fn of(reply: Reply, wanted: bool) -> (Outcome, Option<Event>) {
    let sink = Sink::start(move |_| reply.clone()).await;
    let to = if wanted {
        to(&sink.url()).replying()
    } else {
        to(&sink.url())
    };
    let outcome = attempt_with(&Config::default(), &to, &event()).await;
    let asked = sink.received(1).await[0]
        .header("prefer")
        .map(str::to_owned);
    assert_eq!(asked.as_deref(), wanted.then_some("reply"));
    let reply = match &outcome {
        Outcome::Delivered { reply, .. } => reply.as_deref().cloned(),
        Outcome::Retry { .. } | Outcome::Rejected { .. } => None,
    };
    (outcome, reply)
}

/// Both modes, byte for byte.
#[tokio::test]
async fn an_event_in_an_answer_is_a_reply() {
    let (_, reply) = of(answer(200, &BINARY, b"{\"n\":1.10}"), true).await;
    let reply = reply.unwrap();
    assert_eq!(
        (&*reply.id, &*reply.source, &*reply.r#type),
        ("r1", "/billing ", "invoice.created")
    );
    assert_eq!(reply.data.unwrap(), &b"{\"n\":1.10}"[..]);
    assert_eq!(reply.extensions.get("color").unwrap().to_text(), "red");
    let json = br#"{"specversion":"1.0","id":"r2","source":"/b","type":"t","data":{"m":1.0}}"#;
    let (_, reply) = of(answer(200, &[STRUCTURED], json), true).await;
    let reply = reply.unwrap();
    assert_eq!(reply.id, "r2");
    assert_eq!(reply.data.unwrap(), &br#"{"m":1.0}"#[..]);
}

/// What is no event, was not asked for, or comes with 202 (its body must not be routed).
#[tokio::test]
async fn other_answers_are_no_replies() {
    for (answer, wanted) in [
        (answer(200, &[], b""), true),
        (
            answer(200, &[("content-type", "application/json")], b"{}"),
            true,
        ),
        (answer(202, &BINARY, b"{}"), true),
        (answer(201, &BINARY, b"{}"), true),
        (answer(200, &BINARY, b"{}"), false),
        (answer(200, &[STRUCTURED], b"nonsense"), false),
    ] {
        let (outcome, reply) = of(answer, wanted).await;
        assert_eq!(code(&outcome), "delivered");
        assert_eq!(reply, None);
    }
}

/// A sink that says it answers with an event and does not has failed.
#[tokio::test]
async fn a_malformed_reply_is_a_failed_attempt() {
    for (answer, says) in [
        (answer(200, &[STRUCTURED], b"{"), "{"),
        (
            answer(200, &[STRUCTURED], br#"{"specversion":"1.0"}"#),
            "specversion",
        ),
        (answer(200, &BINARY[..1], b"data"), "data"),
        (
            answer(
                200,
                &[("content-type", "application/cloudevents-batch+json")],
                b"[]",
            ),
            "[]",
        ),
        (
            answer(
                200,
                &[("content-type", "application/cloudevents+avro")],
                b"a",
            ),
            "a",
        ),
    ] {
        let (outcome, _) = of(answer, true).await;
        let Outcome::Retry { failure, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(failure.code, "deliver/malformed-reply");
        let body = failure.answer.unwrap().body;
        assert!(String::from_utf8_lossy(&body).contains(says), "{body:?}");
    }
}
