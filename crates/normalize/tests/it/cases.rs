//! Sample cases of SAP systems: payload and headers in, events out.

use std::fs;

use serde_json::Value;
use tidegate_event::{Event, json as codec};
use tidegate_normalize::{Format, legacy};

use crate::support::{headers, json, request, vectors};

/// The cases whose formats are built.
const CASES: [&str; 9] = [
    "01-s4-bp-changed-structured",
    "02-s4-salesorder-created-binary",
    "09-subscription-billing-canceled",
    "13-em-webhook-structured-as-json",
    "19-aem-rdp-structured-as-json",
    "20-kyma-legacy-commerce-order-completed",
    "21-kyma-legacy-c4c-account-updated-no-id",
    "22-kyma-legacy-missing-data",
    "44-cloudevent-missing-id-refused",
];

/// What an SAP system sends arrives as the event that the contract names.
#[test]
fn payloads_become_the_expected_events() {
    let Some(folder) = vectors("sap-cases") else {
        return;
    };
    for case in CASES {
        let head = fs::read_to_string(folder.join(format!("{case}.http"))).unwrap();
        let body = fs::read(folder.join(format!("{case}.json"))).unwrap();
        let expected = json(folder.join(format!("{case}.expected.json")));
        let mut lines = head.lines();
        let path = lines.next().unwrap().split(' ').nth(1).unwrap();
        let pairs = lines.filter_map(|line| line.split_once(": "));
        let format = if path.ends_with("/v1/events") {
            Format::KymaLegacy
        } else {
            Format::CloudEvents
        };
        let result = request(format, path.split('/').nth(1), &headers(pairs), body);
        let answer = &expected["response"];
        match result {
            Ok(normalized) => {
                let events: Vec<Value> = normalized.events.iter().map(value).collect();
                assert_eq!(Value::from(events), expected["events"], "{case}");
                if format == Format::KymaLegacy {
                    let body = legacy::success(&normalized.events[0].id);
                    assert_eq!(
                        serde_json::from_str::<Value>(&body).unwrap(),
                        answer["body"],
                        "{case}"
                    );
                }
            }
            Err(error) => {
                assert_eq!(
                    expected["events"],
                    Value::Array(Vec::new()),
                    "{case}: {error}"
                );
                assert_eq!(
                    u64::from(error.status().as_u16()),
                    answer["status"].as_u64().unwrap(),
                    "{case}"
                );
                if let Some(refusal) = error.legacy() {
                    let body: Value = serde_json::from_str(&refusal.body()).unwrap();
                    assert_eq!(body, answer["body"], "{case}");
                }
            }
        }
    }
}

/// The event as a JSON value. Data keeps the line feed that ends a sample's file, which the JSON
/// format could carry in base64 only; for the comparison it goes.
fn value(event: &Event) -> Value {
    let mut event = event.clone();
    event.data = event.data.map(|data| data.slice_ref(data.trim_ascii()));
    serde_json::from_slice(&codec::encode(&event)).unwrap()
}
