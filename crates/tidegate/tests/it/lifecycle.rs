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
