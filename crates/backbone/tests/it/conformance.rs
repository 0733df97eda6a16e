//! The promises of the port, one function each, for any adapter.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use tidegate_backbone::{
    Append, AppendError, ConsumerSpec, DeadLetter, Log, Receipt as _, Settle, Source as _,
    SourceError, Start, subject,
};
use tidegate_event::{Event, Name, Value};
use tokio::time::Instant;

use crate::fixture::*;

/// Short enough for a test, long enough for a loaded machine to settle within it.
const ACK_WAIT: Duration = Duration::from_millis(500);

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

pub(crate) async fn never_more_is_under_way_than_there_is_room_for(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..10 {
        append(log, event(&number.to_string())).await;
    }
    let mut source = log.open(spec("c")).await.unwrap();
    let pulled = pull(&mut source, 3).await;
    assert_eq!(ids(&pulled), ["0", "1", "2"]);
    assert_eq!(log.consumers().await.unwrap()[0].unsettled, 3);
    settle(&pulled, Settle::Ack).await;
    let rest = pull(&mut source, 7).await;
    assert_eq!(rest.iter().map(|got| got.attempt).max(), Some(1));
    assert_eq!(ids(&rest), ["3", "4", "5", "6", "7", "8", "9"]);
}

pub(crate) async fn what_waits_is_woken_by_an_append(fixture: &impl Fixture) {
    let log = fixture.log();
    let mut source = log.open(spec("c")).await.unwrap();
    let (pulled, _) = tokio::join!(pull(&mut source, 1), append(log, event("1")));
    assert_eq!(ids(&pulled), ["1"]);
    assert_eq!(pulled[0].attempt, 1);
}

pub(crate) async fn a_retry_comes_after_its_delay_and_counts(fixture: &impl Fixture) {
    let log = fixture.log();
    let stored = append(log, event("1")).await;
    let mut source = log.open(spec("c")).await.unwrap();
    let first = pull(&mut source, 1).await;
    assert_eq!((first[0].sequence, first[0].attempt), (stored.sequence, 1));
    let delay = Duration::from_millis(400);
    let began = Instant::now();
    settle(&first, Settle::Retry { delay }).await;
    let second = pull(&mut source, 1).await;
    assert!(began.elapsed() >= delay, "{:?}", began.elapsed());
    assert_eq!(
        (second[0].sequence, second[0].attempt),
        (stored.sequence, 2)
    );
    settle(
        &second,
        Settle::Retry {
            delay: Duration::ZERO,
        },
    )
    .await;
    let third = pull(&mut source, 1).await;
    assert_eq!(third[0].attempt, 3);
    assert_eq!(third[0].stored_at, first[0].stored_at);
    settle(&third, Settle::Ack).await;
    pull_nothing(&mut source, Duration::from_millis(100)).await;
}

pub(crate) async fn a_waiting_retry_holds_up_no_other_event(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..20 {
        append(log, event(&number.to_string())).await;
    }
    let mut source = log.open(spec("c")).await.unwrap();
    let first = pull(&mut source, 10).await;
    settle(&first, Settle::Retry { delay: PATIENCE }).await;
    let rest = pull(&mut source, 10).await;
    assert_eq!(id(&rest[0]), "10");
    let consumers = log.consumers().await.unwrap();
    assert_eq!((consumers[0].undelivered, consumers[0].unsettled), (0, 20));
}

pub(crate) async fn what_is_unsettled_comes_again(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("1")).await;
    let mut source = log
        .open(ConsumerSpec {
            ack_wait: ACK_WAIT,
            ..spec("c")
        })
        .await
        .unwrap();
    let began = Instant::now();
    pull(&mut source, 1).await;
    let again = pull(&mut source, 1).await;
    assert!(began.elapsed() >= ACK_WAIT, "{:?}", began.elapsed());
    assert_eq!(again[0].attempt, 2);
}

pub(crate) async fn progress_keeps_it_from_coming_again(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("1")).await;
    let ack_wait = 3 * ACK_WAIT;
    let mut source = log
        .open(ConsumerSpec {
            ack_wait,
            ..spec("c")
        })
        .await
        .unwrap();
    let pulled = pull(&mut source, 1).await;
    let began = Instant::now();
    while began.elapsed() < 3 * ack_wait {
        settle(&pulled, Settle::Progress).await;
        pull_nothing(&mut source, ack_wait / 5).await;
    }
    settle(&pulled, Settle::Ack).await;
    pull_nothing(&mut source, ack_wait + ACK_WAIT).await;
}

pub(crate) async fn what_is_terminated_never_comes_again(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("1")).await;
    let mut source = log
        .open(ConsumerSpec {
            ack_wait: ACK_WAIT,
            ..spec("c")
        })
        .await
        .unwrap();
    let pulled = pull(&mut source, 1).await;
    settle(&pulled, Settle::Terminate).await;
    pull_nothing(&mut source, 2 * ACK_WAIT).await;
    assert_eq!(log.consumers().await.unwrap()[0].unsettled, 0);
}

pub(crate) async fn closing_hands_back_what_was_not_returned(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..50 {
        append(log, event(&number.to_string())).await;
    }
    let mut source = log.open(spec("c")).await.unwrap();
    let pulled = within(source.pull(50)).await.unwrap();
    source.close().await;
    // The ack wait is longer than patience: only what was handed back can come.
    let mut other = log.open(spec("c")).await.unwrap();
    let rest = pull(&mut other, 50 - pulled.len()).await;
    let all: BTreeSet<String> = ids(&pulled).into_iter().chain(ids(&rest)).collect();
    assert_eq!(all.len(), 50);
}

pub(crate) async fn reopening_keeps_the_position(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..4 {
        append(log, event(&number.to_string())).await;
    }
    let mut source = log.open(spec("c")).await.unwrap();
    let pulled = pull(&mut source, 2).await;
    settle(&pulled, Settle::Ack).await;
    source.close().await;
    let changed = ConsumerSpec {
        start: Start::New,
        description: "renamed".to_owned(),
        unsettled_max: 5,
        filters: vec![subject::all(ROOT)],
        ..spec("c")
    };
    let mut source = log.open(changed).await.unwrap();
    assert_eq!(ids(&pull(&mut source, 2).await), ["2", "3"]);
    assert_eq!(log.consumers().await.unwrap()[0].description, "renamed");
}

pub(crate) async fn a_start_is_where_it_says(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("before")).await;
    let mut new = log
        .open(ConsumerSpec {
            start: Start::New,
            ..spec("new")
        })
        .await
        .unwrap();
    let mut all = log.open(spec("all")).await.unwrap();
    append(log, event("after")).await;
    assert_eq!(ids(&pull(&mut new, 1).await), ["after"]);
    assert_eq!(ids(&pull(&mut all, 2).await), ["before", "after"]);
}

pub(crate) async fn a_start_in_the_past_is_where_it_says(fixture: &impl Fixture) {
    let log = fixture.log();
    for id in ["1", "2"] {
        append(log, event(id)).await;
    }
    let mut all = log.open(spec("all")).await.unwrap();
    // The log's own clock has moved on by the time that the next one is stored.
    tokio::time::sleep(Duration::from_millis(20)).await;
    for id in ["3", "4"] {
        append(log, event(id)).await;
    }
    let times: Vec<_> = pull(&mut all, 4).await;
    let since = times[2].stored_at;
    for (name, start, expected) in [
        ("since", Start::Since(since), &["3", "4"][..]),
        ("sequence", Start::Sequence(2), &["2", "3", "4", "since"]),
    ] {
        let made = ConsumerSpec {
            start,
            ..spec(name)
        };
        let mut source = log.open(made.clone()).await.unwrap();
        let pulled = pull(&mut source, expected.len()).await;
        assert_eq!(ids(&pulled), expected, "{name}");
        settle(&pulled, Settle::Ack).await;
        source.close().await;
        // It goes on from where it is, whatever its start says.
        append(log, event(name)).await;
        let mut source = log.open(made).await.unwrap();
        assert_eq!(ids(&pull(&mut source, 1).await), [name], "{name}");
    }
}

pub(crate) async fn what_was_wanted_before_is_remembered(fixture: &impl Fixture) {
    let log = fixture.log();
    let wanting = |wants: &str, r#type: &str| ConsumerSpec {
        wants: Some(wants.to_owned()),
        filters: vec![subject::any_source(ROOT, r#type).unwrap()],
        ..spec("c")
    };
    let (old, new) = (wanting("old", "old.v1"), wanting("new", "new.v1"));
    let mut source = log.open(old.clone()).await.unwrap();
    assert_eq!(source.former(), []);
    for (id, r#type) in [("1", "old.v1"), ("2", "new.v1"), ("3", "old.v1")] {
        append(log, event_of(id, "s", r#type)).await;
    }
    let first = pull(&mut source, 1).await;
    assert_eq!(ids(&first), ["1"]);
    source.close().await;
    // Opened as it was, nothing is remembered.
    let source = log.open(old).await.unwrap();
    assert_eq!(source.former(), []);
    source.close().await;

    let mut source = log.open(new.clone()).await.unwrap();
    append(log, event_of("4", "s", "new.v1")).await;
    let former = source.former();
    assert_eq!(former.len(), 1);
    assert_eq!(
        (&*former[0].wants, former[0].until),
        (&["old".to_owned()][..], 3)
    );
    // All of the old time comes, whoever wanted it, and what is new.
    let rest = pull(&mut source, 2).await;
    let mut seen = ids(&rest);
    if seen.contains(&"2".to_owned()) {
        seen.extend(ids(&pull(&mut source, 1).await));
    }
    seen.retain(|id| id != "2");
    assert_eq!(seen, ["3", "4"]);
    assert!(!log.narrow(&new).await.unwrap(), "1 is not settled");
    source.close().await;
    let mut source = log.open(new.clone()).await.unwrap();
    assert_eq!(source.former(), former, "it is remembered over a restart");
    settle(&first, Settle::Ack).await;
    settle(&rest, Settle::Ack).await;
    within(async {
        while !log.narrow(&new).await.unwrap() {
            for one in log.consumers().await.unwrap() {
                if one.undelivered > 0 {
                    settle(&pull(&mut source, 1).await, Settle::Ack).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    for (id, r#type) in [("5", "old.v1"), ("6", "new.v1")] {
        append(log, event_of(id, "s", r#type)).await;
    }
    assert_eq!(
        ids(&pull(&mut source, 1).await),
        ["6"],
        "it reads no more than it wants"
    );
}

pub(crate) async fn any_number_of_changes_is_remembered(fixture: &impl Fixture) {
    let log = fixture.log();
    let wanting = |wants: usize| ConsumerSpec {
        wants: Some(wants.to_string()),
        ..spec("c")
    };
    for number in 0..40 {
        let source = log.open(wanting(number)).await.unwrap();
        source.close().await;
        // Every second time nothing is stored between two changes.
        if number % 2 == 0 {
            append(log, event(&number.to_string())).await;
        }
    }
    let mut source = log.open(wanting(40)).await.unwrap();
    let former = source.former();
    assert!(former.len() <= 16, "{former:?}");
    assert_eq!(former[0].wants, ["0"]);
    assert!(former.is_sorted_by_key(|one| one.until));
    let last = former.last().unwrap();
    assert_eq!(last.until, 20);
    // What was wanted when the last event was stored is among what decides about it.
    assert!(last.wants.contains(&"38".to_owned()), "{last:?}");
    assert_eq!(pull(&mut source, 20).await.len(), 20);
}

pub(crate) async fn filters_choose(fixture: &impl Fixture) {
    let log = fixture.log();
    for (id, source, r#type) in [
        ("1", "commerce", "order.created.v1"),
        ("2", "commerce", "order.created"),
        ("3", "other", "order.created.v1"),
        ("4", "commerce", "order.changed.v1"),
        ("5", "commerce.more", "order.created.v1"),
    ] {
        append(log, event_of(id, source, r#type)).await;
    }
    let of = |source: &str, r#type: &str| subject::of(ROOT, source, r#type).unwrap();
    let any = |r#type: &str| subject::any_source(ROOT, r#type).unwrap();
    let below = |source, parts: &str| subject::below(ROOT, source, parts).unwrap();
    for (name, filters, expected) in [
        ("one", vec![of("commerce", "order.created.v1")], &["1"][..]),
        ("any", vec![any("order.created.v1")], &["1", "3", "5"]),
        (
            "below",
            vec![below(None, "order.created")],
            &["1", "3", "5"],
        ),
        (
            "below-of-one",
            vec![below(Some("commerce"), "order")],
            &["1", "2", "4"],
        ),
        (
            "any-type",
            vec![subject::any_type(ROOT, "commerce").unwrap()],
            &["1", "2", "4"],
        ),
        (
            "several",
            vec![
                of("commerce", "order.created"),
                of("other", "order.created.v1"),
            ],
            &["2", "3"],
        ),
        (
            "covered",
            vec![of("commerce", "order.created.v1"), any("order.created.v1")],
            &["1", "3", "5"],
        ),
        ("all", vec![subject::all(ROOT)], &["1", "2", "3", "4", "5"]),
        ("every", vec![], &["1", "2", "3", "4", "5"]),
    ] {
        let mut source = log
            .open(ConsumerSpec {
                filters,
                ..spec(name)
            })
            .await
            .unwrap();
        assert_eq!(
            ids(&pull(&mut source, expected.len()).await),
            expected,
            "{name}"
        );
        pull_nothing(&mut source, Duration::from_millis(50)).await;
    }
}

pub(crate) async fn two_sources_share_one_consumer(fixture: &impl Fixture) {
    const COUNT: usize = 100;
    let log = fixture.log();
    let mut sources = [
        log.open(spec("c")).await.unwrap(),
        log.open(spec("c")).await.unwrap(),
    ];
    for number in 0..COUNT {
        append(log, event(&number.to_string())).await;
    }
    let mut all = Vec::new();
    within(async {
        while all.len() < COUNT {
            for source in &mut sources {
                let short = Duration::from_millis(100);
                if let Ok(pulled) = tokio::time::timeout(short, source.pull(10)).await {
                    let pulled = pulled.unwrap();
                    settle(&pulled, Settle::Ack).await;
                    all.extend(ids(&pulled));
                }
            }
        }
    })
    .await;
    assert_eq!(all.len(), COUNT);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), COUNT);
}

pub(crate) async fn a_dropped_pull_loses_nothing(fixture: &impl Fixture) {
    const COUNT: usize = 200;
    let log = fixture.log();
    let mut source = log.open(spec("c")).await.unwrap();
    let appending = async {
        for number in 0..COUNT {
            append(log, event(&number.to_string())).await;
        }
    };
    let pulling = async {
        let mut all = BTreeSet::new();
        while all.len() < COUNT {
            let soon = Duration::from_micros(300);
            if let Ok(pulled) = tokio::time::timeout(soon, source.pull(7)).await {
                let pulled = pulled.unwrap();
                settle(&pulled, Settle::Ack).await;
                all.extend(ids(&pulled));
            }
        }
    };
    within(async { tokio::join!(appending, pulling) }).await;
}

pub(crate) async fn unsettled_events_are_bounded(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..6 {
        append(log, event(&number.to_string())).await;
    }
    let mut source = log
        .open(ConsumerSpec {
            unsettled_max: 4,
            ..spec("c")
        })
        .await
        .unwrap();
    let pulled = pull(&mut source, 4).await;
    settle(&pulled[..2], Settle::Retry { delay: PATIENCE }).await;
    pull_nothing(&mut source, Duration::from_millis(200)).await;
    settle(&pulled[2..], Settle::Ack).await;
    assert_eq!(ids(&pull(&mut source, 2).await), ["4", "5"]);
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

pub(crate) async fn a_removed_consumer_is_gone(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("1")).await;
    let mut source = log.open(spec("c")).await.unwrap();
    let pulled = pull(&mut source, 1).await;
    // Who waits is told, and so is who comes later.
    pull_nothing(&mut source, Duration::from_millis(100)).await;
    let removed = async {
        log.remove("c").await.unwrap();
    };
    let began = Instant::now();
    let (gone, ()) = within(async { tokio::join!(source.pull(1), removed) }).await;
    let gone = gone.expect_err("it is gone");
    assert!(
        matches!(&gone, SourceError::Gone { name } if name == "c"),
        "{gone:?}"
    );
    let later = within(source.pull(1)).await.expect_err("it is gone");
    assert!(matches!(later, SourceError::Gone { .. }), "{later:?}");
    // Long before a missing heartbeat would be noticed.
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    // A settlement that comes too late harms nobody.
    settle(&pulled, Settle::Ack).await;
    log.remove("c").await.unwrap();
    log.remove("never-was").await.unwrap();
    assert_eq!(log.consumers().await.unwrap(), []);
    let mut again = log.open(spec("c")).await.unwrap();
    assert_eq!(pull(&mut again, 1).await[0].attempt, 1);
}

pub(crate) async fn consumers_tell_what_is_left(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..5 {
        append(log, event(&number.to_string())).await;
    }
    append(log, event_of("other", "source", "other")).await;
    let filters = vec![subject::any_source(ROOT, "order.created.v1").unwrap()];
    let mut source = log
        .open(ConsumerSpec {
            filters,
            ..spec("b")
        })
        .await
        .unwrap();
    log.open(spec("a")).await.unwrap();
    let pulled = pull(&mut source, 3).await;
    settle(&pulled[..1], Settle::Ack).await;
    within(async {
        loop {
            let mut consumers = log.consumers().await.unwrap();
            consumers.sort_by(|one, other| one.name.cmp(&other.name));
            let left: Vec<_> = consumers
                .iter()
                .map(|left| (left.name.as_str(), left.undelivered, left.unsettled))
                .collect();
            // A settlement is sent, not confirmed.
            if left == [("a", 6, 0), ("b", 2, 2)] {
                assert_eq!(consumers[0].description, "consumer a");
                return;
            }
            assert_eq!((left[0], left[1].1), (("a", 6, 0), 2));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

pub(crate) async fn odd_names_travel(fixture: &impl Fixture) {
    let log = fixture.log();
    let long = "x".repeat(900);
    let odd = [
        (
            "/default/sap.s4.beh/ER9CLNT001",
            "sap.s4.beh.salesorder.v1.SalesOrder.Created.v1",
        ),
        ("system>prod", "a.*.b"),
        ("systemprod", "a.>"),
        ("with space and |", "%25.%"),
        ("käse/🦀", "trailing."),
        ("s", ".leading..double"),
        ("s", &long),
    ];
    for (number, (source, r#type)) in odd.iter().enumerate() {
        append(log, event_of(&number.to_string(), source, r#type)).await;
    }
    let mut all = log.open(spec("all")).await.unwrap();
    for (delivery, (source, r#type)) in pull(&mut all, odd.len()).await.iter().zip(odd) {
        let event = delivery.event.as_ref().unwrap();
        assert_eq!((&*event.source, &*event.r#type), (source, r#type));
    }
    for (number, (source, r#type)) in odd.iter().enumerate() {
        let filters = vec![subject::of(ROOT, source, r#type).unwrap()];
        let name = format!("c{number}");
        let mut one = log
            .open(ConsumerSpec {
                filters,
                ..spec(&name)
            })
            .await
            .unwrap();
        assert_eq!(ids(&pull(&mut one, 1).await), [number.to_string()]);
        pull_nothing(&mut one, Duration::from_millis(20)).await;
    }
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

pub(crate) async fn settling_twice_is_harmless(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("1")).await;
    let mut source = log.open(spec("c")).await.unwrap();
    let pulled = pull(&mut source, 1).await;
    settle(&pulled, Settle::Ack).await;
    for settle in [
        Settle::Ack,
        Settle::Progress,
        Settle::Terminate,
        Settle::Retry {
            delay: Duration::ZERO,
        },
    ] {
        pulled[0].receipt.settle(settle).await.unwrap();
    }
    pull_nothing(&mut source, Duration::from_millis(100)).await;
}

pub(crate) async fn a_log_that_takes_events_is_ready(fixture: &impl Fixture) {
    fixture.log().ready().await.unwrap();
}
