//! What follows an attempt.

use std::time::Duration;

use tidegate_backbone::{AppendError, Log, memory::Memory};
use tidegate_consume::{Breaker, Failure, Gates, Health, Verdict};
use tokio::time::Instant;

use crate::fixture::{Loop, Scripted, config, publish, retry, until_true};

const QUICK: Duration = Duration::from_millis(1);

/// An event is settled when its sink has it, and only then.
#[tokio::test(start_paused = true)]
async fn an_event_is_settled_after_its_delivery() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (Duration::from_secs(5), Verdict::DELIVERED));
    let running = Loop::start(&log, &attempt, config(), 10).await;
    running.publish("1").await;
    until_true(|| async { attempt.times("1") == 1 }).await;
    assert_eq!(
        log.consumers().await.unwrap()[0].unsettled,
        1,
        "settled while it is under way"
    );
    running.settled().await;
    assert_eq!(attempt.times("1"), 1);
    assert!(log.dead_letters().is_empty());
    assert!(attempt.buried.lock().unwrap().is_empty(), "told of nothing");
    running.stop().await;
}

/// Retries come later and later, and the last one makes a dead letter.
#[tokio::test(start_paused = true)]
async fn after_the_last_attempt_an_event_is_a_dead_letter() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (QUICK, retry()));
    let running = Loop::start(&log, &attempt, config(), 10).await;
    running.publish("1").await;
    running.settled().await;
    let when = attempt.when("1");
    assert_eq!(when.len(), 4);
    for (at, pair) in when.windows(2).enumerate() {
        let bound = Duration::from_secs(1 << at) + Duration::from_millis(100);
        let delay = pair[1] - pair[0];
        assert!(
            delay >= bound / 20 && delay <= bound,
            "after attempt {}: {delay:?}",
            at + 1
        );
    }
    let letters = log.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason, "consume/attempts-exhausted");
    assert_eq!(letters[0].attempts, 4);
    assert_eq!(letters[0].event.as_ref().unwrap().id, "1");
    running.stop().await;
}

/// A final refusal is not tried again.
#[tokio::test(start_paused = true)]
async fn a_rejected_event_is_a_dead_letter_at_once() {
    let log = Memory::default();
    let rejected = Verdict::Rejected {
        failure: Failure::new("deliver/status-rejected", "400"),
    };
    let attempt = Scripted::new(move |_, _| (QUICK, rejected.clone()));
    let running = Loop::start(&log, &attempt, config(), 10).await;
    running.publish("1").await;
    running.settled().await;
    assert_eq!(attempt.times("1"), 1);
    assert_eq!(log.dead_letters()[0].reason, "deliver/status-rejected");
    running.stop().await;
    // And whoever makes the attempts is told.
    let told = ("1".to_owned(), "deliver/status-rejected", 1);
    assert_eq!(*attempt.buried.lock().unwrap(), [told]);
}

/// When the dead letter cannot be stored, the event stays.
#[tokio::test(start_paused = true)]
async fn an_event_is_kept_until_its_dead_letter_is_durable() {
    let log = Memory::default();
    let rejected = Verdict::Rejected {
        failure: Failure::new("deliver/status-rejected", "400"),
    };
    let attempt = Scripted::new(move |_, _| (QUICK, rejected.clone()));
    let running = Loop::start(&log, &attempt, config(), 10).await;
    running.publish("1").await;
    log.refuse_letters(Some(AppendError::Full {
        detail: "full".to_owned(),
    }));
    until_true(|| async { attempt.times("1") >= 3 }).await;
    assert!(log.dead_letters().is_empty());
    assert_eq!(
        log.consumers().await.unwrap()[0].unsettled,
        1,
        "dropped without a letter"
    );
    log.refuse_letters(None);
    running.settled().await;
    assert_eq!(log.dead_letters().len(), 1);
    running.stop().await;
}

/// A sink that asks to be left alone is.
#[tokio::test(start_paused = true)]
async fn the_sinks_own_delay_is_kept() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, times| {
        let after = Some(Duration::from_secs(300));
        match times {
            0 => (
                QUICK,
                Verdict::Retry {
                    failure: Failure::new("test/busy", ""),
                    after,
                    health: Health::Busy,
                },
            ),
            _ => (QUICK, Verdict::DELIVERED),
        }
    });
    let running = Loop::start(&log, &attempt, config(), 10).await;
    running.publish("1").await;
    running.settled().await;
    let when = attempt.when("1");
    assert!(
        when[1] - when[0] >= Duration::from_secs(300),
        "{:?}",
        when[1] - when[0]
    );
    running.stop().await;
}

/// A sink that asks to be left alone is, by every event and every Subscription; none of their
/// attempts is used up.
#[tokio::test(start_paused = true)]
async fn the_whole_sink_is_left_alone() {
    let log = Memory::default();
    let attempt = Scripted::new(|event, times| match (&*event.id, times) {
        ("1", 0) => (
            QUICK,
            Verdict::Retry {
                failure: Failure::new("test/busy", ""),
                after: Some(Duration::from_secs(300)),
                health: Health::Busy,
            },
        ),
        _ => (QUICK, Verdict::DELIVERED),
    });
    let gates = Gates::new(&Breaker::default());
    let gate = || gates.of("http://sink/");
    let one = Loop::through(&log, &attempt, "one", gate()).await;
    let other = Loop::through(&log, &attempt, "other", gate()).await;
    one.publish("1").await;
    until_true(|| async { attempt.times("1") == 2 }).await;
    let asked = Instant::now();
    let elsewhere = Loop::through(&log, &attempt, "elsewhere", gates.of("http://b/")).await;
    for id in ["2", "3"] {
        one.publish(id).await;
    }
    one.settled().await;
    for id in ["2", "3"] {
        let mut when = attempt.when(id);
        when.sort_unstable();
        let waited: Vec<u64> = when.iter().map(|when| (*when - asked).as_secs()).collect();
        assert_eq!(waited.len(), 3);
        assert_eq!(waited[0], 0, "elsewhere it is tried at once: {waited:?}");
        assert!(
            waited[1..].iter().all(|waited| *waited >= 299),
            "{waited:?}"
        );
    }
    for running in [one, other, elsewhere] {
        running.stop().await;
    }
}

/// An attempt that panics costs neither its event nor the loop.
#[tokio::test(start_paused = true)]
async fn a_panic_costs_nothing() {
    let log = Memory::default();
    let attempt = Scripted::new(|event, times| {
        assert!(&*event.id != "1" || times > 0, "on purpose");
        (QUICK, Verdict::DELIVERED)
    });
    let running = Loop::start(&log, &attempt, config(), 10).await;
    running.publish("1").await;
    running.publish("2").await;
    running.settled().await;
    assert_eq!((attempt.times("1"), attempt.times("2")), (2, 1));
    running.stop().await;
}

/// What the Subscription does not want is settled without an attempt.
#[tokio::test(start_paused = true)]
async fn other_events_are_passed_over() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (QUICK, Verdict::DELIVERED));
    let running = Loop::start(&log, &attempt, config(), 10).await;
    publish(&log, "1", "other.v1").await;
    running.publish("2").await;
    running.settled().await;
    assert_eq!((attempt.times("1"), attempt.times("2")), (0, 1));
    running.stop().await;
}
