//! A topic as a sink, read back by somebody else's program.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tidegate_testkit::Kafka;

use crate::{
    harness::{PATIENCE, Tidegate},
    source::all_to,
};

/// Events as they are published: everything that an attribute or data may be.
fn events() -> Vec<Value> {
    let mut events = vec![
        json!({ "data": { "text": "Grüße, 100% \u{1f600}", "n": 1.5, "none": null } }),
        json!({ "subject": "a/b c", "datacontenttype": "application/json", "data": [1, "2"] }),
        json!({ "datacontenttype": "text/plain", "data": "line\nline" }),
        json!({ "datacontenttype": "application/octet-stream", "data_base64": "AP+AfwA=" }),
        json!({ "partitionkey": "k 1", "sapkey": "ä%41", "count": 7, "flag": true }),
        json!({ "dataschema": "https://e.com/s#x", "time": "2026-11-20T10:00:00Z" }),
    ];
    for (at, event) in events.iter_mut().enumerate() {
        event["specversion"] = json!("1.0");
        event["id"] = json!(format!("{at}: ü"));
        event["source"] = json!("/shop/1");
        event["type"] = json!("order.created.v1");
    }
    events
}

/// What has to come out, by id: attributes as text, and the data as bytes or as a JSON value.
fn expected(event: &Value) -> (BTreeMap<String, String>, Option<Vec<u8>>) {
    let attributes = event.as_object().unwrap().iter();
    let attributes = attributes.filter(|(name, _)| {
        !name.starts_with("data") || name.starts_with("datac") || name.starts_with("datas")
    });
    let attributes = attributes
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    let data = match (event.get("data"), event.get("data_base64")) {
        (_, Some(base64)) => Some(STANDARD.decode(base64.as_str().unwrap()).unwrap()),
        (Some(Value::String(text)), _)
            if event.get("datacontenttype") == Some(&json!("text/plain")) =>
        {
            Some(text.clone().into_bytes())
        }
        (Some(json), _) => Some(json.to_string().into_bytes()),
        (None, None) => None,
    };
    (attributes, data)
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Binary and structured: attributes, data and key are what was published.
#[tokio::test]
async fn what_is_published_is_read_back_by_others() {
    let kafka = Kafka::start().await;
    let mut subscriptions = String::new();
    for format in ["binary", "structured"] {
        kafka.create_topic(format, 2).await;
        let sink = format!(
            "{{ kafka: {{ brokers: ['{}'], topic: '{format}' }} }}\n  delivery: {{ format: {format} }}",
            kafka.bootstrap()
        );
        subscriptions += &all_to(format, &sink);
    }
    let tidegate = Tidegate::up(&subscriptions, "").await;
    let events = events();
    let batch = Value::Array(events.clone()).to_string();
    let headers = [("content-type", "application/cloudevents-batch+json")];
    let answer = tidegate
        .send("POST", "/events", &headers, batch.as_bytes())
        .await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    for format in ["binary", "structured"] {
        let reading = kafka.read_events(format, events.len());
        let read = tokio::time::timeout(PATIENCE, reading).await;
        let Ok(read) = read else {
            unreachable!("{format}: {}", tidegate.log());
        };
        for event in &events {
            let is_it = |one: &&Value| one["attributes"]["id"] == event["id"];
            let found = read
                .iter()
                .find(is_it)
                .unwrap_or_else(|| panic!("{event}: {read:?}"));
            let attributes = found["attributes"].as_object().unwrap().iter();
            let mut attributes: BTreeMap<String, String> = attributes
                .map(|(name, value)| (name.clone(), text(value)))
                .collect();
            let (mut wanted, data) = expected(event);
            // JSON is what data is, where nothing else is said.
            for all in [&mut attributes, &mut wanted] {
                if all
                    .get("datacontenttype")
                    .is_some_and(|one| one == "application/json")
                {
                    all.remove("datacontenttype");
                }
            }
            assert_eq!(attributes, wanted, "{format}");
            let bytes = found["data"]
                .as_str()
                .map(|text| STANDARD.decode(text).unwrap());
            let value = |bytes: &Option<Vec<u8>>| {
                let bytes = bytes.as_deref()?;
                Some(serde_json::from_slice::<Value>(bytes).unwrap_or_else(|_| json!(bytes)))
            };
            assert_eq!(value(&bytes), value(&data), "{format}: {event}");
            let key = event.get("partitionkey").map_or(Value::Null, Clone::clone);
            assert_eq!(found["key"], key, "{format}");
        }
    }
}
