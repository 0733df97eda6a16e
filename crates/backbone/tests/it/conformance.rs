//! The promises of the port, one function each, for any adapter.

pub(crate) mod exclusive;
pub(crate) mod positions;
pub(crate) mod register;
pub(crate) mod settling;
pub(crate) mod wishes;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use tidegate_backbone::{Append, AppendError, DeadLetter, LettersOf, Log as _, Settle};
use tidegate_event::{Event, Name, Value};

use crate::fixture::*;

pub(crate) async fn sequences_grow(fixture: &impl Fixture) {
    let mut last = 0;
    for number in 0..10 {
        let stored = append(fixture.log(), event(&number.to_string())).await;
        assert!(
            stored.sequence > last && !stored.duplicate,
            "{stored:?} after {last}"
        );
        last = stored.sequence;
    }
}

pub(crate) async fn a_repeated_message_id_is_one_event(fixture: &impl Fixture) {
    let log = fixture.log();
    let with_id = |id: &str| Append {
        message_id: message_id(id),
        ..append_of(event("1"))
    };
    let first = log.append(&with_id("a")).await.unwrap();
    let again = log.append(&with_id("a")).await.unwrap();
    assert_eq!((again.sequence, again.duplicate), (first.sequence, true));
    assert!(!log.append(&with_id("b")).await.unwrap().duplicate);
    for _ in 0..2 {
        assert!(!append(log, event("1")).await.duplicate);
    }
    let mut source = log.open(spec("c")).await.unwrap();
    assert_eq!(pull(&mut source, 4).await.len(), 4);
    pull_nothing(&mut source, Duration::from_millis(100)).await;
}

/// Goes on for as long as `until` says no.
pub(crate) async fn events_together_are_told_apart(
    fixture: &impl Fixture,
    until: impl Fn() -> bool,
) {
    let log = fixture.log();
    let with_id = |id: String| Append {
        message_id: message_id(&id),
        ..append_of(event(&id))
    };
    let (mut last, mut round) = (0, 0);
    loop {
        let ids = |names: &str| -> Vec<Append> {
            let ids = names.chars().map(|name| format!("{name}{round}"));
            ids.map(with_id).collect()
        };
        let mut places = BTreeMap::new();
        // What is there already, what is there twice, and one alone.
        for (names, duplicates) in [("abc", "nnn"), ("dbec", "nyny"), ("ff", "ny"), ("a", "y")] {
            let outcomes = log.append_all(&ids(names)).await;
            assert_eq!(outcomes.len(), names.len());
            for ((name, duplicate), outcome) in names.chars().zip(duplicates.chars()).zip(outcomes)
            {
                let stored = outcome.unwrap();
                assert_eq!(stored.duplicate, duplicate == 'y', "{name} of {names}");
                if stored.duplicate {
                    assert_eq!(places.get(&name), Some(&stored.sequence));
                } else {
                    assert!(stored.sequence > last, "{name} of {names}");
                    last = stored.sequence;
                    places.insert(name, stored.sequence);
                }
            }
        }
        round += 1;
        if until() {
            break;
        }
    }
    let mut source = log.open(spec("c")).await.unwrap();
    let delivered = pull(&mut source, 6).await;
    assert_eq!(ids(&delivered), ["a0", "b0", "c0", "d0", "e0", "f0"]);
}

/// For a log with a window of 300 ms.
pub(crate) async fn a_message_id_is_forgotten_after_the_window(fixture: &impl Fixture) {
    let log = fixture.log();
    let repeated = Append {
        message_id: message_id("a"),
        ..append_of(event("1"))
    };
    let first = log.append(&repeated).await.unwrap();
    assert!(log.append(&repeated).await.unwrap().duplicate);
    within(async {
        while log.append(&repeated).await.unwrap().sequence == first.sequence {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

pub(crate) async fn what_waits_is_woken_by_an_append(fixture: &impl Fixture) {
    let log = fixture.log();
    let mut source = log.open(spec("c")).await.unwrap();
    let (pulled, _) = tokio::join!(pull(&mut source, 1), append(log, event("1")));
    assert_eq!(ids(&pulled), ["1"]);
    assert_eq!(pulled[0].attempt, 1);
}

pub(crate) async fn a_letter_is_stored_once(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("1")).await;
    fixture
        .append_unreadable("tidegate.events.s.t", Bytes::from_static(b"\xff\x00"))
        .await;
    let mut source = log.open(spec("c")).await.unwrap();
    for delivery in pull(&mut source, 2).await {
        let letter = DeadLetter {
            consumer: "c".to_owned(),
            namespace: "default".to_owned(),
            subscription: "orders.v1".to_owned(),
            event: delivery.event,
            sequence: delivery.sequence,
            reason: "sink/status-5xx",
            detail: "500: 100% \"käse\"".to_owned(),
            answer: None,
            attempts: 20,
            stored_at: delivery.stored_at,
        };
        let buried = log.bury(&letter).await.unwrap();
        assert!(!buried.duplicate);
        let again = log.bury(&letter).await.unwrap();
        assert_eq!((again.sequence, again.duplicate), (buried.sequence, true));
        let elsewhere = DeadLetter {
            consumer: "d".to_owned(),
            ..letter
        };
        assert!(!log.bury(&elsewhere).await.unwrap().duplicate);
    }
    let letters = fixture.dead_letters().await;
    let ids: Vec<Option<&str>> = letters.iter().map(|letter| letter.id.as_deref()).collect();
    assert_eq!(ids, [Some("1"), Some("1"), None, None]);
    assert_eq!(letters[0].payload, "{\"id\":\"1\"}");
    assert_eq!(letters[2].payload, &b"\xff\x00"[..]);
    assert!(letters.iter().all(|letter| letter.attempts == 20));
    assert!(
        letters
            .iter()
            .all(|letter| letter.reason == "sink/status-5xx")
    );
}

/// More than one request is for; of one consumer, one Subscription, and the events that are asked
/// for.
pub(crate) async fn letters_are_found_until_they_are_taken_away(fixture: &impl Fixture) {
    const EACH: u64 = 1_100;
    let log = fixture.log();
    let mut letter = DeadLetter {
        consumer: String::new(),
        namespace: "default".to_owned(),
        subscription: "one".to_owned(),
        event: Ok(event("1")),
        sequence: 0,
        reason: "sink/status-5xx",
        detail: String::new(),
        answer: None,
        attempts: 1,
        stored_at: std::time::UNIX_EPOCH,
    };
    let mut buried = BTreeMap::new();
    for sequence in 1..=EACH {
        letter.sequence = sequence;
        for consumer in ["other", "one"] {
            consumer.clone_into(&mut letter.consumer);
            let stored = log.bury(&letter).await.unwrap();
            buried.insert((consumer, sequence), stored.sequence);
        }
    }
    let of = |events: &[u64], from| LettersOf {
        consumer: "one".to_owned(),
        namespace: "default".to_owned(),
        subscription: "one".to_owned(),
        events: events.iter().copied().collect(),
        from,
    };
    let letter_of = |event| (event, buried[&("one", event)]);
    let all = log.letters_of(&of(&[3, EACH, 5_000], 1)).await.unwrap();
    assert_eq!(all, BTreeMap::from([letter_of(3), letter_of(EACH)]));
    let later = of(&[3, EACH], letter_of(4).1);
    let later = log.letters_of(&later).await.unwrap();
    assert_eq!(later, BTreeMap::from([letter_of(EACH)]));
    fixture.discard(letter_of(EACH).1).await;
    let left = log.letters_of(&of(&[3, EACH], 1)).await.unwrap();
    assert_eq!(left, BTreeMap::from([letter_of(3)]));
    fixture.discard(letter_of(3).1).await;
    let none = log.letters_of(&of(&[3, EACH], 1)).await.unwrap();
    assert_eq!(none, BTreeMap::new());
}

pub(crate) async fn what_is_no_event_is_delivered_as_it_is(fixture: &impl Fixture) {
    let log = fixture.log();
    fixture
        .append_unreadable("tidegate.events.s.t", Bytes::from_static(b"\xff\x00"))
        .await;
    append(log, event("1")).await;
    let mut source = log.open(spec("c")).await.unwrap();
    let pulled = pull(&mut source, 2).await;
    let unreadable = pulled[0].event.as_ref().unwrap_err();
    assert_eq!(unreadable.payload, &b"\xff\x00"[..]);
    assert!(!unreadable.reason.is_empty());
    assert_eq!(id(&pulled[1]), "1");
    settle(&pulled, Settle::Terminate).await;
}

/// For a log that takes few events; `what` it says is up to it.
pub(crate) async fn a_full_log_refuses(fixture: &impl Fixture) {
    let log = fixture.log();
    let mut stored = 0;
    let error = loop {
        let mut event = event(&stored.to_string());
        event.data = Some(Bytes::from(vec![0; 1_000]));
        match log.append(&append_of(event)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 10_000, "it never gets full");
    };
    assert!(matches!(error, AppendError::Full { .. }), "{error:?}");
    assert!(!error.transient());
    assert!(stored > 0);
    assert!(log.ready().await.is_err());
    // What it has is still delivered.
    let mut source = log.open(spec("c")).await.unwrap();
    assert_eq!(pull(&mut source, stored).await.len(), stored);
}

pub(crate) async fn events_come_out_byte_for_byte(fixture: &impl Fixture) {
    let log = fixture.log();
    let exact = Bytes::from_static(br#"{"z":1,"a":123456789012345678901234567890,"m":1.10}"#);
    let mut random = fastrand::Rng::with_seed(7);
    let random: Bytes = std::iter::repeat_with(|| random.u8(..))
        .take(1 << 20)
        .collect();
    let mut events = Vec::new();
    for (id, data) in [
        ("exact", Some(exact)),
        ("random", Some(random)),
        ("none", None),
    ] {
        let mut event = Event::new(id, "/source äöü", "type");
        event.data = data;
        event.datacontenttype = Some("application/octet-stream; a=\"b c\"".into());
        event.dataschema = Some("https://example.com/schema?a=b%20c".into());
        event.subject = Some("Euro € 😀 100% \"quoted\"".into());
        event.time = Some("2024-02-29T12:00:00.000123+05:30".into());
        event
            .extensions
            .insert(Name::from_static("text"), Value::from("with space"));
        event.extensions.insert(
            Name::from_static("traceparent"),
            Value::from("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        );
        append(log, event.clone()).await;
        events.push(event);
    }
    let mut source = log.open(spec("c")).await.unwrap();
    for (delivery, event) in pull(&mut source, 3).await.into_iter().zip(events) {
        // Not assert_eq: a MiB would be printed.
        assert!(
            delivery.event.as_ref() == Ok(&event),
            "{} differs",
            event.id
        );
    }
}

pub(crate) async fn a_log_that_takes_events_is_ready(fixture: &impl Fixture) {
    fixture.log().ready().await.unwrap();
}
