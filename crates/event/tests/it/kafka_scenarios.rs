//! The public scenarios of the Kafka binding, and the examples of its specification.

use std::fs;

use bytes::Bytes;
use tidegate_event::{
    Event, Leniency, json,
    kafka::{Mode, decode_binary, mode},
};

use crate::{scenarios::scenarios, vectors};

fn read(headers: &[(&str, &str)], value: &str) -> (Mode, Event) {
    let headers = || {
        let pairs = headers.iter();
        pairs.map(|(name, value)| (*name, Some(value.as_bytes())))
    };
    let value = Bytes::from(value.to_owned());
    let mode = mode(headers()).unwrap().unwrap();
    let event = match mode {
        Mode::Binary => decode_binary(headers(), Some(value), Leniency::Strict),
        Mode::Structured => json::decode(value, Leniency::Strict),
        Mode::Batch => panic!("no scenario has a batch"),
    };
    (mode, event.unwrap())
}

/// Every scenario row: the attributes and the data that the feature file names come out.
#[test]
fn every_kafka_scenario_holds() {
    let Some(scenarios) = scenarios("kafka-protocol-binding.feature") else {
        return;
    };
    for scenario in &scenarios {
        let headers = scenario.tables[0].iter();
        let headers: Vec<(&str, &str)> = headers.map(|(name, value)| (&**name, &**value)).collect();
        let (_, event) = read(&headers, &scenario.blocks[0]);
        scenario.holds(&event);
    }
    assert_eq!(scenarios.len(), 3);
}

/// The headers of the specification's example of binary mode are those of an event, and the content
/// type of its example of structured mode names that mode.
#[test]
fn the_examples_of_the_specification_are_read() {
    let Some(folder) = vectors("cloudevents-spec/examples") else {
        return;
    };
    let text = fs::read_to_string(folder.join("kafka-protocol-binding.examples.md")).unwrap();
    let headers = |section: &str| -> Vec<(String, String)> {
        let example = text.split("\n## ").find(|text| text.contains(section));
        let (_, rest) = example.unwrap().split_once("- headers -").unwrap();
        let (lines, _) = rest.split_once("- value -").unwrap();
        let pairs = lines.lines().filter_map(|line| line.split_once(": "));
        // The example quotes what is no part of a value.
        pairs
            .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
            .collect()
    };
    let binary = headers("3.2.5 Example");
    let binary: Vec<(&str, &str)> = binary
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let (mode, event) = read(&binary, "avro");
    assert_eq!(mode, Mode::Binary);
    assert_eq!(
        (&*event.id, &*event.r#type),
        ("1234-1234-1234", "com.example.someevent")
    );
    assert_eq!(event.time.as_deref(), Some("2018-04-05T03:56:24Z"));
    assert_eq!(event.datacontenttype.as_deref(), Some("application/avro"));
    assert_eq!(event.data.as_deref(), Some(&b"avro"[..]));

    let structured = headers("3.3.4 Example");
    let structured = structured
        .iter()
        .map(|(name, value)| (&**name, Some(value.as_bytes())));
    assert_eq!(
        tidegate_event::kafka::mode(structured),
        Ok(Some(Mode::Structured))
    );
}
