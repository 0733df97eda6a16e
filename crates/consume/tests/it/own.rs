//! What a Subscription says for itself: its policy, its pause, its filters.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use tidegate_backbone::{Log as _, memory::Memory};
use tidegate_consume::{Pace, Verdict};
use tidegate_event::{Event, Name, Value};
use tidegate_subscription::{Backoff, Filter, Matching, Pair, Retry, Subscription};
use tokio::time::Instant;

use crate::fixture::{
    Loop, Scripted, config, publish, publish_event, retry, subscription, until_true,
};

const QUICK: Duration = Duration::from_millis(1);

fn own(change: impl FnOnce(&mut Subscription)) -> Arc<Subscription> {
    let mut subscription = (*subscription(10)).clone();
    change(&mut subscription);
    Arc::new(subscription)
}

/// Its own number of attempts and its own delays count.
#[tokio::test(start_paused = true)]
async fn its_own_retry_policy_counts() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (QUICK, retry()));
    let wants = own(|one| {
        one.delivery.retry = Retry {
            attempts_max: "3".parse().ok(),
            backoff: Some(Backoff::Constant),
            backoff_delay: Some(Duration::from_secs(7)),
            jitter: Some(false),
            ..Retry::default()
        };
    });
    let running = Loop::of(&log, &attempt, config(), wants).await;
    running.publish("1").await;
    running.settled().await;
    let when = attempt.when("1");
    assert_eq!(when.len(), 3);
    for pair in when.windows(2) {
        let delay = (pair[1] - pair[0]).as_secs();
        assert!((7..9).contains(&delay), "{delay} s");
    }
    assert_eq!(log.dead_letters()[0].attempts, 3);
    running.stop().await;
}

/// An event that nobody wants to have so late is given up, whatever attempts are left.
#[tokio::test(start_paused = true)]
async fn an_event_that_is_too_old_is_a_dead_letter() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (QUICK, retry()));
    let wants = own(|one| {
        one.delivery.retry = Retry {
            attempts_max: "100".parse().ok(),
            age_max: Some(Duration::from_secs(60)),
            backoff_max: Some(Duration::from_secs(10)),
            ..Retry::default()
        };
    });
    let running = Loop::of(&log, &attempt, config(), wants).await;
    let began = Instant::now();
    running.publish("1").await;
    running.settled().await;
    let took = began.elapsed().as_secs();
    assert!((60..75).contains(&took), "{took} s");
    let letters = log.dead_letters();
    assert_eq!(letters[0].reason, "consume/expired");
    assert_eq!(letters[0].event.as_ref().unwrap().id, "1");
    running.stop().await;
}

/// What says itself that it is of no use any more is not tried; its letter says so.
#[tokio::test(start_paused = true)]
async fn an_expired_event_is_not_tried() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (QUICK, Verdict::DELIVERED));
    let running = Loop::start(&log, &attempt, config(), 10).await;
    let end = |after: i64| {
        let now = log.now().duration_since(UNIX_EPOCH).unwrap();
        let seconds = i64::try_from(now.as_secs()).unwrap() + after;
        jiff::Timestamp::from_second(seconds).unwrap().to_string()
    };
    for (id, expiry) in [
        ("over", end(-1)),
        ("soon", end(3600)),
        ("odd", "later".to_owned()),
    ] {
        let mut event = Event::new(id.to_owned(), "/s", "t.v1");
        let value = Value::String(expiry.into());
        event
            .extensions
            .insert(Name::from_static("expirytime"), value);
        publish_event(&log, event).await;
    }
    running.settled().await;
    let made = ["over", "soon", "odd"].map(|id| attempt.times(id));
    assert_eq!(made, [0, 1, 1]);
    let letters = log.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason, "consume/expired");
    assert!(
        letters[0].detail.contains("expirytime"),
        "{}",
        letters[0].detail
    );
    running.stop().await;
}

/// No more attempts begin than the limit allows, whoever shares it.
#[tokio::test(start_paused = true)]
async fn a_shared_pace_is_kept() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (QUICK, Verdict::DELIVERED));
    let pace = Pace::new(NonZeroU32::new(10).unwrap());
    let both = [("a", pace.clone()), ("b", pace)].map(|(name, pace)| {
        let wants = own(|one| one.name = name.to_owned());
        Loop::paced(&log, &attempt, config(), wants, pace)
    });
    let [one, other] = both;
    let (one, other) = (one.await, other.await);
    let began = Instant::now();
    for id in 0..50 {
        one.publish(&id.to_string()).await;
    }
    one.settled().await;
    let took = began.elapsed().as_secs_f64();
    assert!((9.0..=10.5).contains(&took), "100 attempts took {took} s");
    one.stop().await;
    other.stop().await;
}

/// While it is paused nothing is delivered, and nothing is lost.
#[tokio::test(start_paused = true)]
async fn a_paused_subscription_keeps_its_place() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (QUICK, Verdict::DELIVERED));
    let paused = own(|one| one.pause = true);
    let running = Loop::of(&log, &attempt, config(), paused).await;
    for id in ["1", "2"] {
        running.publish(id).await;
    }
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(attempt.times("1"), 0);
    running.stop().await;
    let running = Loop::start(&log, &attempt, config(), 10).await;
    running.settled().await;
    assert_eq!((attempt.times("1"), attempt.times("2")), (1, 1));
    running.stop().await;
}

/// What the log's subjects let through and the filters do not is settled without an attempt.
#[tokio::test(start_paused = true)]
async fn filters_choose_what_subjects_cannot() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (QUICK, Verdict::DELIVERED));
    let pair = |name: &str, text: &str| Pair {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let wants = own(|one| {
        one.matching = Matching::Filters(vec![
            Filter::Prefix(vec![pair("type", "order.")]),
            Filter::Sql("id <> '2'".parse().unwrap()),
        ]);
    });
    let running = Loop::of(&log, &attempt, config(), wants).await;
    for (id, r#type) in [
        ("1", "order.a"),
        ("2", "order.a"),
        ("3", "invoice.a"),
        ("4", "order.b.c"),
    ] {
        publish(&log, id, r#type).await;
    }
    running.settled().await;
    let made = |id: &str| attempt.times(id);
    assert_eq!([made("1"), made("2"), made("3"), made("4")], [1, 0, 0, 1]);
    until_true(|| async { log.consumers().await.unwrap()[0].unsettled == 0 }).await;
    running.stop().await;
}

/// What was stored before a change belongs to the old filters, what comes after it to the new ones,
/// and nothing in between is lost; a restart changes nothing about that.
#[tokio::test(start_paused = true)]
async fn a_changed_filter_loses_nothing() {
    let log = Memory::default();
    let of_type = |r#type: &str| {
        own(|one| {
            one.matching = Matching::Standard {
                source: "/s".to_owned(),
                types: vec![r#type.to_owned()],
            };
        })
    };
    let away = Scripted::new(|_, _| (QUICK, retry()));
    let running = Loop::of(&log, &away, config(), of_type("old.v1")).await;
    publish(&log, "old-1", "old.v1").await;
    publish(&log, "new-1", "new.v1").await;
    until_true(|| async { away.times("old-1") > 0 }).await;
    running.stop().await;
    publish(&log, "old-2", "old.v1").await;

    let attempt = Scripted::new(|_, times| {
        (
            QUICK,
            if times < 2 {
                retry()
            } else {
                Verdict::DELIVERED
            },
        )
    });
    let running = Loop::of(&log, &attempt, config(), of_type("new.v1")).await;
    // What is tried shows that the change has taken place.
    until_true(|| async { attempt.times("old-2") > 0 }).await;
    publish(&log, "old-3", "old.v1").await;
    publish(&log, "new-2", "new.v1").await;
    until_true(|| async { attempt.times("new-2") > 0 }).await;
    running.stop().await;
    let running = Loop::of(&log, &attempt, config(), of_type("new.v1")).await;
    running.settled().await;
    for (id, wanted) in [
        ("old-1", true),
        ("old-2", true),
        ("old-3", false),
        ("new-1", false),
        ("new-2", true),
    ] {
        assert_eq!(attempt.times(id) > 0, wanted, "{id}");
    }
    assert_eq!(log.dead_letters().len(), 0);
    running.stop().await;
}
