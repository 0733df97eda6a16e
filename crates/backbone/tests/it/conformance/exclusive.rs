//! A consumer whose events one opening gets.

use std::time::Duration;

use tidegate_backbone::{ConsumerSpec, Log as _, Receipt as _, Settle, Source as _, SourceError};

use crate::fixture::*;

const AT_ONCE: Settle = Settle::Retry {
    delay: Duration::ZERO,
};

fn exclusive(name: &str) -> ConsumerSpec {
    ConsumerSpec {
        exclusive: true,
        ..spec(name)
    }
}

pub(crate) async fn all_events_go_to_one_opening(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..4 {
        append(log, event(&number.to_string())).await;
    }
    let mut first = log.open(exclusive("c")).await.unwrap();
    let pulled = pull(&mut first, 2).await;
    assert_eq!(ids(&pulled), ["0", "1"]);
    assert_eq!(first.unsettled().await.unwrap(), 2);
    let mut second = log.open(exclusive("c")).await.unwrap();
    pull_nothing(&mut second, Duration::from_millis(200)).await;
    assert_eq!(ids(&pull(&mut first, 2).await), ["2", "3"]);
    settle_surely(&pulled[..1], Settle::Ack).await;
    settle_surely(&pulled[1..], AT_ONCE).await;
    assert_eq!(ids(&pull(&mut first, 1).await), ["1"]);
    assert_eq!(first.unsettled().await.unwrap(), 3);
    // It is handed over at once, long before anything is missed.
    pulled[1].receipt.settle(AT_ONCE).await.unwrap();
    first.close().await;
    let (rest, ()) = tokio::join!(pull(&mut second, 2), async {
        append(log, event("4")).await;
    });
    assert_eq!(ids(&rest), ["1", "4"]);
}

pub(crate) async fn who_loses_it_is_told(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("0")).await;
    let mut first = log.open(exclusive("c")).await.unwrap();
    assert_eq!(ids(&pull(&mut first, 1).await), ["0"]);
    let mut second = log.open(exclusive("c")).await.unwrap();
    pull_nothing(&mut second, Duration::from_millis(200)).await;
    fixture.unpin("c").await;
    let (taken, ()) = tokio::join!(pull(&mut second, 1), async {
        append(log, event("1")).await;
    });
    assert_eq!(ids(&taken), ["1"]);
    let lost = within(first.pull(1)).await.expect_err("it is lost");
    assert!(matches!(lost, SourceError::Lost { .. }), "{lost:?}");
    // It waits like any other, and has its turn again.
    pull_nothing(&mut first, Duration::from_millis(200)).await;
    second.close().await;
    let (taken, ()) = tokio::join!(pull(&mut first, 1), async {
        append(log, event("2")).await;
    });
    assert_eq!(ids(&taken), ["2"]);
}

/// For a log whose silent openings lose the consumer after a few seconds.
pub(crate) async fn who_has_no_room_keeps_it(fixture: &impl Fixture) {
    let log = fixture.log();
    let spec = ConsumerSpec {
        ack_wait: Duration::from_secs(3),
        ..exclusive("c")
    };
    for number in 0..2 {
        append(log, event(&number.to_string())).await;
    }
    let mut first = log.open(spec.clone()).await.unwrap();
    let pulled = pull(&mut first, 2).await;
    let mut second = log.open(spec).await.unwrap();
    // Longer than a silent one has it.
    let silent = tokio::time::sleep(Duration::from_secs(5));
    tokio::pin!(silent);
    loop {
        let until = tokio::time::sleep(Duration::from_secs(1));
        tokio::select! {
            () = &mut silent => break,
            pulled = first.pull(0) => panic!("{pulled:?}"),
            pulled = second.pull(1) => panic!("{pulled:?}"),
            () = until => settle(&pulled, Settle::Progress).await,
        }
    }
    let (more, _) = tokio::join!(pull(&mut first, 1), append(log, event("2")));
    assert_eq!(ids(&more), ["2"]);
}

pub(crate) async fn a_consumer_becomes_exclusive_and_back(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..3 {
        append(log, event(&number.to_string())).await;
    }
    for (number, spec) in [spec("c"), exclusive("c"), spec("c")]
        .into_iter()
        .enumerate()
    {
        let mut source = log.open(spec).await.unwrap();
        let pulled = pull(&mut source, 1).await;
        assert_eq!(ids(&pulled), [number.to_string()]);
        settle(&pulled, Settle::Ack).await;
        source.close().await;
    }
}
