//! Acceptance cases of SAP systems whose doors are built.

use std::{env, fs, path::PathBuf};

use serde_json::Value;
use tidegate_event::json;
use tidegate_normalize::Format;

use crate::read;

/// The cases that come through the doors of this version.
const CASES: [(&str, Format); 8] = [
    ("01-s4-bp-changed-structured", Format::CloudEvents),
    ("02-s4-salesorder-created-binary", Format::CloudEvents),
    ("09-subscription-billing-canceled", Format::CloudEvents),
    ("19-aem-rdp-structured-as-json", Format::CloudEvents),
    ("44-cloudevent-missing-id-refused", Format::CloudEvents),
    (
        "20-kyma-legacy-commerce-order-completed",
        Format::KymaLegacy,
    ),
    (
        "21-kyma-legacy-c4c-account-updated-no-id",
        Format::KymaLegacy,
    ),
    ("22-kyma-legacy-missing-data", Format::KymaLegacy),
];

/// The documented events come out, derived ids included; what is to be refused is.
#[test]
fn sap_requests_become_the_documented_events() {
    let Some(root) = env::var_os("TIDEGATE_VECTORS").map(PathBuf::from) else {
        return;
    };
    for (case, format) in CASES {
        let file = |end: &str| root.join("sap-cases").join(format!("{case}.{end}"));
        let expected: Value =
            serde_json::from_slice(&fs::read(file("expected.json")).unwrap()).unwrap();
        let head = fs::read_to_string(file("http")).unwrap();
        let headers: Vec<(&str, &str)> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .collect();
        let application = head.split('/').nth(1).unwrap();
        let body = fs::read(file("json")).unwrap();
        let events = read(format, Some(application), &headers, &body).unwrap_or_default();
        let found: Vec<Value> = events
            .iter()
            .map(|event| {
                // The documents compare as values; the line end of a file is none.
                let mut event = event.clone();
                event.data = event.data.map(|data| data.slice_ref(data.trim_ascii()));
                serde_json::from_slice(&json::encode(&event)).unwrap()
            })
            .collect();
        assert_eq!(Value::Array(found), expected["events"], "{case}");
    }
}
