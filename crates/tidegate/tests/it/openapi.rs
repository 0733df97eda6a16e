//! The operations' own description: every operation is there, and answers as it says.

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Client, Sink};

use crate::harness::{Tidegate, binary, subscription};

async fn ask(tidegate: &Tidegate, method: &str, path: &str, body: &Value) -> Answer {
    let mut client = Client::connect(tidegate.admin).await.unwrap();
    let headers = [("content-type", "application/json")];
    let body = body.to_string();
    client
        .send(method, path, &headers, body.as_bytes())
        .await
        .unwrap()
}

/// The description's schema for an answer's body, with its references in reach.
fn schema(document: &Value, path: &str, method: &str, status: u16) -> Option<Value> {
    let responses = &document["paths"][path][method]["responses"];
    let response = responses.get(status.to_string());
    let response = response.unwrap_or(&responses["default"]);
    let content = response["content"].as_object()?;
    let mut schema = content.values().next()?["schema"].clone();
    schema["components"] = document["components"].clone();
    Some(schema)
}

/// Each operation with a query, and the status of its answer, in an order that makes sense.
const OPERATIONS: &[(&str, &str, &str, u16)] = &[
    ("/api/v1/subscriptions", "get", "", 200),
    ("/api/v1/subscriptions/{namespace}/{name}", "get", "", 200),
    (
        "/api/v1/dead-letters",
        "get",
        "?limit=1&since=2026-01-01T00:00:00Z",
        200,
    ),
    ("/api/v1/dead-letters", "get", "?limit=x", 400),
    (
        "/api/v1/events",
        "get",
        "?limit=1&since=2026-01-01T00:00:00Z&filter=id%20%3D%20%271%27",
        200,
    ),
    ("/api/v1/events", "get", "?filter=id%20LIKE", 400),
    ("/api/v1/events/tail", "get", "?filter=id%20LIKE", 400),
    ("/api/v1/events/{sequence}", "get", "", 200),
    ("/api/v1/dead-letters/{sequence}", "get", "", 200),
    ("/api/v1/dead-letters/{sequence}/redrive", "post", "", 502),
    ("/api/v1/dead-letters/{sequence}", "delete", "", 204),
    ("/api/v1/dead-letters/{sequence}", "get", "", 404),
    ("/api/v1/replays", "post", "", 409),
    ("/api/v1/replays", "get", "", 200),
    ("/api/v1/replays/{name}", "get", "", 200),
    ("/api/v1/replays/{name}", "delete", "", 200),
    ("/api/v1/replays/{name}", "get", "", 200),
    ("/api/v1/replays/{name}", "delete", "", 404),
    ("/api/v1/log-level", "put", "", 422),
    ("/api/v1/log-level", "get", "", 200),
    ("/api/v1/applications", "get", "", 200),
    ("/api/v1/applications/{name}", "get", "", 404),
    ("/api/v1/sources", "get", "", 200),
    ("/api/v1/sources/{name}", "get", "", 404),
    ("/api/v1/status", "get", "?stuckAfter=0s&watch=10ms", 200),
    ("/api/v1/status", "get", "?watch=soon", 400),
    (
        "/api/v1/subscriptions/{namespace}/{name}/pause",
        "post",
        "",
        200,
    ),
    ("/api/v1/subscriptions", "get", "", 200),
    ("/api/v1/status", "get", "?watch=0s", 200),
    (
        "/api/v1/subscriptions/{namespace}/{name}/resume",
        "post",
        "",
        200,
    ),
];

#[tokio::test]
async fn every_operation_answers_as_it_is_described() {
    let sink = Sink::start(|_| 400_u16).await;
    let document = subscription("all", "/s", "t.v1", &sink.url());
    let tidegate = Tidegate::up(&document, "").await;
    for id in ["1", "2"] {
        tidegate
            .send("POST", "/events", &binary(id, "/s", "t.v1"), b"{}")
            .await;
    }
    tidegate
        .metric_reaches("tidegate_consume_dead_letters_total", 2.0)
        .await;
    let described = ask(&tidegate, "GET", "/api/v1/openapi.json", &Value::Null).await;
    let described: Value = serde_json::from_str(&described.text()).unwrap();
    let wanted = json!({ "subscription": "default/all", "from": 1, "rate": 1 });
    let begun = ask(&tidegate, "POST", "/api/v1/replays", &wanted).await;
    let replay: Value = serde_json::from_str(&begun.text()).unwrap();
    let name = replay["name"].as_str().unwrap();
    let mut judged = Vec::new();
    for &(path, method, with, status) in OPERATIONS {
        let asked = path.replace("{namespace}/{name}", "default/all");
        let asked = asked.replace("{sequence}", "1").replace("{name}", name) + with;
        let body = match path.ends_with("/pause") {
            true => &json!({ "reason": "it is mended" }),
            false => &wanted,
        };
        let answer = ask(&tidegate, &method.to_uppercase(), &asked, body).await;
        assert_eq!(answer.status, status, "{method} {asked}: {}", answer.text());
        judged.push((path.to_owned(), method.to_owned()));
        match schema(&described, path, method, status) {
            None => assert_eq!(answer.text(), "", "{method} {asked}"),
            Some(schema) => {
                let body: Value = serde_json::from_str(&answer.text()).unwrap();
                let validator = jsonschema::validator_for(&schema).unwrap();
                let mistakes: Vec<_> = validator.iter_errors(&body).collect();
                assert!(mistakes.is_empty(), "{method} {asked}: {mistakes:?}");
            }
        }
    }
    for (path, methods) in described["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let one = (path.clone(), method.clone());
            assert!(method == "parameters" || judged.contains(&one), "{one:?}");
        }
    }
}
