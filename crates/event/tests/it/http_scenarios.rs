//! The public scenarios of the HTTP binding.

use std::fs;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value as Json;
use tidegate_event::{
    Event, Leniency,
    http::{Mode, decode_binary, mode},
    json,
};

use crate::vectors;

fn read(request: &str) -> Event {
    let (head, body) = request.split_once("\n\n").unwrap();
    let mut headers = HeaderMap::new();
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(':').unwrap();
        let name: HeaderName = name.trim().parse().unwrap();
        headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
    }
    let body = Bytes::from(body.to_owned());
    match mode(&headers).unwrap().unwrap() {
        Mode::Binary => decode_binary(&headers, body, Leniency::Strict).unwrap(),
        Mode::Structured => json::decode(body, Leniency::Strict).unwrap(),
        Mode::Batch => panic!("no scenario has a batch"),
    }
}

fn attribute(event: &Event, name: &str) -> String {
    match name {
        "id" => event.id.to_string(),
        "specversion" => "1.0".to_owned(),
        "type" => event.r#type.to_string(),
        "source" => event.source.to_string(),
        "time" => event.time.as_ref().unwrap().to_string(),
        "datacontenttype" => event.datacontenttype.as_ref().unwrap().to_string(),
        other => panic!("an unknown attribute: {other}"),
    }
}

/// Each block between triple quotes, without its indentation.
fn blocks(scenario: &str) -> Vec<String> {
    scenario
        .split("\"\"\"")
        .skip(1)
        .step_by(2)
        .map(|block| {
            let lines: Vec<&str> = block
                .lines()
                .skip(1)
                .map(|line| line.get(8..).unwrap_or(""))
                .collect();
            lines.join("\n").trim_end().to_owned()
        })
        .collect()
}

/// Every scenario row: the attributes and the data that the feature file names come out.
#[test]
fn every_http_scenario_holds() {
    let Some(folder) = vectors("cloudevents-conformance/features") else {
        return;
    };
    let text = fs::read_to_string(folder.join("http-protocol-binding.feature")).unwrap();
    let mut rows = 0;
    for scenario in text.split("Scenario Outline:").skip(1) {
        let (scenario, examples) = scenario.split_once("Examples:").unwrap();
        let contents = examples
            .lines()
            .filter_map(|line| line.trim().strip_prefix('|'));
        for content_type in contents
            .skip(1)
            .map(|cell| cell.trim_end_matches('|').trim())
        {
            let scenario = scenario.replace("<contentType>", content_type);
            let blocks = blocks(&scenario);
            let event = read(&blocks[0]);
            for row in scenario
                .lines()
                .filter_map(|line| line.trim().strip_prefix('|'))
            {
                let cells: Vec<&str> = row.split('|').map(str::trim).collect();
                if cells[0] != "key" {
                    assert_eq!(attribute(&event, cells[0]), cells[1], "{content_type}");
                }
            }
            let data: Json = serde_json::from_slice(event.data.as_ref().unwrap()).unwrap();
            assert_eq!(data, serde_json::from_str::<Json>(&blocks[1]).unwrap());
            rows += 1;
        }
    }
    assert_eq!(rows, 4);
}
