//! What a consumer wants, from where on, and what it is told of itself.

use std::time::Duration;

use tidegate_backbone::{ConsumerSpec, Log as _, Settle, Source as _, SourceError, Start, subject};
use tokio::time::Instant;

use crate::fixture::*;

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
        matches!(&gone, SourceError::Gone { name, .. } if name == "c"),
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
    settle_surely(&pulled, Settle::Ack).await;
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
