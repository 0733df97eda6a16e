//! Acceptance cases of SAP systems.

use std::{env, fs, path::PathBuf};

use jiff::tz::TimeZone;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tidegate_application::{Application, Format, Mapping, Template};
use tidegate_event::{Leniency, json};
use tidegate_normalize::Reading;

use crate::{Sent, bare};

/// Not of this room: an `OPTIONS` request has no body.
const ELSEWHERE: &str = "16-";

/// The documented events come out, derived ids included; what is to be refused is.
#[test]
fn sap_requests_become_the_documented_events() {
    let Some(root) = env::var_os("TIDEGATE_VECTORS").map(PathBuf::from) else {
        return;
    };
    let mut cases = 0;
    for file in fs::read_dir(root.join("sap-cases")).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(case) = name.strip_suffix(".expected.json") else {
            continue;
        };
        if case.starts_with(ELSEWHERE) {
            continue;
        }
        let expected: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let (found, format) = played(&root.join("sap-cases"), case, &expected);
        let mut wanted = expected["events"].clone();
        for (found, wanted) in found.iter().zip(wanted.as_array_mut().unwrap()) {
            if wanted["id"] == "$UUID" {
                assert!(found["id"].as_str().unwrap().len() == 36, "{case}");
                wanted["id"] = found["id"].clone();
            }
        }
        assert_eq!(Value::Array(found), wanted, "{case}");
        if let Some(format) = format {
            assert_eq!(format.name(), expected["format"], "{case}");
        }
        cases += 1;
    }
    assert!(cases >= 28, "{cases} cases");
}

fn played(folder: &std::path::Path, case: &str, expected: &Value) -> (Vec<Value>, Option<Format>) {
    let head = fs::read_to_string(folder.join(format!("{case}.http"))).unwrap();
    let headers: Vec<(&str, &str)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .collect();
    let path = head.split(' ').nth(1).unwrap();
    let topic = path.split('/').nth(4).map(|topic| {
        let topic = percent_decode_str(topic).decode_utf8().unwrap();
        topic.into_owned()
    });
    let body = fs::read(folder.join(expected["payload"].as_str().unwrap())).unwrap();
    let application = application(&expected["connectedSystem"]);
    let sent = Sent {
        reading: reading(path),
        application: &application,
        headers: &headers,
        body: body.trim_ascii_end(),
        topic: topic.as_deref(),
    };
    let Ok(normalized) = sent.normalized() else {
        return (Vec::new(), None);
    };
    let found = bare(&normalized)
        .iter()
        .map(|event| serde_json::from_slice(&json::encode(event)).unwrap())
        .collect();
    (found, Some(normalized.format))
}

/// What the door of a path says of the format.
fn reading(path: &str) -> Reading {
    let path = path.split('?').next().unwrap();
    let ends = |end: &str| path.ends_with(end);
    let format = match path {
        _ if ends("/v1/events") && !path.starts_with("/sap/") => Format::KymaLegacy,
        "/sap/ems/v1/events" => Format::EventMeshEventsApi,
        "/-/cds/event-broker/webhook" => Format::EventHub,
        "/messaging/enterprise-messaging" => Format::EventMeshWebhook,
        _ if path.starts_with("/messagingrest/") => Format::EventMeshRest,
        _ if ends("/events") => return Reading::Seen,
        _ if ends("/soap/successfactors") => Format::SuccessFactors,
        _ if ends("/webhooks/concur") => Format::Concur,
        _ if ends("/webhooks/cdc") => Format::CustomerDataCloud,
        _ if ends("/webhooks/cloud-alm") => Format::CloudAlm,
        _ if ends("/webhooks/generic") => Format::GenericJson,
        _ if ends("/idoc") => Format::Idoc,
        _ if ends("/cxml") => Format::Cxml,
        _ if path.starts_with("topic=") => Format::KafkaRecord,
        other => panic!("a door for {other}"),
    };
    Reading::As(format)
}

fn application(system: &Value) -> Application {
    let mapping = &system["mapping"];
    let template = |name: &str| {
        let text = mapping[name].as_str()?;
        Some(Template::parse(text).unwrap())
    };
    let zone = system["timezone"].as_str().unwrap_or("UTC");
    Application {
        namespace: system["namespace"].as_str().map(ToOwned::to_owned),
        time_zone: TimeZone::get(zone).unwrap(),
        extension_names: Leniency::Lowercase,
        mapping: mapping.is_object().then(|| Mapping {
            r#type: template("type"),
            time: template("time"),
            ..Mapping::default()
        }),
        ..Application::unnamed(system["name"].as_str().unwrap())
    }
}
