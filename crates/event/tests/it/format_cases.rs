//! The JSON format's public conformance cases.

use std::{fs, path::Path};

use bytes::Bytes;
use bytestring::ByteString;
use serde_json::{Value as Json, value::RawValue};
use tidegate_event::{Event, Leniency, Name, Value, json};

use crate::vectors;

/// The sample events that the cases name, as their documentation describes them.
fn sample(id: &str) -> Event {
    let mut event = Event::new(
        ByteString::from(id),
        "https://cloudevents.io",
        "io.cloudevents.test",
    );
    match id {
        "minimal" => {}
        "minimalWithTime" => event.time = Some("2018-04-05T17:31:00Z".into()),
        "minimalWithRelativeSource" => event.source = "#fragment".into(),
        "allCore" => {
            event.datacontenttype = Some("text/plain".into());
            event.dataschema = Some("https://cloudevents.io/dataschema".into());
            event.subject = Some("tests".into());
            event.time = Some("2018-04-05T17:31:00Z".into());
        }
        "simpleTextData" => {
            event.datacontenttype = Some("text/plain".into());
            event.data = Some(Bytes::from_static(b"Simple text"));
        }
        "allExtensionTypes" => {
            let extensions = [
                ("extinteger", Value::Integer(10)),
                ("extboolean", Value::Boolean(true)),
                ("extstring", "text".into()),
                ("extbinary", "TWE=".into()),
                ("exttimestamp", "2023-03-31T15:12:00Z".into()),
                ("exturi", "https://cloudevents.io".into()),
                ("exturiref", "//authority/path".into()),
            ];
            for (name, value) in extensions {
                event.extensions.insert(Name::from_static(name), value);
            }
        }
        other => panic!("an unknown sample: {other}"),
    }
    event
}

fn samples(id: &str) -> Vec<Event> {
    match id {
        "empty" => vec![],
        "minimal" => vec![sample("minimal")],
        "minimal2" => vec![sample("minimal"), sample("minimal")],
        "minimalAndAllCore" => vec![sample("minimal"), sample("allCore")],
        "minimalAndAllExtensionTypes" => vec![sample("minimal"), sample("allExtensionTypes")],
        other => panic!("an unknown sample batch: {other}"),
    }
}

/// Times are equal as instants; everything else to the byte.
fn assert_same(case: &str, mut found: Event, mut wanted: Event) {
    let (times, wanted_time) = (found.time.take(), wanted.time.take());
    assert_eq!(found, wanted, "{case}");
    let utc = [
        "2018-04-05T17:31:00Z",
        "2018-04-05T17:31:00.000000000Z",
        "2018-04-05T18:31:00+01:00",
        "2018-04-05T16:31:00-01:00",
    ];
    assert_eq!(times.is_some(), wanted_time.is_some(), "{case}");
    assert!(times.is_none_or(|time| utc.contains(&&*time)), "{case}");
}

/// The raw texts of a file's cases, so that no other parser touches them.
fn cases(folder: &Path, file: &str, member: &str) -> Vec<(Json, Bytes)> {
    #[derive(serde::Deserialize)]
    struct File<'a> {
        #[serde(borrow)]
        tests: Vec<&'a RawValue>,
    }
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let text = text.trim_start_matches('\u{feff}');
    let file: File<'_> = serde_json::from_str(text).unwrap();
    file.tests
        .iter()
        .map(|case| {
            let members: std::collections::HashMap<String, &RawValue> =
                serde_json::from_str(case.get()).unwrap();
            let raw = Bytes::from(members[member].get().to_owned());
            (serde_json::from_str(case.get()).unwrap(), raw)
        })
        .collect()
}

/// All 43 cases are decided as the conformance suite wants them.
#[test]
fn every_format_case_is_decided_rightly() {
    let Some(folder) = vectors("cloudevents-format-tests/format/json") else {
        return;
    };
    let mut judged = 0;
    for (case, raw) in cases(&folder, "valid-events.json", "event") {
        let id = case["id"].as_str().unwrap();
        let found =
            json::decode(raw, Leniency::Strict).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_same(id, found, sample(case["sampleId"].as_str().unwrap()));
        judged += 1;
    }
    for (case, raw) in cases(&folder, "invalid-events.json", "event") {
        assert!(
            json::decode(raw, Leniency::Strict).is_err(),
            "{} is taken",
            case["id"]
        );
        judged += 1;
    }
    for (case, raw) in cases(&folder, "valid-batches.json", "batch") {
        let id = case["id"].as_str().unwrap();
        let found = json::decode_batch(raw, 100, Leniency::Strict).unwrap();
        let wanted = samples(case["sampleId"].as_str().unwrap());
        assert_eq!(found.len(), wanted.len(), "{id}");
        for (found, wanted) in found.into_iter().zip(wanted) {
            assert_same(id, found, wanted);
        }
        judged += 1;
    }
    for (case, raw) in cases(&folder, "invalid-batches.json", "batch") {
        assert!(
            json::decode_batch(raw, 100, Leniency::Strict).is_err(),
            "{} is taken",
            case["id"]
        );
        judged += 1;
    }
    assert_eq!(judged, 43);
}
