//! Kyma's recorded answers, as far as they are about what was sent.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use tidegate_normalize::{Error, Format, Normalized, legacy};

use crate::support::{headers, json, only, request, vectors};

/// Publishers of a Kyma cluster get the answers that they know: at `/publish` the status, at the
/// legacy door the body to the byte.
#[test]
fn recorded_requests_are_taken_and_refused_as_recorded() {
    let Some(folder) = vectors("kyma-golden") else {
        return;
    };
    let golden = json(folder.join("http.json"));
    let mut judged = 0;
    let mut wrong = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        if let Some(format) = format_of(case) {
            judged += 1;
            wrong.extend(difference(format, case));
        }
    }
    assert!(judged > 60, "only {judged} cases");
    assert!(
        wrong.is_empty(),
        "{} of {judged}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The format of the door, if what was recorded is this room's to decide.
fn format_of(case: &Value) -> Option<Format> {
    let name = case["name"].as_str().unwrap();
    let path = case["path"].as_str().unwrap();
    // Bodies past the limit do not come this far; cases without headers are a backend's.
    if case["method"] != "POST" || name.contains("too large") || case.get("reqheaders").is_none() {
        None
    } else if path.split('?').next() == Some("/publish") {
        Some(Format::KymaPublish)
    } else {
        path.ends_with("/v1/events").then_some(Format::KymaLegacy)
    }
}

fn difference(format: Format, case: &Value) -> Option<String> {
    let name = case["name"].as_str().unwrap();
    let recorded = case["reqheaders"].as_object().unwrap();
    let headers = headers(
        recorded
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap())),
    );
    let application = case["path"].as_str().unwrap().split('/').nth(1);
    let result = request(format, application, &headers, body(&case["reqbody"]));
    let (status, answer) = match format {
        Format::KymaLegacy => legacy_answer(result, name.contains("empty id")),
        Format::CloudEvents | Format::KymaPublish => match result {
            Ok(_) => (StatusCode::NO_CONTENT, None),
            Err(error) => (error.status(), None),
        },
    };
    let expected = case["body"].as_str().unwrap();
    let same_body = answer
        .as_deref()
        .is_none_or(|answer| answer == expected || answer == "any");
    let same = Some(u64::from(status.as_u16())) == case["status"].as_u64() && same_body;
    (!same).then(|| {
        format!(
            "{name}: {status} {answer:?}, not {} {expected:?}",
            case["status"]
        )
    })
}

/// An id that was not sent is random in the recording.
fn legacy_answer(result: Result<Normalized, Error>, any: bool) -> (StatusCode, Option<String>) {
    match result {
        Ok(normalized) => {
            let event = only(normalized);
            let body = if any {
                "any".to_owned()
            } else {
                legacy::success(&event.id)
            };
            (StatusCode::OK, Some(body))
        }
        Err(error) => (error.status(), error.legacy().map(legacy::Refusal::body)),
    }
}

fn body(recorded: &Value) -> Bytes {
    if let Some(text) = recorded["utf8"].as_str() {
        return Bytes::copy_from_slice(text.as_bytes());
    }
    match recorded["base64"].as_str() {
        // The one recorded body that is no text.
        Some(base64) => {
            assert_eq!(base64, "AAH/");
            Bytes::from_static(&[0x00, 0x01, 0xff])
        }
        None => Bytes::new(),
    }
}
