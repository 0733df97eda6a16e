//! Requests are what they say they are.

use std::collections::HashSet;

use serde_json::Value;

use super::*;

const SHAPE: Shape = Shape {
    mode: Mode::Binary,
    payload: Payload::Uniform,
    bytes: 1_024,
    batch: 100,
    types: 1,
    is_timed: false,
};

fn target(shape: &Shape) -> Target {
    Target::new("http://127.0.0.1:8080/publish", shape).unwrap()
}

/// Head and body of a request, whose length has to be what it says.
fn parts(request: &[u8]) -> (String, String) {
    let text = String::from_utf8(request.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("content-length: {}", body.len())),
        "{head}"
    );
    assert!(!text.contains('@'), "a hole was left open: {text}");
    (head.to_owned(), body.to_owned())
}

/// What repeats an id is stored once, and the run would be wrong.
#[test]
fn no_id_comes_twice() {
    let mut ids = HashSet::new();
    for mode in [Mode::Structured, Mode::Batch] {
        let target = target(&Shape { mode, ..SHAPE });
        for connection in 0..3 {
            let mut requests = target.requests(mode as u32, connection);
            for _ in 0..5 {
                let (request, events) = requests.next(0);
                let body: Value = serde_json::from_str(&parts(request).1).unwrap();
                let documents = body.as_array().cloned().unwrap_or(vec![body]);
                assert_eq!(documents.len() as u64, events);
                for document in documents {
                    let id = document["id"].as_str().unwrap().to_owned();
                    assert_eq!(id.len(), 36);
                    assert!(ids.insert(id.clone()), "{id} came twice");
                }
            }
        }
    }
    assert_eq!(ids.len(), 3 * 5 + 3 * 5 * 100);
}

#[test]
fn a_binary_event_has_its_attributes_as_headers() {
    let shape = Shape {
        is_timed: true,
        ..SHAPE
    };
    let target = target(&shape);
    let mut requests = target.requests(0xabcd, 7);
    let (head, body) = parts(requests.next(1_790_000_000_000_000).0);
    assert_eq!(body.len(), 1_024);
    for line in [
        "POST /publish HTTP/1.1",
        "ce-id: 0000abcd-0007-4000-8000-000000000000",
        "ce-type: load.driven.v1",
        "ce-loadtime: 1790000000000000",
    ] {
        assert!(
            head.lines().any(|one| one == line),
            "{line} is not in {head}"
        );
    }
    assert!(parts(requests.next(0).0).0.contains("-000000000001\r\n"));
}

#[test]
fn legacy_and_sap_events_are_in_their_own_words() {
    let legacy = target(&Shape {
        mode: Mode::Legacy,
        ..SHAPE
    });
    let body: Value = serde_json::from_str(&parts(legacy.requests(1, 1).next(0).0).1).unwrap();
    assert_eq!(body["event-type"], "load.driven");
    assert_eq!(body["event-type-version"], "v1");
    assert!(body["data"].is_object());

    let sap = target(&Shape {
        mode: Mode::Sap,
        ..SHAPE
    });
    let body: Value = serde_json::from_str(&parts(sap.requests(1, 1).next(0).0).1).unwrap();
    assert_eq!(
        body["type"],
        "sap.s4.beh.salesorder.v1.SalesOrder.Changed.v1"
    );
    assert_eq!(body["data"]["SalesOrder"], "7700412");
}

/// A mix is one over all requests of a connection, and within a batch.
#[test]
fn a_mix_has_different_sizes() {
    let shape = Shape {
        payload: Payload::Mix,
        ..SHAPE
    };
    let target_of_singles = target(&shape);
    let mut requests = target_of_singles.requests(1, 1);
    let sizes: Vec<usize> = (0..100)
        .map(|_| parts(requests.next(0).0).1.len())
        .collect();
    for (bytes, times) in [(256, 40), (1_024, 40), (4_096, 17), (16_384, 3)] {
        assert_eq!(sizes.iter().filter(|one| **one == bytes).count(), times);
    }
    let batch = target(&Shape {
        mode: Mode::Batch,
        ..shape
    });
    let (_, body) = parts(batch.requests(1, 1).next(0).0);
    assert!((170_000..220_000).contains(&body.len()), "{}", body.len());
}

/// Events are spread over the types evenly, by each connection.
#[test]
fn types_come_in_turn() {
    let target = target(&Shape { types: 10, ..SHAPE });
    let mut requests = target.requests(1, 3);
    let types: HashSet<String> = (0..10)
        .map(|_| {
            let head = parts(requests.next(0).0).0;
            let line = head
                .lines()
                .find(|line| line.starts_with("ce-type"))
                .unwrap();
            line["ce-type: ".len()..].to_owned()
        })
        .collect();
    assert_eq!(types.len(), 10);
    assert!(types.contains("load.driven.t00009.v1") && types.contains("load.driven.t00000.v1"));
}

#[test]
fn a_url_that_cannot_be_driven_is_refused() {
    for url in [
        "https://127.0.0.1:1/",
        "http://example.com/publish",
        "127.0.0.1:80",
    ] {
        assert!(Target::new(url, &SHAPE).is_err(), "{url}");
    }
    assert!(Target::new("http://127.0.0.1:1", &Shape { types: 0, ..SHAPE }).is_err());
}
