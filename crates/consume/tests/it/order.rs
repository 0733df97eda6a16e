//! Order by key.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidegate_backbone::{Log as _, memory::Memory};
use tidegate_consume::{Config, Failure, Verdict};
use tidegate_event::Event;
use tidegate_subscription::{OnDeadLetter, Order, Subscription};
use tokio::time::Instant;

use crate::fixture::{Loop, Scripted, config, publish_event, retry, subscription, until_true};

fn ordered(window: u32) -> Arc<Subscription> {
    let mut ordered = (*subscription(window)).clone();
    ordered.delivery.order = Some(Order {
        key: "subject".to_owned(),
        on_dead_letter: OnDeadLetter::Continue,
    });
    Arc::new(ordered)
}

async fn start(log: &Memory, attempt: &Scripted, config: Config) -> Loop {
    Loop::of(log, attempt, config, ordered(10)).await
}

/// The `number`th event of a key.
async fn publish(log: &Memory, key: &str, number: usize) {
    let id = format!("{key}-{number}");
    let mut event = Event::new(id, "/s".to_owned(), "t.v1".to_owned());
    event.subject = Some(key.to_owned().into());
    publish_event(log, event).await;
}

/// Round by round, one event of each key.
async fn publish_all(log: &Memory, keys: &[&str], each: usize) {
    for number in 0..each {
        for key in keys {
            publish(log, key, number).await;
        }
    }
}

/// How long attempts at an event take.
fn duration(id: &str) -> Duration {
    let sum: u64 = id.bytes().map(u64::from).sum();
    Duration::from_millis(1 + sum * 7 % 40)
}

/// Of each key no event was tried before the one before it was done with, and none after a later
/// one.
fn judge(attempt: &Scripted) {
    let mut last: HashMap<String, (usize, Instant)> = HashMap::new();
    for (id, when) in &*attempt.made.lock().unwrap() {
        let (key, number) = id.split_once('-').unwrap();
        let number = number.parse().unwrap();
        if let Some((before, began)) = last.insert(key.to_owned(), (number, *when)) {
            assert!(before <= number, "{key}-{before} before {id}");
            let took = duration(&format!("{key}-{before}"));
            assert!(before == number || *when >= began + took, "{id} too early");
        }
    }
}

/// One after the other for a key, at once for several.
#[tokio::test(start_paused = true)]
async fn keys_are_in_order_and_concurrent() {
    let log = Memory::default();
    let attempt = Scripted::new(|event, _| (duration(&event.id), Verdict::DELIVERED));
    let running = start(&log, &attempt, config()).await;
    let keys = ["a", "b", "c", "d"];
    let began = Instant::now();
    publish_all(&log, &keys, 100).await;
    running.settled().await;
    judge(&attempt);
    let took = began.elapsed();
    let made = attempt.made.lock().unwrap().clone();
    let in_turn: Duration = made.iter().map(|(id, _)| duration(id)).sum();
    assert!(took < in_turn / 2, "{took:?} of {in_turn:?}");
    assert_eq!(made.len(), 400);
    running.stop().await;
}

/// An event without the key waits for no other.
#[tokio::test(start_paused = true)]
async fn without_a_key_there_is_no_order() {
    let log = Memory::default();
    let second = Duration::from_secs(1);
    let attempt = Scripted::new(move |_, _| (second, Verdict::DELIVERED));
    let running = start(&log, &attempt, config()).await;
    let began = Instant::now();
    for id in 0..10 {
        running.publish(&id.to_string()).await;
    }
    running.settled().await;
    assert!(began.elapsed() < second * 2);
    running.stop().await;
}

/// A key that fails keeps nobody else waiting; what is behind the failing event waits for its
/// delivery, or until it is a dead letter.
#[tokio::test(start_paused = true)]
async fn a_failing_key_blocks_itself_alone() {
    let log = Memory::default();
    let attempt = Scripted::new(|event, times| {
        let verdict = match &*event.id {
            "bad-1" if times < 3 => retry(),
            "bad-2" => Verdict::Rejected {
                failure: Failure::new("test/no", "no"),
            },
            "bad-3" => retry(),
            _ => Verdict::DELIVERED,
        };
        (duration(&event.id), verdict)
    });
    let running = start(&log, &attempt, config()).await;
    let began = Instant::now();
    publish_all(&log, &["bad", "good"], 50).await;
    until_true(|| async { attempt.times("good-49") == 1 }).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(attempt.times("bad-2"), 0);
    running.settled().await;
    judge(&attempt);
    let letters = log.dead_letters();
    let letters: Vec<_> = letters
        .iter()
        .map(|one| &*one.event.as_ref().unwrap().id)
        .collect();
    assert_eq!(letters, ["bad-2", "bad-3"]);
    assert_eq!(
        ["bad-1", "bad-3", "bad-49"].map(|id| attempt.times(id)),
        [4, 4, 1]
    );
    running.stop().await;
}

/// However much waits behind a key that fails: what others have behind all that goes on, and
/// nothing of it is out of order in the end.
#[tokio::test(start_paused = true)]
async fn a_full_hand_makes_room_for_other_keys() {
    let log = Memory::default();
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let attempt = Scripted::new(move |event, _| {
        let fails = &*event.id == "bad-0" && down.load(Ordering::Relaxed);
        (
            duration(&event.id),
            if fails { retry() } else { Verdict::DELIVERED },
        )
    });
    let config = Config {
        held_max: 32,
        retry: tidegate_consume::Retry {
            attempts_max: 1_000,
            ..config().retry
        },
        ..config()
    };
    let running = start(&log, &attempt, config).await;
    publish_all(&log, &["bad"], 500).await;
    publish_all(&log, &["x", "y"], 50).await;
    let began = Instant::now();
    until_true(|| async { attempt.times("y-49") == 1 }).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(attempt.times("bad-1"), 0);
    tokio::time::sleep(Duration::from_mins(10)).await;
    is_down.store(false, Ordering::Relaxed);
    running.settled().await;
    judge(&attempt);
    assert_eq!(attempt.times("bad-499"), 1);
    assert_eq!(log.dead_letters().len(), 0);
    running.stop().await;
}

/// A slow event of one key does not stop the others, whatever waits behind it.
#[tokio::test(start_paused = true)]
async fn a_slow_key_makes_room_too() {
    let log = Memory::default();
    let attempt = Scripted::new(|event, _| match &*event.id {
        "slow-0" => (Duration::from_mins(5), Verdict::DELIVERED),
        id => (duration(id), Verdict::DELIVERED),
    });
    let config = Config {
        held_max: 32,
        ..config()
    };
    let running = start(&log, &attempt, config).await;
    publish_all(&log, &["slow"], 200).await;
    publish_all(&log, &["x"], 20).await;
    let began = Instant::now();
    until_true(|| async { attempt.times("x-19") == 1 }).await;
    assert!(began.elapsed() < Duration::from_mins(1));
    running.settled().await;
    judge(&attempt);
    running.stop().await;
}

/// Whoever takes over, from one that ended, died or lost the events, keeps the order.
#[tokio::test(start_paused = true)]
async fn hand_over_keeps_the_order() {
    for how in ["stop", "kill", "lose"] {
        let log = Memory::default();
        let attempt = Scripted::new(|event, times| {
            let sum: usize = event.id.bytes().map(usize::from).sum();
            let verdict = if sum % 5 > times {
                retry()
            } else {
                Verdict::DELIVERED
            };
            (duration(&event.id), verdict)
        });
        let config = || Config {
            held_max: 40,
            retry: tidegate_consume::Retry {
                attempts_max: 1_000,
                ..config().retry
            },
            ..config()
        };
        let mut running = start(&log, &attempt, config()).await;
        let mut others = Vec::new();
        publish_all(&log, &["a", "b", "c"], 100).await;
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let next = start(&log, &attempt, config()).await;
            match how {
                "stop" => running.stop().await,
                "kill" => running.kill().await,
                _ => {
                    log.unpin(&ordered(10).consumer_name());
                    others.push(running);
                }
            }
            running = next;
        }
        running.settled().await;
        judge(&attempt);
        for key in ["a", "b", "c"] {
            assert!(
                (0..100).all(|n| attempt.times(&format!("{key}-{n}")) > 0),
                "{how}"
            );
        }
        assert_eq!(log.dead_letters().len(), 0, "{how}");
        running.stop().await;
        for other in others {
            other.stop().await;
        }
    }
}

/// A clean end leaves nothing to wait for.
#[tokio::test(start_paused = true)]
async fn the_next_one_goes_on_at_once() {
    let log = Memory::default();
    let attempt = Scripted::new(|event, times| {
        let fails = &*event.id == "c-0" && times == 0;
        let verdict = if fails { retry() } else { Verdict::DELIVERED };
        (duration(&event.id), verdict)
    });
    let config = || Config {
        retry: tidegate_consume::Retry {
            backoff_delay: Duration::from_secs(300),
            backoff_max: Duration::from_secs(300),
            ..config().retry
        },
        ..config()
    };
    let running = start(&log, &attempt, config()).await;
    publish_all(&log, &["a", "b", "c"], 1_000).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(attempt.times("c-0"), 1);
    let next = start(&log, &attempt, config()).await;
    let stopped = Instant::now();
    running.stop().await;
    let made = attempt.made.lock().unwrap().len();
    until_true(|| async { attempt.made.lock().unwrap().len() > made }).await;
    let gap = stopped.elapsed();
    assert!(gap < Duration::from_secs(1), "{gap:?}");
    let consumers = log.consumers().await.unwrap();
    assert!(consumers.iter().any(|one| one.unsettled > 0));
    next.settled().await;
    judge(&attempt);
    next.stop().await;
}

fn stopping() -> Arc<Subscription> {
    let mut stopping = (*ordered(10)).clone();
    if let Some(order) = &mut stopping.delivery.order {
        order.on_dead_letter = OnDeadLetter::Stop;
    }
    Arc::new(stopping)
}

/// A key stops at its dead letter, through every restart and whatever comes meanwhile, and goes on
/// soon after the letter was taken away; nobody else waits for it, and the event is not tried again.
#[tokio::test(start_paused = true)]
async fn a_key_stops_at_a_dead_letter_until_it_is_taken_away() {
    for how in ["stay", "stop", "kill", "lose"] {
        let log = Memory::default();
        let attempt = Scripted::new(|event, _| {
            let verdict = match &*event.id {
                "bad-1" | "bad-3" => Verdict::Rejected {
                    failure: Failure::new("test/no", "no"),
                },
                _ => Verdict::DELIVERED,
            };
            (duration(&event.id), verdict)
        });
        let config = || Config {
            held_max: 16,
            ..config()
        };
        let mut running = Loop::of(&log, &attempt, config(), stopping()).await;
        let mut others = Vec::new();
        publish_all(&log, &["bad", "good"], 40).await;
        until_true(|| async { attempt.times("good-39") == 1 }).await;
        for letter in [1, 2] {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_mins(7)).await;
                let next = match how {
                    "stay" => continue,
                    _ => Loop::of(&log, &attempt, config(), stopping()).await,
                };
                match how {
                    "stop" => running.stop().await,
                    "kill" => running.kill().await,
                    _ => {
                        log.unpin(&stopping().consumer_name());
                        others.push(running);
                    }
                }
                running = next;
            }
            assert_eq!(log.dead_letters().len(), 1, "{how}");
            assert_eq!(
                log.dead_letters()[0].sequence,
                if letter == 1 { 3 } else { 7 }
            );
            let behind = if letter == 1 { "bad-2" } else { "bad-4" };
            assert_eq!(attempt.times(behind), 0, "{how}");
            if how != "stay" {
                // What was taken over is known by now.
                tokio::time::sleep(Duration::from_mins(2)).await;
            }
            log.discard(letter);
            let since = Instant::now();
            until_true(|| async { attempt.times(behind) == 1 }).await;
            let after = since.elapsed();
            assert!(after < Duration::from_secs(6), "{how}: after {after:?}");
        }
        running.settled().await;
        judge(&attempt);
        for number in 0..40 {
            let id = format!("bad-{number}");
            assert_eq!(attempt.times(&id), 1, "{how}: {id}");
        }
        running.stop().await;
        for other in others {
            other.stop().await;
        }
    }
}
