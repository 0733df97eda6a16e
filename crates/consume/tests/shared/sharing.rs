//! What sharing a consumer promises: who is well costs nothing, and moving costs no event.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tidegate_backbone::{Log as _, Shard, Unreadable, memory::Memory, subject};
use tidegate_consume::shared::{Load, Shape, SharedLog};
use tidegate_subscription::{OnDeadLetter, Order, Subscription};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    fixture::{ROOT, config, publish},
    process::*,
};

// --- Who is well, and who is not ---

/// Those that are well have no consumer of their own at any time, get each event once, and leave
/// nothing unsettled.
#[tokio::test(start_paused = true)]
async fn those_that_are_well_have_one_consumer() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let members = ["one", "other"].map(|name| (of(name), Sink::new()));
    for (member, sink) in &members {
        process.join(member, sink).await;
    }
    for _ in 0..5 * EVENTS_MAX {
        store(&log, 1, QUICK).await;
        assert_eq!(names(&log).await, BTreeSet::from(["shared_1".to_owned()]));
    }
    settled(&log).await;
    assert_eq!(shared(&log).await.settled_to(), u64::from(5 * EVENTS_MAX));
    for (member, sink) in &members {
        sink.has_once(&all(&log), &member.name);
    }
    process.stop().await;
}

/// What one has not settled is no lag of another that shares the consumer with it, and an event is
/// as old as the first that is open.
#[tokio::test(start_paused = true)]
async fn each_is_behind_by_its_own_events() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let (hanging, well) = (of("hanging"), of("well"));
    let sinks = [(); 2].map(|()| Sink::new());
    for (member, sink) in [&hanging, &well].into_iter().zip(&sinks) {
        process.join(member, sink).await;
    }
    store(&log, 3, QUICK).await;
    settled(&log).await;
    sinks[0].hang();
    store(&log, 2, QUICK).await;
    soon("the other has them", || async { sinks[1].has(&all(&log)) }).await;
    let behind = process.log.behind().await.unwrap();
    let of = |subscription: &Subscription| {
        let name = subscription.consumer_name();
        let mut all = behind.consumers.iter();
        let found = all.find(|one| one.consumer == name).unwrap();
        (found.undelivered + found.unsettled, found.settled_to)
    };
    assert_eq!(of(&hanging), (2, 3));
    assert_eq!(of(&well), (0, 5));
    let unread: Vec<_> = behind
        .unread
        .iter()
        .map(|one| (one.shard, one.events))
        .collect();
    assert_eq!(unread, [(0, 0)]);
    process.kill().await;
}

/// A sink that hangs has a consumer of its own before long: nobody waits for it, and it gets what
/// it has missed, once, when it is well. Then it shares again.
#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_keeps_nobody_waiting() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let (hanging, one, other) = (of("hanging"), of("one"), of("other"));
    let sinks = [(); 3].map(|()| Sink::new());
    for (member, sink) in [&hanging, &one, &other].into_iter().zip(&sinks) {
        process.join(member, sink).await;
    }
    let [ill, well @ ..] = &sinks;
    store(&log, 5, QUICK).await;
    settled(&log).await;
    ill.hang();
    let began = Instant::now();
    store(&log, 4 * u64::from(EVENTS_MAX), QUICK).await;
    soon("the others have all of it", || async {
        well.iter().all(|sink| sink.has(&all(&log)))
    })
    .await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(names(&log).await.contains(&hanging.consumer_name()));
    let shape = process.log.shape(&hanging.consumer_name());
    assert!(matches!(shape, Shape::Own(_)), "{shape:?}");
    let last = u64::try_from(log.events().len()).unwrap();
    soon("the shared consumer goes on", || async {
        shared(&log).await.settled_to() == last
    })
    .await;
    sleep(Duration::from_mins(10)).await;
    ill.has_once(&places(1..=5), "hanging");

    ill.recover();
    process.shares(&hanging).await;
    store(&log, 10, QUICK).await;
    settled(&log).await;
    for sink in &sinks {
        sink.has_once(&all(&log), "each");
    }
    process.stop().await;
}

/// Whoever leaves and returns, again and again, while events come: each is delivered once.
#[tokio::test(start_paused = true)]
async fn a_return_loses_and_repeats_nothing() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let (moving, steady) = (of("moving"), of("steady"));
    let sinks = [170, 70].map(|takes| Sink::that_takes(Duration::from_millis(takes)));
    for (member, sink) in [&moving, &steady].into_iter().zip(&sinks) {
        process.join(member, sink).await;
    }
    let own = moving.consumer_name();
    let flow = flow(&log);
    for _ in 0..5 {
        sinks[0].hang();
        soon("it leaves", || async { names(&log).await.contains(&own) }).await;
        sleep(Duration::from_millis(2_030)).await;
        sinks[0].recover();
        process.shares(&moving).await;
        sleep(Duration::from_millis(330)).await;
    }
    flow.abort();
    drop(flow.await);
    settled(&log).await;
    sinks[0].has_once(&all(&log), "moving");
    sinks[1].has_once(&all(&log), "steady");
    process.stop().await;
}

/// An event each 50 ms.
fn flow(log: &Memory) -> JoinHandle<()> {
    let log = log.clone();
    tokio::spawn(async move {
        // Who may return is looked at each second; just then, something would be on its way.
        sleep(Duration::from_millis(13)).await;
        loop {
            store(&log, 1, Duration::from_millis(50)).await;
        }
    })
}

/// Who has an event in an attempt, or one that is to be tried again, keeps its own consumer until
/// that is settled, whatever comes meanwhile.
#[tokio::test(start_paused = true)]
async fn nobody_returns_before_the_last_attempt() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let moving = of("moving");
    let sink = Sink::new();
    process.join(&moving, &sink).await;
    sink.hang();
    store(&log, 2 * u64::from(EVENTS_MAX), QUICK).await;
    let own = moving.consumer_name();
    soon("it leaves", || async { names(&log).await.contains(&own) }).await;
    let last = log.events().len().to_string();
    *sink.hard.lock().unwrap() = Some(last);
    sink.recover();
    let flow = flow(&log);
    sleep(Duration::from_secs(15)).await;
    let stayed = names(&log).await.contains(&own);
    sleep(Duration::from_mins(1)).await;
    flow.abort();
    drop(flow.await);
    process.shares(&moving).await;
    settled(&log).await;
    sink.has_once(&all(&log), "moving");
    assert!(stayed, "it returned too early");
    process.stop().await;
}

// --- Processes that end ---

/// Who takes over from a process that was killed goes on where all was settled, with a consumer of
/// its own: nothing is lost, and nothing comes again but what was in hand.
#[tokio::test(start_paused = true)]
async fn a_process_that_is_killed_loses_nothing() {
    for moment in [0, 1, 17, 40, 333, 1_000] {
        let log = Memory::default();
        let mut process = Process::start(&log, "a");
        let members = ["one", "other"].map(of);
        let sinks = [3, 40].map(|takes| Sink::that_takes(Duration::from_millis(takes)));
        for (member, sink) in members.iter().zip(&sinks) {
            process.join(member, sink).await;
        }
        store(&log, 100, QUICK).await;
        sleep(Duration::from_millis(moment)).await;
        let (before, done) = (shared(&log).await, sinks.each_ref().map(Sink::times));
        process.kill().await;
        store(&log, 20, QUICK).await;

        let mut process = Process::start(&log, "b");
        for (member, sink) in members.iter().zip(&sinks) {
            process.join(member, sink).await;
        }
        store(&log, 20, QUICK).await;
        settled(&log).await;
        assert_eq!(before.name, "shared_1");
        assert_eq!(shared(&log).await.name, "shared_2");
        let in_hand = places(before.settled_to() + 1..=before.delivered);
        assert!(in_hand.len() <= usize::try_from(EVENTS_MAX).unwrap());
        for (sink, done) in sinks.iter().zip(done) {
            assert!(sink.has(&all(&log)), "lost at {moment}");
            for (id, times) in sink.times() {
                let may_be = if in_hand.contains(&id) { 2 } else { 1 };
                let was = done.get(&id).copied().unwrap_or(0);
                assert!(times <= may_be.min(was + 1), "{id} at {moment}");
            }
        }
        process.stop().await;
    }
}

/// Who had a consumer of its own when its process was killed goes on with it.
#[tokio::test(start_paused = true)]
async fn whoever_was_away_stays_so_over_a_kill() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let (away, steady) = (of("away"), of("steady"));
    let sinks = [100, 5].map(|takes| Sink::that_takes(Duration::from_millis(takes)));
    for (member, sink) in [&away, &steady].into_iter().zip(&sinks) {
        process.join(member, sink).await;
    }
    sinks[0].hang();
    store(&log, u64::from(EVENTS_MAX), QUICK).await;
    soon("steady has all of it", || async {
        sinks[1].has(&all(&log))
    })
    .await;
    let own = away.consumer_name();
    assert!(names(&log).await.contains(&own));
    // It gets some of them.
    sinks[0].recover();
    sleep(Duration::from_millis(250)).await;
    sinks[0].hang();
    sleep(Duration::from_secs(1)).await;
    let got = sinks[0].times();
    assert!((10..50).contains(&got.len()), "{got:?}");
    process.kill().await;
    store(&log, 20, QUICK).await;

    let mut process = Process::start(&log, "b");
    process.open(&away, &sinks[0]).await;
    process.join(&steady, &sinks[1]).await;
    sleep(Duration::from_mins(2)).await;
    assert_eq!(
        names(&log).await,
        BTreeSet::from([own, "shared_2".to_owned()])
    );
    assert_eq!(sinks[0].times(), got);
    sinks[0].recover();
    process.shares(&away).await;
    settled(&log).await;
    for sink in &sinks {
        sink.has_once(&all(&log), "each");
    }
    process.stop().await;
}

/// Who follows a process that ended in order goes on with the same consumer, and repeats nothing.
#[tokio::test(start_paused = true)]
async fn a_process_that_stops_leaves_all_in_order() {
    for moment in [0, 1, 17, 40, 333, 5_000] {
        let log = Memory::default();
        let mut process = Process::start(&log, "a");
        let members = ["one", "other"].map(of);
        let sinks = [(); 2].map(|()| Sink::that_takes(Duration::from_millis(150)));
        for (member, sink) in members.iter().zip(&sinks) {
            process.join(member, sink).await;
        }
        store(&log, u64::from(EVENTS_MAX) / 4, Duration::from_millis(1)).await;
        sleep(Duration::from_millis(moment)).await;
        process.stop().await;
        store(&log, 10, QUICK).await;

        let mut process = Process::start(&log, "b");
        for (member, sink) in members.iter().zip(&sinks) {
            process.join(member, sink).await;
        }
        assert_eq!(shared(&log).await.name, "shared_1");
        store(&log, 10, QUICK).await;
        settled(&log).await;
        for sink in &sinks {
            sink.has_once(&all(&log), "each");
        }
        process.stop().await;
    }
}

/// Where one was ahead of the other, the next process repeats to it no more than what was in hand.
#[tokio::test(start_paused = true)]
async fn a_process_that_stops_leaves_no_more_than_it_had_in_hand() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let (ahead, behind) = (of("ahead"), of("behind"));
    let sinks = [Sink::new(), Sink::new()];
    for (member, sink) in [&ahead, &behind].into_iter().zip(&sinks) {
        process.join(member, sink).await;
    }
    store(&log, 100, QUICK).await;
    settled(&log).await;
    sinks[1].hang();
    store(&log, 8, QUICK).await;
    soon("one is ahead", || async { sinks[0].has(&all(&log)) }).await;
    let floor = shared(&log).await.settled_to();
    process.stop().await;
    sinks[1].recover();

    let mut process = Process::start(&log, "b");
    for (member, sink) in [&ahead, &behind].into_iter().zip(&sinks) {
        process.join(member, sink).await;
    }
    settled(&log).await;
    sinks[1].has_once(&all(&log), "behind");
    for (id, times) in sinks[0].times() {
        let most = if id.parse::<u64>().unwrap() > floor {
            2
        } else {
            1
        };
        assert!(
            (1..=most).contains(&times),
            "{id}: {times}, settled to {floor}"
        );
    }
    process.stop().await;
}

/// One process delivers; the loops of another are open, and deliver when the first one is gone.
#[tokio::test(start_paused = true)]
async fn one_process_is_in_charge() {
    let log = Memory::default();
    let members = ["one", "other"].map(of);
    let mut first = Process::start(&log, "a");
    let firsts = [Sink::new(), Sink::new()];
    for (member, sink) in members.iter().zip(&firsts) {
        first.join(member, sink).await;
    }
    let mut second = Process::start(&log, "b");
    let seconds = [Sink::new(), Sink::new()];
    let began = Instant::now();
    for (member, sink) in members.iter().zip(&seconds) {
        second.open(member, sink).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    store(&log, 3 * u64::from(EVENTS_MAX), QUICK).await;
    settled(&log).await;
    sleep(Duration::from_mins(5)).await;
    assert_eq!(names(&log).await, BTreeSet::from(["shared_1".to_owned()]));
    for (member, (sink, idle)) in members.iter().zip(firsts.iter().zip(&seconds)) {
        sink.has_once(&all(&log), "the first");
        assert!(idle.has_nothing());
        let shape = second.log.shape(&member.consumer_name());
        assert_eq!(shape, Shape::Elsewhere);
    }
    let before = shared(&log).await.settled_to();
    first.kill().await;
    store(&log, 3 * u64::from(EVENTS_MAX), QUICK).await;
    for member in &members {
        second.shares(member).await;
    }
    settled(&log).await;
    let last = u64::try_from(log.events().len()).unwrap();
    for sink in &seconds {
        sink.has_once(&places(before + 1..=last), "the second");
    }
    second.stop().await;
}

/// What is removed and made anew is kept from then on, also where it was known a moment ago.
#[tokio::test(start_paused = true)]
async fn what_another_process_opens_anew_is_kept() {
    let log = Memory::default();
    let anew = of("anew");
    let mut first = Process::start(&log, "a");
    first.join(&anew, &Sink::new()).await;
    let mut second = Process::start(&log, "b");
    second.open(&anew, &Sink::new()).await;
    sleep(Duration::from_secs(3)).await;
    second.close(&anew).await;
    first.close(&anew).await;
    first.log.remove(&anew.consumer_name()).await.unwrap();
    let sink = Sink::new();
    second.open(&anew, &sink).await;
    store(&log, 10, QUICK).await;
    first.join(&anew, &sink).await;
    store(&log, 10, QUICK).await;
    settled(&log).await;
    sink.has_once(&all(&log), "anew");
    second.stop().await;
    first.stop().await;
}

/// A process that is not in charge is open with a change when the one in charge has made it, and not
/// before.
#[tokio::test(start_paused = true)]
async fn what_another_process_changes_is_kept() {
    let log = Memory::default();
    let [old, new] = ["old.v1", "new.v1"].map(|one| of_types("changing", &[one]));
    let mut first = Process::start(&log, "a");
    first.join(&old, &Sink::new()).await;
    let mut second = Process::start(&log, "b");
    second.open(&old, &Sink::new()).await;
    sleep(Duration::from_secs(3)).await;
    second.close(&old).await;
    let (sink, began) = (Sink::new(), Instant::now());
    let opening = async {
        second.open(&new, &sink).await;
        let waited = began.elapsed();
        for number in 0..10 {
            store_pair(&log, number).await;
        }
        waited
    };
    let changing = async {
        sleep(Duration::from_secs(5)).await;
        first.close(&old).await;
        first.open(&new, &sink).await;
    };
    let (waited, ()) = tokio::join!(opening, changing);
    assert!(waited >= Duration::from_secs(5), "open after {waited:?}");
    first.shares(&new).await;
    settled(&log).await;
    sink.has_once(&numbered("new", 0..10), "changing");
    second.stop().await;
    first.stop().await;
}

/// What is opened where nobody is in charge keeps its events from then on, whoever delivers them.
#[tokio::test(start_paused = true)]
async fn what_another_process_opens_is_kept() {
    for is_killed in [true, false] {
        let log = Memory::default();
        let (known, new) = (of("known"), of("new"));
        let sinks = [Sink::new(), Sink::new()];
        let mut first = Process::start(&log, "a");
        first.join(&known, &sinks[0]).await;
        let mut second = Process::start(&log, "b");
        second.open(&new, &sinks[1]).await;
        store(&log, u64::from(EVENTS_MAX), QUICK).await;
        if is_killed {
            first.kill().await;
            store(&log, 10, QUICK).await;
            second.open(&known, &sinks[0]).await;
            second.shares(&new).await;
            settled(&log).await;
            second.stop().await;
        } else {
            first.join(&new, &sinks[1]).await;
            settled(&log).await;
            second.stop().await;
            first.stop().await;
        }
        for sink in &sinks {
            sink.has_once(&all(&log), "each");
        }
    }
}

// --- Subscriptions that change ---

/// Stores an event of each type under a number.
async fn store_pair(log: &Memory, number: u64) {
    for r#type in ["old", "new"] {
        publish(log, &format!("{type}-{number}"), &format!("{type}.v1")).await;
    }
    sleep(QUICK).await;
}

fn numbered(r#type: &str, numbers: impl IntoIterator<Item = u64>) -> BTreeSet<String> {
    let numbers = numbers.into_iter();
    numbers.map(|number| format!("{type}-{number}")).collect()
}

/// What was stored before a change belongs to the old wish, what comes after it to the new one,
/// however much waits; then it shares again.
#[tokio::test(start_paused = true)]
async fn a_change_counts_from_its_place() {
    for waiting in [3, 2 * u64::from(EVENTS_MAX)] {
        let log = Memory::default();
        let mut process = Process::start(&log, "a");
        let steady = of_types("steady", &["old.v1", "new.v1"]);
        let [old, new] = ["old.v1", "new.v1"].map(|one| of_types("changing", &[one]));
        let sinks = [Sink::new(), Sink::new()];
        process.join(&steady, &sinks[0]).await;
        process.join(&old, &sinks[1]).await;
        store_pair(&log, 0).await;
        settled(&log).await;
        process.close(&old).await;
        for number in 1..=waiting {
            store_pair(&log, number).await;
        }
        process.open(&new, &sinks[1]).await;
        for number in waiting + 1..=waiting + 20 {
            store_pair(&log, number).await;
        }
        process.shares(&new).await;
        store_pair(&log, waiting + 21).await;
        settled(&log).await;
        let mut wanted = numbered("old", 0..=waiting);
        wanted.extend(numbered("new", waiting + 1..=waiting + 21));
        sinks[1].has_once(&wanted, "changing");
        let mut wanted = numbered("old", 0..=waiting + 21);
        wanted.extend(numbered("new", 0..=waiting + 21));
        sinks[0].has_once(&wanted, "steady");
        process.stop().await;
    }
}

/// Several changes while nothing gets through: each wish counts for its own time.
#[tokio::test(start_paused = true)]
async fn each_of_several_changes_counts_for_its_time() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let steady = of_types("steady", &["old.v1", "new.v1"]);
    let sinks = [Sink::new(), Sink::new()];
    process.join(&steady, &sinks[0]).await;
    sinks[1].hang();
    let mut wanted = BTreeSet::new();
    for (period, r#type) in ["old", "new", "old", "new"].into_iter().enumerate() {
        let changing = of_types("changing", &[&format!("{type}.v1")]);
        if period > 0 {
            process.close(&changing).await;
        }
        process.open(&changing, &sinks[1]).await;
        let first = 20 * u64::try_from(period).unwrap();
        for number in first..first + 20 {
            store_pair(&log, number).await;
        }
        wanted.extend(numbered(r#type, first..first + 20));
    }
    sinks[1].recover();
    process.shares(&of_types("changing", &["new.v1"])).await;
    settled(&log).await;
    sinks[1].has_once(&wanted, "changing");
    process.stop().await;
}

/// A Subscription that is removed gets nothing more and keeps nobody waiting; one of the same name
/// begins anew.
#[tokio::test(start_paused = true)]
async fn a_removed_subscription_leaves_nothing() {
    for is_away in [false, true] {
        let log = Memory::default();
        let mut process = Process::start(&log, "a");
        let (removed, steady) = (of("removed"), of("steady"));
        let own = removed.consumer_name();
        let sinks = [Sink::new(), Sink::new()];
        for (member, sink) in [&removed, &steady].into_iter().zip(&sinks) {
            process.join(member, sink).await;
        }
        store(&log, 5, QUICK).await;
        settled(&log).await;
        process.close(&removed).await;
        store(
            &log,
            if is_away {
                2 * u64::from(EVENTS_MAX)
            } else {
                5
            },
            QUICK,
        )
        .await;
        soon("it has what it will have", || async {
            sinks[1].has(&all(&log)) && names(&log).await.contains(&own) == is_away
        })
        .await;
        process.log.remove(&own).await.unwrap();
        assert!(!registered(&log).await.contains_key(&own));
        assert!(!names(&log).await.contains(&own));
        settled(&log).await;
        store(&log, 2 * u64::from(EVENTS_MAX), QUICK).await;
        sleep(Duration::from_mins(2)).await;
        assert_eq!(names(&log).await, BTreeSet::from(["shared_1".to_owned()]));
        settled(&log).await;
        let last = u64::try_from(log.events().len()).unwrap();
        let anew = Sink::new();
        process.join(&removed, &anew).await;
        store(&log, 5, QUICK).await;
        settled(&log).await;
        sinks[0].has_once(&places(1..=5), "removed");
        sinks[1].has_once(&all(&log), "steady");
        anew.has_once(&places(last + 1..=last + 5), "anew");
        process.stop().await;
    }
}

fn ordered(name: &str) -> Arc<Subscription> {
    with(name, |one| {
        one.delivery.order = Some(Order {
            key: "subject".to_owned(),
            on_dead_letter: OnDeadLetter::Continue,
        });
    })
}

/// What is in order has a consumer of its own, always.
#[tokio::test(start_paused = true)]
async fn what_is_ordered_does_not_share() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let (strict, steady) = (ordered("strict"), of("steady"));
    let sinks = [Sink::new(), Sink::new()];
    process.join(&steady, &sinks[0]).await;
    process.open(&strict, &sinks[1]).await;
    store(&log, 2 * u64::from(EVENTS_MAX), QUICK).await;
    settled(&log).await;
    sleep(Duration::from_mins(2)).await;
    let own = strict.consumer_name();
    assert!(!registered(&log).await.contains_key(&own));
    assert_eq!(
        names(&log).await,
        BTreeSet::from([own, "shared_1".to_owned()])
    );
    for sink in &sinks {
        sink.has_once(&all(&log), "each");
    }
    process.stop().await;
}

/// To order and back, with events waiting each time: nothing is lost, nothing comes twice.
#[tokio::test(start_paused = true)]
async fn a_subscription_becomes_ordered_and_back() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let (strict, loose, steady) = (ordered("it"), of("it"), of("steady"));
    let own = strict.consumer_name();
    let sinks = [Sink::new(), Sink::new()];
    process.join(&steady, &sinks[0]).await;
    process.join(&loose, &sinks[1]).await;
    for _ in 0..3 {
        store(&log, 10, QUICK).await;
        process.close(&loose).await;
        store(&log, 10, QUICK).await;
        process.open(&strict, &sinks[1]).await;
        store(&log, 10, QUICK).await;
        soon("it is no member", || async {
            !registered(&log).await.contains_key(&own) && names(&log).await.contains(&own)
        })
        .await;
        process.close(&strict).await;
        store(&log, 10, QUICK).await;
        process.join(&loose, &sinks[1]).await;
    }
    settled(&log).await;
    for sink in &sinks {
        sink.has_once(&all(&log), "each");
    }
    process.stop().await;
}

/// A loop that ends hands back what waits and what it could not finish; the next one goes on.
#[tokio::test(start_paused = true)]
async fn a_loop_that_starts_anew_goes_on() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let (anew, steady) = (of("anew"), of("steady"));
    let sinks = [Sink::new(), Sink::new()];
    for (member, sink) in [&anew, &steady].into_iter().zip(&sinks) {
        process.join(member, sink).await;
    }
    for _ in 0..3 {
        sinks[0].hang();
        store(&log, u64::from(EVENTS_MAX) / 5, QUICK).await;
        process.close(&anew).await;
        assert_eq!(names(&log).await, BTreeSet::from(["shared_1".to_owned()]));
        sinks[0].recover();
        process.join(&anew, &sinks[0]).await;
        settled(&log).await;
        for sink in &sinks {
            sink.has_once(&all(&log), "each");
        }
    }
    process.stop().await;
}

/// While it is paused its events are kept and nobody waits for it, however many there are.
#[tokio::test(start_paused = true)]
async fn a_paused_subscription_keeps_its_events() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let paused = with("paused", |one| one.pause = true);
    let (unpaused, steady) = (of("paused"), of("steady"));
    let sinks = [Sink::new(), Sink::new()];
    process.join(&steady, &sinks[0]).await;
    process.open(&paused, &sinks[1]).await;
    for round in 1..=2 {
        let began = Instant::now();
        store(&log, 3 * u64::from(EVENTS_MAX), QUICK).await;
        soon("steady has all of it", || async {
            sinks[0].has(&all(&log))
        })
        .await;
        assert!(began.elapsed() < Duration::from_secs(5), "{round}");
        sleep(Duration::from_mins(10)).await;
        let got = sinks[1].times().len();
        assert_eq!(got, (round - 1) * 3 * usize::try_from(EVENTS_MAX).unwrap());
        process.close(&paused).await;
        process.join(&unpaused, &sinks[1]).await;
        settled(&log).await;
        for sink in &sinks {
            sink.has_once(&all(&log), "each");
        }
        process.close(&unpaused).await;
        process.open(&paused, &sinks[1]).await;
    }
    process.stop().await;
}

/// What is no event is a dead letter of those that read its subject, and of nobody else.
#[tokio::test(start_paused = true)]
async fn what_is_no_event_goes_to_those_that_read_its_subject() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let members = [
        of_types("a", &["a.v1"]),
        of_types("b", &["b.v1"]),
        of_types("both", &["a.v1", "b.v1"]),
    ];
    let sinks = [Sink::new(), Sink::new(), Sink::new()];
    for (member, sink) in members.iter().zip(&sinks) {
        process.join(member, sink).await;
    }
    for r#type in ["a.v1", "b.v1", "c.v1"] {
        let unreadable = Unreadable {
            reason: "no event".to_owned(),
            headers: Vec::new(),
            payload: Bytes::from_static(b"{"),
        };
        let subject = subject::of(ROOT, "/s", r#type).unwrap();
        log.append_unreadable(&subject, unreadable).unwrap();
    }
    publish(&log, "4", "b.v1").await;
    settled(&log).await;
    let letters = log.dead_letters();
    let mut letters: Vec<_> = letters
        .iter()
        .map(|one| (&*one.subscription, one.sequence, one.reason))
        .collect();
    letters.sort_unstable();
    let no_event = |name, place| (name, place, "consume/unreadable");
    assert_eq!(
        letters,
        [
            no_event("a", 1),
            no_event("b", 2),
            no_event("both", 1),
            no_event("both", 2)
        ]
    );
    for (sink, wanted) in sinks.iter().zip([None, Some(4), Some(4)]) {
        sink.has_once(&places(wanted), "each");
    }
    assert_eq!(names(&log).await, BTreeSet::from(["shared_1".to_owned()]));
    process.stop().await;
}

// --- Not sharing any more ---

/// A loop where nobody shares anything.
async fn alone(log: &Memory, subscription: &Arc<Subscription>, sink: &Sink) -> Running {
    let log = SharedLog::new(Distant(log.clone()), []);
    running(&log, &config(), subscription, sink).await
}

/// Sharing ends: each has a consumer of its own with exactly what it has not settled.
#[tokio::test(start_paused = true)]
async fn dissolving_gives_each_its_own() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let members = ["away", "well", "paused"].map(of);
    let sinks = [(); 3].map(|()| Sink::new());
    for (member, sink) in members.iter().zip(&sinks) {
        process.join(member, sink).await;
    }
    store(&log, 30, QUICK).await;
    settled(&log).await;
    sinks[0].hang();
    process.close(&members[2]).await;
    store(&log, 3 * u64::from(EVENTS_MAX), QUICK).await;
    soon("who is well has all of it", || async {
        sinks[1].has(&all(&log)) && shared(&log).await.unsettled == 0
    })
    .await;
    let hub = hub(&log, Shard::WHOLE, &Load::default());
    hub.dissolve("b").await.unwrap_err();
    assert!(names(&log).await.contains("shared_1"));
    process.stop().await;
    store(&log, 20, QUICK).await;
    sinks[0].recover();

    hub.dissolve("b").await.unwrap();
    assert_eq!(registered(&log).await, BTreeMap::new());
    let own = members.each_ref().map(|member| member.consumer_name());
    assert_eq!(names(&log).await, BTreeSet::from(own.clone()));
    let stored = log.events().len();
    for (name, sink) in own.iter().zip(&sinks) {
        let left = log.consumer(name).await.unwrap().unwrap();
        let left = usize::try_from(left.undelivered + left.unsettled).unwrap();
        assert_eq!(left, stored - sink.times().len(), "{name}");
    }
    // Once more does nothing.
    hub.dissolve("b").await.unwrap();
    let mut loops = Vec::new();
    for (member, sink) in members.iter().zip(&sinks) {
        loops.push(alone(&log, member, sink).await);
    }
    store(&log, 10, QUICK).await;
    settled(&log).await;
    for (member, sink) in members.iter().zip(&sinks) {
        sink.has_once(&all(&log), &member.name);
    }
    for running in loops {
        running.end().await;
    }
}

// --- All together ---

/// What may happen to sinks, loops and processes, in any order.
struct Happening {
    log: Memory,
    rng: fastrand::Rng,
    members: Vec<(Arc<Subscription>, Sink)>,
    closed: BTreeSet<usize>,
    process: Process,
    processes: usize,
}

impl Happening {
    async fn begin(seed: u64) -> Self {
        let log = Memory::default();
        let of = |(name, takes)| (of(name), Sink::that_takes(Duration::from_millis(takes)));
        let members = [("a", 1), ("b", 30), ("c", 110)].map(of).into();
        let mut begun = Self {
            rng: fastrand::Rng::with_seed(seed),
            members,
            closed: BTreeSet::new(),
            process: Process::start(&log, "0"),
            processes: 1,
            log,
        };
        begun.open_all().await;
        begun
    }

    async fn open_all(&mut self) {
        for (member, sink) in &self.members {
            self.process.open(member, sink).await;
        }
        self.closed.clear();
    }

    async fn store(&mut self) {
        let (count, apart) = (self.rng.u64(1..50), self.rng.u64(..30));
        store(&self.log, count, Duration::from_millis(apart)).await;
    }

    async fn pause(&mut self, most: u64) {
        sleep(Duration::from_millis(self.rng.u64(..most))).await;
    }

    async fn step(&mut self) {
        let which = self.rng.usize(..self.members.len());
        let (member, sink) = self.members[which].clone();
        match self.rng.u8(..13) {
            0..=3 => self.store().await,
            4 | 5 => sink.hang(),
            6 | 7 => sink.recover(),
            8 => self.pause(5_000).await,
            9 if self.closed.insert(which) => self.process.close(&member).await,
            10 | 11 if self.closed.remove(&which) => self.process.open(&member, &sink).await,
            _ => self.pause(300).await,
        }
    }

    /// Another process takes over.
    async fn hand_over(mut self, is_killed: bool) -> Self {
        match is_killed {
            true => self.process.kill().await,
            false => self.process.stop().await,
        }
        let names = ["0", "1", "2", "3", "4", "5"];
        self.process = Process::start(&self.log, names[self.processes % names.len()]);
        self.processes += 1;
        if self.rng.bool() {
            store(&self.log, 10, QUICK).await;
        }
        self.open_all().await;
        self
    }

    /// In the end all are well.
    async fn end(mut self) -> (Memory, Vec<(Arc<Subscription>, Sink)>) {
        for which in std::mem::take(&mut self.closed) {
            let (member, sink) = &self.members[which];
            self.process.open(member, sink).await;
        }
        for (_, sink) in &self.members {
            sink.recover();
        }
        for (member, _) in &self.members {
            self.process.shares(member).await;
        }
        store(&self.log, 5, QUICK).await;
        settled(&self.log).await;
        assert_eq!(names(&self.log).await.len(), 1);
        self.process.stop().await;
        (self.log, self.members)
    }
}

/// Sinks come and go, loops end and start anew: each event is delivered once.
#[tokio::test(start_paused = true)]
async fn whatever_happens_all_is_delivered_once() {
    for seed in 0..4 {
        let mut happening = Happening::begin(seed).await;
        let flow = (seed % 2 == 0).then(|| flow(&happening.log));
        for _ in 0..40 {
            happening.step().await;
        }
        if let Some(flow) = flow {
            flow.abort();
            drop(flow.await);
        }
        let (log, members) = happening.end().await;
        for (member, sink) in members {
            sink.has_once(&all(&log), &format!("{} with seed {seed}", member.name));
        }
    }
}

/// The same while processes end, in order or without a word: nothing is lost.
#[tokio::test(start_paused = true)]
async fn whatever_happens_nothing_is_lost() {
    for seed in 0..4 {
        let mut happening = Happening::begin(seed).await;
        for _ in 0..6 {
            for _ in 0..8 {
                happening.step().await;
            }
            let is_killed = happening.rng.bool();
            happening = happening.hand_over(is_killed).await;
        }
        let (log, members) = happening.end().await;
        for (member, sink) in members {
            assert!(sink.has(&all(&log)), "{} with seed {seed}", member.name);
        }
    }
}

/// What a member has left is its own events, not those of all who share: also what nobody has read
/// yet.
#[tokio::test(start_paused = true)]
async fn what_is_left_is_counted_for_each() {
    let log = Memory::default();
    let mut process = Process::start(&log, "a");
    let (one, other) = (of_types("one", &["a.v1"]), of_types("other", &["b.v1"]));
    let sinks = [Sink::new(), Sink::new()];
    process.join(&one, &sinks[0]).await;
    process.join(&other, &sinks[1]).await;
    sinks[0].hang();
    let store = async |types: &[(&str, u64)]| {
        for (r#type, count) in types {
            for number in 0..*count {
                publish(&log, &format!("{type}-{number}"), r#type).await;
            }
        }
        sleep(Duration::from_secs(1)).await;
    };
    let left = async |process: &Process| {
        let consumers = process.log.consumers().await.unwrap().into_iter();
        let left = consumers.map(|one| (one.name, (one.undelivered, one.unsettled)));
        let left: BTreeMap<_, _> = left.collect();
        [&one, &other].map(|one| left[&one.consumer_name()])
    };
    store(&[("a.v1", 12), ("b.v1", 5)]).await;
    assert_eq!(left(&process).await, [(0, 12), (0, 0)]);
    let reader = process.readers.pop().unwrap();
    reader.task.abort();
    store(&[("a.v1", 3), ("b.v1", 4), ("c.v1", 8)]).await;
    assert_eq!(left(&process).await, [(3, 12), (4, 0)], "nobody reads");
}
