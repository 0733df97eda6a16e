//! The public scenarios of the HTTP binding.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_event::{
    Event, Leniency,
    http::{Mode, decode_binary, mode},
    json,
};

use crate::scenarios::scenarios;

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

/// Every scenario row: the attributes and the data that the feature file names come out.
#[test]
fn every_http_scenario_holds() {
    let Some(scenarios) = scenarios("http-protocol-binding.feature") else {
        return;
    };
    for scenario in &scenarios {
        scenario.holds(&read(&scenario.blocks[0]));
    }
    assert_eq!(scenarios.len(), 4);
}
