//! The window, what is held, and stopping.

use std::{sync::atomic::Ordering, time::Duration};

use bytesize::ByteSize;
use tidegate_backbone::{Log, memory::Memory};
use tidegate_consume::{Budget, Config, Verdict};
use tidegate_event::Event;
use tokio::time::Instant;

use crate::fixture::{Loop, Scripted, away, config, publish_event, retry, until_true};

/// Never more attempts at once than the Subscription allows, and never fewer without need.
#[tokio::test(start_paused = true)]
async fn the_window_is_kept_and_used() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (Duration::from_secs(1), Verdict::DELIVERED));
    let running = Loop::start(&log, &attempt, config(), 7).await;
    let began = Instant::now();
    for id in 0..70 {
        running.publish(&id.to_string()).await;
    }
    running.settled().await;
    assert_eq!(attempt.most_under_way.load(Ordering::Relaxed), 7);
    assert!(
        began.elapsed() < Duration::from_secs(12),
        "70 seconds of work by 7: {:?}",
        began.elapsed()
    );
    running.stop().await;
}

/// Waiting retries hold no slot: events that fail for ever do not stop those behind them.
#[tokio::test(start_paused = true)]
async fn failing_events_do_not_block_the_others() {
    let log = Memory::default();
    let attempt = Scripted::new(|event, _| {
        let fails = event.id.starts_with("bad");
        (
            Duration::from_millis(1),
            if fails { retry() } else { Verdict::DELIVERED },
        )
    });
    let config = Config {
        retry: tidegate_consume::Retry {
            attempts_max: 1_000,
            backoff_delay: Duration::from_secs(3_600),
            backoff_max: Duration::from_secs(3_600),
        },
        ..config()
    };
    let running = Loop::start(&log, &attempt, config, 2).await;
    for id in 0..10 {
        running.publish(&format!("bad-{id}")).await;
    }
    let began = Instant::now();
    running.publish("good").await;
    until_true(|| async { attempt.times("good") == 1 }).await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    running.stop().await;
}

/// A slow Function is called once, and so are the events that wait behind it.
#[tokio::test(start_paused = true)]
async fn what_is_held_is_kept_alive() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (Duration::from_secs(300), Verdict::DELIVERED));
    let running = Loop::start(&log, &attempt, config(), 1).await;
    for id in ["1", "2", "3"] {
        running.publish(id).await;
    }
    running.settled().await;
    for id in ["1", "2", "3"] {
        assert_eq!(attempt.times(id), 1, "{id}");
    }
    running.stop().await;
}

/// Stopping finishes what is under way and hands back the rest for the next one.
#[tokio::test(start_paused = true)]
async fn stopping_finishes_attempts_and_hands_back_the_rest() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (Duration::from_secs(5), Verdict::DELIVERED));
    let running = Loop::start(&log, &attempt, config(), 2).await;
    for id in 0..6 {
        running.publish(&id.to_string()).await;
    }
    until_true(|| async { attempt.made.lock().unwrap().len() == 2 }).await;
    let began = Instant::now();
    running.stop().await;
    assert!(
        began.elapsed() <= Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
    let left = &log.consumers().await.unwrap()[0];
    assert_eq!(left.undelivered + left.unsettled, 4, "{left:?}");

    let second = Scripted::new(|_, _| (Duration::from_millis(1), Verdict::DELIVERED));
    let running = Loop::start(&log, &second, config(), 2).await;
    running.settled().await;
    let tried = second.made.lock().unwrap().len();
    assert_eq!(tried, 4, "what was finished came again");
    running.stop().await;
}

/// An attempt that outlasts the grace is given up, and its event comes again.
#[tokio::test(start_paused = true)]
async fn an_attempt_beyond_the_grace_is_delivered_again() {
    let log = Memory::default();
    let attempt = Scripted::new(|_, _| (Duration::from_secs(3_600), Verdict::DELIVERED));
    let running = Loop::start(&log, &attempt, config(), 2).await;
    running.publish("1").await;
    until_true(|| async { attempt.times("1") == 1 }).await;
    let began = Instant::now();
    running.stop().await;
    assert!(
        began.elapsed() <= Duration::from_secs(21),
        "{:?}",
        began.elapsed()
    );
    let second = Scripted::new(|_, _| (Duration::from_millis(1), Verdict::DELIVERED));
    let running = Loop::start(&log, &second, config(), 2).await;
    running.settled().await;
    assert_eq!(second.times("1"), 1);
    running.stop().await;
}

/// Subscriptions whose sinks are away fill what all have together, and no more; one that works goes
/// on beside them, and so does one whose events are larger than what is left.
#[tokio::test(start_paused = true)]
async fn all_subscriptions_share_a_budget() {
    let log = Memory::default();
    let budget = Budget::new(ByteSize::kib(256));
    let millisecond = Duration::from_millis(1);
    let down = Scripted::new(move |_, _| (millisecond, away()));
    let well = Scripted::new(move |_, _| (millisecond, Verdict::DELIVERED));
    let mut loops = Vec::new();
    for number in 0..20 {
        let name = format!("down-{number}");
        loops.push(Loop::within(&log, &down, config(), &name, budget.clone()).await);
    }
    loops.push(Loop::within(&log, &well, config(), "well", budget.clone()).await);
    for id in 0..500 {
        let mut event = Event::new(id.to_string(), "/s", "t.v1");
        event.data = Some(vec![b'x'; 4_000].into());
        publish_event(&log, event).await;
        tokio::time::sleep(millisecond).await;
        assert!(budget.used() <= 256 << 10, "{} bytes", budget.used());
    }
    until_true(|| async { well.times("499") == 1 }).await;
    assert!(budget.used() > 128 << 10, "{} bytes", budget.used());
    let mut large = Event::new("large", "/s", "t.v1");
    large.data = Some(vec![b'x'; 1 << 20].into());
    publish_event(&log, large).await;
    until_true(|| async { well.times("large") == 1 }).await;
    for one in loops {
        one.stop().await;
    }
    assert_eq!(budget.used(), 0);
}
