//! What a sink's failing means for the events that wait for it.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidegate_backbone::{Log as _, memory::Memory};
use tidegate_consume::{Breaker, Failure, Gates, Pace, Verdict};
use tokio::time::Instant;

use crate::fixture::{Loop, Scripted, away, config, publish, retry, until_true};

const QUICK: Duration = Duration::from_millis(1);

/// Attempts that end as `down` says while it is `true`.
fn sink(is_down: &Arc<AtomicBool>, down: fn() -> Verdict) -> Scripted {
    let is_down = Arc::clone(is_down);
    Scripted::new(move |_, _| match is_down.load(Ordering::Relaxed) {
        true => (QUICK, down()),
        false => (QUICK, Verdict::DELIVERED),
    })
}

fn switch(on: bool) -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(on))
}

/// An outage of any length makes no dead letter, whether nobody answers or the answer is a
/// failure; it costs few attempts, and what came meanwhile waits in the log.
#[tokio::test(start_paused = true)]
async fn an_outage_makes_no_dead_letters() {
    for (down, least) in [(away as fn() -> Verdict, 150), (retry, 0)] {
        let log = Memory::default();
        let is_down = switch(true);
        let attempt = sink(&is_down, down);
        let running = Loop::start(&log, &attempt, config(), 10).await;
        for id in 0..200 {
            running.publish(&id.to_string()).await;
        }
        tokio::time::sleep(Duration::from_hours(24)).await;
        let made = attempt.made.lock().unwrap().len();
        let probes = 24 * 3_600 / 5;
        assert!((probes..probes + 40).contains(&made), "{made} attempts");
        let consumers = log.consumers().await.unwrap();
        // Where it shares a consumer, some waits in memory for it.
        let is_left = consumers[0].undelivered >= least;
        assert!(is_left || crate::IS_SHARED, "{consumers:?}");
        is_down.store(false, Ordering::Relaxed);
        let mended = Instant::now();
        running.settled().await;
        let took = mended.elapsed();
        assert!(took < Duration::from_mins(5), "{took:?}");
        assert_eq!(log.dead_letters().len(), 0);
        running.stop().await;
    }
}

/// A few events that fail are not an outage: the others go on, and theirs is a dead letter.
#[tokio::test(start_paused = true)]
async fn failing_events_are_no_outage() {
    let log = Memory::default();
    let attempt = Scripted::new(|event, _| match event.id.starts_with("bad") {
        true => (QUICK, retry()),
        false => (QUICK, Verdict::DELIVERED),
    });
    let running = Loop::start(&log, &attempt, config(), 1).await;
    for id in 0..9 {
        running.publish(&format!("bad-{id}")).await;
    }
    for id in 0..100 {
        running.publish(&format!("good-{id}")).await;
    }
    let began = Instant::now();
    until_true(|| async { attempt.times("good-99") == 1 }).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    running.settled().await;
    assert_eq!(log.dead_letters().len(), 9);
    running.stop().await;
}

/// However many events fail, those behind them get their turn while the sink is probed.
#[tokio::test(start_paused = true)]
async fn an_event_that_works_is_found_behind_those_that_fail() {
    let log = Memory::default();
    let attempt = Scripted::new(|event, _| match event.id.starts_with("bad") {
        true => (QUICK, retry()),
        false => (QUICK, Verdict::DELIVERED),
    });
    let running = Loop::start(&log, &attempt, config(), 1).await;
    for id in 0..50 {
        running.publish(&format!("bad-{id}")).await;
    }
    running.publish("good").await;
    let began = Instant::now();
    until_true(|| async { attempt.times("good") == 1 }).await;
    let took = began.elapsed();
    assert!(took < Duration::from_mins(10), "{took:?}");
    running.stop().await;
}

/// It is the sink that fails: all who name it leave it alone, and nobody else does.
#[tokio::test(start_paused = true)]
async fn the_breaker_is_the_sinks() {
    let log = Memory::default();
    let is_down = switch(true);
    let (failing, other) = (sink(&is_down, away), sink(&switch(false), away));
    let gates = Gates::new(&Breaker::default());
    let gate = || gates.of("http://sink/");
    let one = Loop::through(&log, &failing, "one", gate()).await;
    for id in 0..20 {
        one.publish(&id.to_string()).await;
    }
    until_true(|| async { failing.made.lock().unwrap().len() >= 10 }).await;
    let same = Loop::through(&log, &failing, "same", gate()).await;
    let elsewhere = Loop::through(&log, &other, "other", gates.of("http://b/")).await;
    let began = Instant::now();
    let before = failing.made.lock().unwrap().len();
    for id in 100..120 {
        publish(&log, &id.to_string(), "t.v1").await;
    }
    until_true(|| async { other.made.lock().unwrap().len() == 20 }).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    tokio::time::sleep(Duration::from_mins(10)).await;
    let made = failing.made.lock().unwrap().len() - before;
    assert!((100..=130).contains(&made), "{made} probes by two in 600 s");
    for running in [one, same, elsewhere] {
        running.stop().await;
    }
}

/// Subscriptions of one sink share its places: none makes attempts that would wait for one, and who
/// is alone has them all.
#[tokio::test(start_paused = true)]
async fn a_sinks_places_are_shared() {
    let gates =
        Gates::new(&Breaker::default()).with_places(const { NonZeroUsize::new(10).unwrap() });
    for (loops, most) in [(1, 10), (5, 10 + 5 + 3 + 2 + 2)] {
        let log = Memory::default();
        let attempt = Scripted::new(|_, _| (QUICK, Verdict::DELIVERED));
        let mut running = Vec::new();
        for name in ["a", "b", "c", "d", "e"].into_iter().take(loops) {
            let gate = gates.of("http://sink/");
            running.push(Loop::through(&log, &attempt, name, gate).await);
        }
        for id in 0..100 {
            publish(&log, &id.to_string(), "t.v1").await;
        }
        for one in running {
            one.settled().await;
            one.stop().await;
        }
        let made = attempt.made.lock().unwrap().len();
        assert_eq!(made, 100 * loops);
        // Each has its share of when it came.
        let reached = attempt.most_under_way.load(Ordering::Relaxed);
        assert!((10..=most).contains(&reached), "{reached} by {loops}");
    }
}

/// Who waits for its rate leaves the places to those who could use them.
#[tokio::test(start_paused = true)]
async fn a_rate_holds_no_places() {
    let gates =
        Gates::new(&Breaker::default()).with_places(const { NonZeroUsize::new(10).unwrap() });
    let log = Memory::default();
    let delivers = || Scripted::new(|_, _| (QUICK, Verdict::DELIVERED));
    let (slow, quick) = (delivers(), delivers());
    let pace = Pace::new(NonZeroU32::MIN);
    let gate = gates.of("http://sink/");
    let paced = Loop::through_at(&log, &slow, "paced", gate, pace).await;
    for id in 0..20 {
        paced.publish(&id.to_string()).await;
    }
    until_true(|| async { slow.made.lock().unwrap().len() == 1 }).await;
    let other = Loop::through(&log, &quick, "other", gates.of("http://sink/")).await;
    let begun = slow.made.lock().unwrap().len();
    for id in 100..150 {
        other.publish(&id.to_string()).await;
    }
    until_true(|| async { quick.made.lock().unwrap().len() == 50 }).await;
    assert_eq!(slow.made.lock().unwrap().len(), begun, "it waits");
    assert_eq!(quick.most_under_way.load(Ordering::Relaxed), 10);
    other.stop().await;
    paced.stop().await;
}

/// A sink that is gone gets nothing more, and keeps what it has not got.
#[tokio::test(start_paused = true)]
async fn a_sink_that_is_gone_is_left_alone() {
    let log = Memory::default();
    let is_gone = switch(true);
    let attempt = sink(&is_gone, || Verdict::Gone {
        failure: Failure::new("test/gone", "gone"),
    });
    let gate = Gates::new(&Breaker::default()).of("http://sink/");
    let running = Loop::through(&log, &attempt, "one", gate.clone()).await;
    running.publish("1").await;
    until_true(|| async { attempt.times("1") == 1 }).await;
    for id in ["2", "3"] {
        running.publish(id).await;
    }
    tokio::time::sleep(Duration::from_hours(24)).await;
    assert_eq!(attempt.made.lock().unwrap().len(), 1);
    is_gone.store(false, Ordering::Relaxed);
    gate.ask_again();
    running.settled().await;
    assert_eq!(attempt.made.lock().unwrap().len(), 4);
    assert_eq!(log.dead_letters().len(), 0);
    running.stop().await;
}

/// What was not tried while the sink was away is there for whoever comes next, at once.
#[tokio::test(start_paused = true)]
async fn what_waits_for_a_sink_is_handed_back() {
    let log = Memory::default();
    let down = sink(&switch(true), away);
    let running = Loop::start(&log, &down, config(), 10).await;
    for id in 0..20 {
        running.publish(&id.to_string()).await;
    }
    until_true(|| async { down.made.lock().unwrap().len() >= 10 }).await;
    running.stop().await;
    let well = sink(&switch(false), away);
    let began = Instant::now();
    let running = Loop::start(&log, &well, config(), 10).await;
    running.settled().await;
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(well.made.lock().unwrap().len(), 20);
    running.stop().await;
}
