//! Tidegate's own Subscription, from its document to the Function.

use std::{
    fs,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tidegate_testkit::Sink;

use crate::harness::{Tidegate, binary};

fn document(sink: &str, more: &str) -> String {
    format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: billing }}\nspec:\n  sink: {{ uri: {sink} }}\n{more}"
    )
}

const FILTERED: &str = "  filters:\n  - prefix: { type: order. }\n  \
    - sql: EXISTS priority AND priority > 3 OR source = 'shop'\n  \
    delivery:\n    format: structured\n    headers: { x-team: billing }\n";

async fn publish(tidegate: &Tidegate, id: &str, source: &str, r#type: &str, priority: &str) {
    let mut headers = binary(id, source, r#type);
    headers.push(("ce-priority", priority));
    let answer = tidegate
        .send("POST", "/publish", &headers, b"{\"a\": 1.0}")
        .await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// The Function gets what the filters let pass, in the form and with the headers that it wants.
#[tokio::test]
async fn a_function_gets_what_its_filters_let_pass() {
    let sink = Sink::start(|_| 204_u16).await;
    let document = document(&sink.url(), FILTERED);
    let tidegate = Tidegate::up(&document, "").await;
    for (id, source, r#type, priority) in [
        ("no-type", "shop", "invoice.created.v1", "9"),
        ("no-priority", "other", "order.created.v1", "3"),
        ("yes", "other", "order.created.v1", "4"),
        ("yes-too", "shop", "order.changed.v1", "0"),
    ] {
        publish(&tidegate, id, source, r#type, priority).await;
    }
    let mut ids = Vec::new();
    for received in sink.received(2).await {
        let content_type = received.header("content-type").unwrap();
        assert!(content_type.starts_with("application/cloudevents+json"));
        assert_eq!(received.header("x-team"), Some("billing"));
        assert_eq!(received.header("ce-id"), None);
        let event: Value = serde_json::from_slice(&received.body).unwrap();
        assert_eq!(event["data"].to_string(), "{\"a\":1.0}");
        assert_eq!(event["originaltype"], Value::Null, "that is for Kyma's");
        ids.push(event["id"].as_str().unwrap().to_owned());
    }
    ids.sort();
    assert_eq!(ids, ["yes", "yes-too"]);
    let skipped = "tidegate_consume_events_skipped_total";
    if !crate::IS_SHARED {
        tidegate.metric_reaches(skipped, 1.0).await;
    }
    assert!(
        tidegate.metric(skipped).await < 2.0,
        "the type is filtered by the server"
    );
}

/// Paused, a Subscription keeps its place; changed back, it gets what came meanwhile.
#[tokio::test]
async fn a_pause_keeps_what_came_meanwhile() {
    let sink = Sink::start(|_| 204_u16).await;
    let tidegate = Tidegate::up(&document(&sink.url(), "  pause: true\n"), "").await;
    publish(&tidegate, "meanwhile", "shop", "order.created.v1", "1").await;
    let file = tidegate.subscriptions().join("subscriptions.yaml");
    fs::write(file, document(&sink.url(), "")).unwrap();
    let received = sink.received(1).await;
    assert_eq!(received[0].header("ce-id"), Some("meanwhile"));
}

/// What is stored already is delivered to whoever comes later and asks for it.
#[tokio::test]
async fn a_late_subscription_begins_where_it_wants() {
    let (early, late) = (
        Sink::start(|_| 204_u16).await,
        Sink::start(|_| 204_u16).await,
    );
    let tidegate = Tidegate::up(&document(&early.url(), ""), "").await;
    for id in ["1", "2", "3"] {
        publish(&tidegate, id, "shop", "order.created.v1", "1").await;
    }
    early.received(3).await;
    let text = document(&late.url(), "  start: { sequence: 2 }\n").replace("billing", "late");
    fs::write(tidegate.subscriptions().join("late.yaml"), text).unwrap();
    let ids: Vec<_> = late.received(2).await;
    let mut ids: Vec<_> = ids.iter().filter_map(|one| one.header("ce-id")).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["2", "3"]);
}

fn asked(arguments: &[&str], event: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever has its answer already reads no event.
    child.stdin.take().unwrap().write_all(event.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

/// Whether an event is wanted can be asked before anything runs, with the part that decides.
#[test]
fn what_a_subscription_wants_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("subscription.yaml");
    fs::write(&file, document("http://h/", FILTERED)).unwrap();
    let file = file.to_str().unwrap();
    let event = |priority: u8| {
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"order.v1\",\"priority\":{priority}}}"
        )
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let arguments = ["subscriptions", "match", "billing", "--document", file];
    let wanted = asked(&arguments, &event(4));
    assert_eq!(wanted.status.code(), Some(0), "{}", text(&wanted.stderr));
    let unwanted = asked(&arguments, &event(3));
    assert_eq!(unwanted.status.code(), Some(1));
    let said = text(&unwanted.stderr);
    assert!(said.contains("spec.filters[1].sql: "), "{said}");
    let none = asked(&["subscriptions", "match", "other", "--document", file], "");
    assert!(text(&none.stderr).contains("there are default/billing"));
    let explained = asked(&["subscriptions", "explain", "--document", file], "");
    let said = text(&explained.stdout);
    for part in ["tidegate.events.*.order.>", "structured", "20 attempts"] {
        assert!(said.contains(part), "{said}");
    }
}
