//! A Subscription that changes while events come in: nothing that it wanted is lost.

use std::{collections::HashSet, fs, time::Duration};

use tidegate_testkit::Sink;

use crate::harness::{Progress, Tidegate, publish_all, subscription};

const EVENTS: usize = 15_000;

/// Publishers that are between a request and its answer.
const UNDER_WAY: usize = 64;

/// Whatever was stored before the change and matched the old types arrives; whatever is stored
/// after it and matches the new ones arrives; and no more than what one of them wanted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_type_list_loses_nothing_under_load() {
    let function = Sink::slow(Duration::from_millis(2)).await;
    // An id is one event of a source, so each load has a source of its own.
    let of = |name: &str| {
        subscription(
            "all",
            &format!("/{name}"),
            &format!("{name}.v1"),
            &function.url(),
        )
    };
    let tidegate = Tidegate::up(&of("old"), "").await;
    let (old, new) = (Progress::default(), Progress::default());
    let load = |name: &'static str, progress: &Progress| {
        let (address, progress) = (tidegate.receive, progress.clone());
        tokio::spawn(async move {
            let (source, r#type) = (format!("/{name}"), format!("{name}.v1"));
            publish_all(address, &source, &r#type, EVENTS, progress).await
        })
    };
    let loads = [load("old", &old), load("new", &new)];
    old.reached(EVENTS / 10).await;
    let before = old.acknowledged();
    let file = tidegate.subscriptions().join("subscriptions.yaml");
    fs::write(file, of("new")).unwrap();
    let arrived = async |wanted: &str| -> HashSet<usize> {
        let received = function.received(function.count()).await;
        let of_type = received
            .iter()
            .filter(|one| one.header("ce-type") == Some(wanted));
        let ids = of_type.filter_map(|one| one.header("ce-id"));
        ids.map(|id| id.parse().unwrap()).collect()
    };
    while arrived("new.v1").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let after = new.acknowledged() + UNDER_WAY;
    for load in loads {
        assert_eq!(load.await.unwrap(), 0);
    }
    let waiting = async {
        loop {
            let (old, new) = (arrived("old.v1").await, arrived("new.v1").await);
            if (0..before.saturating_sub(UNDER_WAY)).all(|id| old.contains(&id))
                && (after..EVENTS).all(|id| new.contains(&id))
            {
                return old;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(crate::harness::PATIENCE, waiting).await;
    let old = waited.unwrap_or_else(|_| panic!("{}", tidegate.log()));
    assert!(after < EVENTS, "the change came too late to show anything");
    assert!(
        old.len() < EVENTS,
        "what is not wanted any more is not delivered"
    );
}

/// The different events that these sinks got, and how many there were in all.
async fn arrived(sinks: &[&Sink]) -> (HashSet<usize>, usize) {
    let (mut ids, mut count) = (HashSet::new(), 0);
    for sink in sinks {
        let received = sink.received(sink.count()).await;
        count += received.len();
        let numbers = received
            .iter()
            .filter_map(|one| one.header("ce-id")?.parse().ok());
        ids.extend(numbers.collect::<Vec<usize>>());
    }
    (ids, count)
}

/// Waits until these sinks have so many different events; how many came twice.
async fn complete(sinks: &[&Sink], events: usize, tidegate: &Tidegate) -> usize {
    let waiting = async {
        loop {
            let (ids, count) = arrived(sinks).await;
            if ids.len() >= events {
                return count - ids.len();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(crate::harness::PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("{}", tidegate.log()))
}

fn load(tidegate: &Tidegate, events: usize) -> (Progress, tokio::task::JoinHandle<usize>) {
    let (address, progress) = (tidegate.receive, Progress::default());
    let counted = progress.clone();
    let publish = async move { publish_all(address, "/shop", "order.v1", events, counted).await };
    (progress, tokio::spawn(publish))
}

/// Another sink gets what the first did not: each event arrives at one of them, and what was in an
/// attempt at the change at both at worst.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_sink_loses_nothing_under_load() {
    let (first, second) = (
        Sink::slow(Duration::from_millis(2)).await,
        Sink::slow(Duration::from_millis(2)).await,
    );
    let at = |sink: &Sink| subscription("all", "/shop", "order.v1", &sink.url());
    let tidegate = Tidegate::up(&at(&first), "").await;
    let (progress, publishing) = load(&tidegate, EVENTS);
    progress.reached(EVENTS / 10).await;
    let file = tidegate.subscriptions().join("subscriptions.yaml");
    fs::write(file, at(&second)).unwrap();
    assert_eq!(publishing.await.unwrap(), 0);
    let twice = complete(&[&first, &second], EVENTS, &tidegate).await;
    assert!(second.count() > 0 && first.count() < EVENTS);
    assert!(twice <= 10, "{twice} came twice, the window is 10");
}

/// A document that is deleted by mistake and comes back has lost nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_and_restored_subscription_loses_nothing_under_load() {
    let function = Sink::slow(Duration::from_millis(1)).await;
    let document = subscription("all", "/shop", "order.v1", &function.url());
    let tidegate = Tidegate::up(&document, "").await;
    let (progress, publishing) = load(&tidegate, EVENTS);
    progress.reached(EVENTS / 10).await;
    let file = tidegate.subscriptions().join("subscriptions.yaml");
    fs::remove_file(&file).unwrap();
    tidegate.log_says("subscription removed").await;
    progress.reached(EVENTS / 2).await;
    fs::write(file, document).unwrap();
    assert_eq!(publishing.await.unwrap(), 0);
    let twice = complete(&[&function], EVENTS, &tidegate).await;
    assert!(twice <= 10, "{twice} came twice, the window is 10");
}

/// A Subscription that begins in the past reads what is stored and then what comes, without a gap
/// or an overlap where the two meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_in_the_past_meets_what_comes() {
    let (early, late) = (
        Sink::start(|_| 204_u16).await,
        Sink::start(|_| 204_u16).await,
    );
    let document = subscription("early", "/shop", "order.v1", &early.url());
    let tidegate = Tidegate::up(&document, "").await;
    let (progress, publishing) = load(&tidegate, EVENTS);
    progress.reached(EVENTS * 2 / 3).await;
    let from_the_start = format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\nmetadata: {{ name: late }}\n\
         spec: {{ sink: {{ uri: {} }}, start: all }}\n",
        late.url()
    );
    fs::write(tidegate.subscriptions().join("late.yaml"), from_the_start).unwrap();
    assert_eq!(publishing.await.unwrap(), 0);
    assert_eq!(complete(&[&late], EVENTS, &tidegate).await, 0);
    assert_eq!(complete(&[&early], EVENTS, &tidegate).await, 0);
}
