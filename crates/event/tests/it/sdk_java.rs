//! The JSON documents of the Java SDK's tests.

use std::{fs, path::Path};

use bytes::Bytes;
use tidegate_event::{Error, Event, Leniency, json};

use crate::vectors;

fn decode(file: &Path, leniency: Leniency) -> Result<Event, Error> {
    json::decode(Bytes::from(fs::read(file).unwrap()), leniency)
}

/// Accepted and refused as the names of the files say; 0.3 is raised to 1.0.
#[test]
fn every_document_is_decided_rightly() {
    let Some(folder) = vectors("sdk-java-json-format") else {
        return;
    };
    let mut judged = 0;
    for version in ["v1", "v03"] {
        for entry in fs::read_dir(folder.join(version)).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let decoded = decode(&file, Leniency::Strict);
            let illegal = name.starts_with("fail_")
                || name.ends_with("_invalid")
                || name.ends_with("_upper_case");
            assert_eq!(decoded.is_err(), illegal, "{version}/{name}: {decoded:?}");
            if let Ok(event) = decoded {
                let has_schema = event.dataschema.is_some();
                assert_eq!(
                    has_schema,
                    fs::read_to_string(&file).unwrap().contains("schema"),
                    "{name}"
                );
                assert!(
                    event.extensions.get("datacontentencoding").is_none(),
                    "{name}"
                );
                let data = event
                    .data
                    .as_deref()
                    .map(String::from_utf8_lossy)
                    .unwrap_or_default();
                match name.as_str() {
                    "base64_json_data" | "json_data" => assert_eq!(data, "{}"),
                    "base64_text_data" => assert_eq!(data, "Hello World Lorena!"),
                    "base64_xml_data" | "xml_data" => assert_eq!(data, "<stuff></stuff>"),
                    _ => {}
                }
            }
            judged += 1;
        }
    }
    assert_eq!(judged, 31);
}

/// The two lenient modes, as upstream runs them on the same documents.
#[test]
fn bad_names_pass_in_the_lenient_modes() {
    let Some(folder) = vectors("sdk-java-json-format") else {
        return;
    };
    let invalid = folder.join("v1/json_data_with_ext_invalid.json");
    let dropped = decode(&invalid, Leniency::Drop).unwrap();
    assert!(dropped.extensions.get("astring").is_some());
    assert_eq!(dropped.extensions.len(), 3);
    assert!(decode(&invalid, Leniency::Lowercase).is_err());
    let upper = folder.join("v1/json_data_with_ext_upper_case.json");
    let lowered = decode(&upper, Leniency::Lowercase).unwrap();
    assert_eq!(lowered.extensions.get("astring"), Some(&"aaa".into()));
    assert_eq!(lowered.extensions.len(), 3);
    assert!(
        decode(&upper, Leniency::Drop)
            .unwrap()
            .extensions
            .is_empty()
    );
}
