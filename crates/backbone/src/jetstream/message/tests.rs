//! What `message` promises.

use std::time::{Duration, SystemTime};

use super::{super::wire::headers, *};
use crate::SinkAnswer;

fn letter(event: Result<Event, Unreadable>) -> DeadLetter {
    DeadLetter {
        consumer: "consumer".to_owned(),
        namespace: "default".to_owned(),
        subscription: "orders".to_owned(),
        event,
        sequence: 7,
        reason: "sink/status-5xx",
        detail: "500: \"Käse\"\r\n100% wrong".to_owned(),
        answer: None,
        attempts: 20,
        stored_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
    }
}

fn header(outgoing: &Outgoing, name: &str) -> String {
    outgoing
        .header_map()
        .get(name)
        .map(|value| value.as_str().to_owned())
        .unwrap_or_default()
}

fn serialized(outgoing: &Outgoing) -> usize {
    let headers = outgoing.header_map();
    let lines = headers.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values
            .iter()
            .map(move |value| format!("{name}: {value}\r\n").len())
    });
    lines.sum::<usize>() + "NATS/1.0\r\n\r\n".len()
}

/// A message is counted as the server counts it.
#[test]
fn sizes_are_those_on_the_wire() {
    let mut event = Event::new("1", "ä b", "t");
    event.data = Some(Bytes::from_static(b"data"));
    let mut outgoing = Outgoing::event(&event);
    outgoing.message_id("id");
    assert_eq!(outgoing.header_bytes(), serialized(&outgoing));
    assert_eq!(outgoing.bytes(), serialized(&outgoing) + 4);
}

/// A dead letter is the event as it was, and says why it is one.
#[test]
fn a_letter_is_the_event_and_why() {
    let mut event = Event::new("1", "/s", "t");
    event.subject = Some("Käse".into());
    event.data = Some(Bytes::from_static(b"{\"m\":1.10}"));
    let outgoing = Outgoing::letter(&letter(Ok(event.clone())));
    assert_eq!(header(&outgoing, "tidegate-reason"), "sink/status-5xx");
    assert_eq!(
        header(&outgoing, "tidegate-detail"),
        "500: \"K%C3%A4se\"%0D%0A100%25 wrong"
    );
    assert_eq!(header(&outgoing, "tidegate-attempts"), "20");
    assert_eq!(header(&outgoing, "tidegate-sequence"), "7");
    assert_eq!(
        header(&outgoing, "tidegate-stored-at"),
        "2023-11-14T22:13:20.123000000Z"
    );
    assert_eq!(header(&outgoing, "tidegate-consumer"), "consumer");
    assert_eq!(header(&outgoing, "tidegate-subscription"), "default/orders");
    assert_eq!(header(&outgoing, "Nats-Msg-Id"), "consumer:7");
    let mut sent = Vec::new();
    outgoing.write_headers(&mut sent);
    let sent = String::from_utf8(sent).unwrap();
    assert_eq!(read(headers(&sent), outgoing.payload), Ok(event));
}

/// Headers of a foreign message cannot make JetStream do anything, nor stand for ours.
#[test]
fn foreign_headers_steer_nothing() {
    let unreadable = Unreadable {
        reason: "no event".to_owned(),
        headers: vec![
            ("Nats-Rollup".into(), "all".into()),
            ("tidegate-reason".into(), "none".into()),
            ("x-own".into(), "kept".into()),
        ],
        payload: Bytes::from_static(b"\xff"),
    };
    let outgoing = Outgoing::letter(&letter(Err(unreadable)));
    assert_eq!(header(&outgoing, "Nats-Rollup"), "");
    assert_eq!(header(&outgoing, "original-Nats-Rollup"), "all");
    assert_eq!(header(&outgoing, "original-tidegate-reason"), "none");
    assert_eq!(header(&outgoing, "tidegate-reason"), "sink/status-5xx");
    assert_eq!(header(&outgoing, "x-own"), "kept");
    assert_eq!(outgoing.payload, Bytes::from_static(b"\xff"));
}

/// Whatever an event leaves as room is enough for its dead letter.
#[test]
fn the_longest_letter_fits_into_the_room() {
    let event = Event::new("1", "/s", "t");
    let longest = DeadLetter {
        consumer: "c".repeat(255),
        namespace: "n".repeat(63),
        subscription: "s".repeat(253),
        detail: "ä".repeat(100_000),
        answer: Some(SinkAnswer {
            status: 599,
            body: Bytes::from(vec![0xff; 100_000]),
        }),
        sequence: u64::MAX,
        attempts: u32::MAX,
        ..letter(Ok(event.clone()))
    };
    let added = Outgoing::letter(&longest).bytes() - Outgoing::event(&event).bytes();
    assert!(added < LETTER_BYTES, "{added}");
}

/// Too many foreign headers do not keep a message from being buried.
#[test]
fn foreign_headers_that_do_not_fit_are_left_out() {
    let headers = (0..1_000)
        .map(|_| ("x".into(), "y".repeat(100).into()))
        .collect();
    let unreadable = Unreadable {
        reason: String::new(),
        headers,
        payload: Bytes::new(),
    };
    let outgoing = Outgoing::letter(&letter(Err(unreadable)));
    assert!(outgoing.header_bytes() < HEADER_BYTES_MAX);
    assert_eq!(header(&outgoing, "tidegate-attempts"), "20");
}

/// What is no event is kept as it is, with the reason.
#[test]
fn what_is_no_event_is_kept() {
    let headers = [("b", "2"), ("a", "1")];
    let unreadable = read(headers.into_iter(), Bytes::from_static(b"payload")).unwrap_err();
    let kept = headers.map(|(name, value)| (name.into(), value.into()));
    assert_eq!(unreadable.headers, kept);
    assert_eq!(unreadable.payload, "payload");
    assert!(!unreadable.reason.is_empty());
    assert!(read([].into_iter(), Bytes::new()).is_err());
}
