//! What is under way, and what becomes of it.

use std::{collections::BTreeSet, time::Duration};

use tidegate_backbone::{ConsumerSpec, Log as _, Receipt as _, Settle, Source as _};
use tokio::time::Instant;

use crate::fixture::*;

/// Short enough for a test, long enough for a loaded machine to settle within it.
const ACK_WAIT: Duration = Duration::from_millis(500);

pub(crate) async fn a_retry_comes_after_its_delay_and_counts(fixture: &impl Fixture) {
    let log = fixture.log();
    let stored = append(log, event("1")).await;
    let mut source = log.open(spec("c")).await.unwrap();
    let first = pull(&mut source, 1).await;
    assert_eq!((first[0].sequence, first[0].attempt), (stored.sequence, 1));
    let delay = Duration::from_millis(400);
    let began = Instant::now();
    settle(&first, Settle::Retry { delay }).await;
    let second = pull(&mut source, 1).await;
    assert!(began.elapsed() >= delay, "{:?}", began.elapsed());
    assert_eq!(
        (second[0].sequence, second[0].attempt),
        (stored.sequence, 2)
    );
    settle(
        &second,
        Settle::Retry {
            delay: Duration::ZERO,
        },
    )
    .await;
    let third = pull(&mut source, 1).await;
    assert_eq!(third[0].attempt, 3);
    assert_eq!(third[0].stored_at, first[0].stored_at);
    settle(&third, Settle::Ack).await;
    pull_nothing(&mut source, Duration::from_millis(100)).await;
}

pub(crate) async fn a_waiting_retry_holds_up_no_other_event(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..20 {
        append(log, event(&number.to_string())).await;
    }
    let mut source = log.open(spec("c")).await.unwrap();
    let first = pull(&mut source, 10).await;
    settle_surely(&first, Settle::Retry { delay: PATIENCE }).await;
    let rest = pull(&mut source, 10).await;
    assert_eq!(id(&rest[0]), "10");
    let consumers = log.consumers().await.unwrap();
    assert_eq!((consumers[0].undelivered, consumers[0].unsettled), (0, 20));
}

pub(crate) async fn what_is_unsettled_comes_again(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("1")).await;
    let mut source = log
        .open(ConsumerSpec {
            ack_wait: ACK_WAIT,
            ..spec("c")
        })
        .await
        .unwrap();
    let began = Instant::now();
    pull(&mut source, 1).await;
    let again = pull(&mut source, 1).await;
    assert!(began.elapsed() >= ACK_WAIT, "{:?}", began.elapsed());
    assert_eq!(again[0].attempt, 2);
}

pub(crate) async fn progress_keeps_it_from_coming_again(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("1")).await;
    let ack_wait = 3 * ACK_WAIT;
    let mut source = log
        .open(ConsumerSpec {
            ack_wait,
            ..spec("c")
        })
        .await
        .unwrap();
    let pulled = pull(&mut source, 1).await;
    let began = Instant::now();
    while began.elapsed() < 3 * ack_wait {
        settle(&pulled, Settle::Progress).await;
        pull_nothing(&mut source, ack_wait / 5).await;
    }
    settle(&pulled, Settle::Ack).await;
    pull_nothing(&mut source, ack_wait + ACK_WAIT).await;
}

pub(crate) async fn what_is_terminated_never_comes_again(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("1")).await;
    let mut source = log
        .open(ConsumerSpec {
            ack_wait: ACK_WAIT,
            ..spec("c")
        })
        .await
        .unwrap();
    let pulled = pull(&mut source, 1).await;
    settle_surely(&pulled, Settle::Terminate).await;
    pull_nothing(&mut source, 2 * ACK_WAIT).await;
    assert_eq!(log.consumers().await.unwrap()[0].unsettled, 0);
}

pub(crate) async fn closing_hands_back_what_was_not_returned(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..50 {
        append(log, event(&number.to_string())).await;
    }
    let mut source = log.open(spec("c")).await.unwrap();
    let pulled = within(source.pull(50)).await.unwrap();
    source.close().await;
    // The ack wait is longer than patience: only what was handed back can come.
    let mut other = log.open(spec("c")).await.unwrap();
    let rest = pull(&mut other, 50 - pulled.len()).await;
    let all: BTreeSet<String> = ids(&pulled).into_iter().chain(ids(&rest)).collect();
    assert_eq!(all.len(), 50);
}

pub(crate) async fn unsettled_events_are_bounded(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..6 {
        append(log, event(&number.to_string())).await;
    }
    let mut source = log
        .open(ConsumerSpec {
            unsettled_max: 4,
            ..spec("c")
        })
        .await
        .unwrap();
    let pulled = pull(&mut source, 4).await;
    settle(&pulled[..2], Settle::Retry { delay: PATIENCE }).await;
    pull_nothing(&mut source, Duration::from_millis(200)).await;
    settle(&pulled[2..], Settle::Ack).await;
    assert_eq!(ids(&pull(&mut source, 2).await), ["4", "5"]);
}

pub(crate) async fn settling_twice_is_harmless(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("1")).await;
    let mut source = log.open(spec("c")).await.unwrap();
    let pulled = pull(&mut source, 1).await;
    settle(&pulled, Settle::Ack).await;
    for settle in [
        Settle::Ack,
        Settle::Progress,
        Settle::Terminate,
        Settle::Retry {
            delay: Duration::ZERO,
        },
    ] {
        pulled[0].receipt.settle(settle).await.unwrap();
    }
    pull_nothing(&mut source, Duration::from_millis(100)).await;
}

pub(crate) async fn two_sources_share_one_consumer(fixture: &impl Fixture) {
    const COUNT: usize = 100;
    let log = fixture.log();
    let mut sources = [
        log.open(spec("c")).await.unwrap(),
        log.open(spec("c")).await.unwrap(),
    ];
    for number in 0..COUNT {
        append(log, event(&number.to_string())).await;
    }
    let mut all = Vec::new();
    within(async {
        while all.len() < COUNT {
            for source in &mut sources {
                let short = Duration::from_millis(100);
                if let Ok(pulled) = tokio::time::timeout(short, source.pull(10)).await {
                    let pulled = pulled.unwrap();
                    settle(&pulled, Settle::Ack).await;
                    all.extend(ids(&pulled));
                }
            }
        }
    })
    .await;
    assert_eq!(all.len(), COUNT);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), COUNT);
}

pub(crate) async fn a_dropped_pull_loses_nothing(fixture: &impl Fixture) {
    const COUNT: usize = 200;
    let log = fixture.log();
    let mut source = log.open(spec("c")).await.unwrap();
    let appending = async {
        for number in 0..COUNT {
            append(log, event(&number.to_string())).await;
        }
    };
    let pulling = async {
        let mut all = BTreeSet::new();
        while all.len() < COUNT {
            let soon = Duration::from_micros(300);
            if let Ok(pulled) = tokio::time::timeout(soon, source.pull(7)).await {
                let pulled = pulled.unwrap();
                settle(&pulled, Settle::Ack).await;
                all.extend(ids(&pulled));
            }
        }
    };
    within(async { tokio::join!(appending, pulling) }).await;
}

pub(crate) async fn never_more_is_under_way_than_there_is_room_for(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..10 {
        append(log, event(&number.to_string())).await;
    }
    let mut source = log.open(spec("c")).await.unwrap();
    let pulled = pull(&mut source, 3).await;
    assert_eq!(ids(&pulled), ["0", "1", "2"]);
    assert_eq!(log.consumers().await.unwrap()[0].unsettled, 3);
    settle(&pulled, Settle::Ack).await;
    let rest = pull(&mut source, 7).await;
    assert_eq!(rest.iter().map(|got| got.attempt).max(), Some(1));
    assert_eq!(ids(&rest), ["3", "4", "5", "6", "7", "8", "9"]);
}

pub(crate) async fn a_sure_settlement_is_done(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..3 {
        append(log, event(&number.to_string())).await;
    }
    let mut source = log.open(spec("c")).await.unwrap();
    let pulled = pull(&mut source, 3).await;
    for (pulled, left) in pulled.iter().zip([2, 1, 0]) {
        // The second time it is settled already.
        for settle in [Settle::Ack, Settle::Terminate] {
            within(pulled.receipt.settle_surely(settle)).await.unwrap();
            assert_eq!(source.unsettled().await.unwrap(), left);
        }
    }
    log.remove("c").await.unwrap();
    within(pulled[0].receipt.settle_surely(Settle::Ack))
        .await
        .unwrap();
}

pub(crate) async fn an_earlier_receipt_settles_it_too(fixture: &impl Fixture) {
    let log = fixture.log();
    append(log, event("1")).await;
    let spec = ConsumerSpec {
        ack_wait: ACK_WAIT,
        ..spec("c")
    };
    let mut source = log.open(spec).await.unwrap();
    let first = pull(&mut source, 1).await;
    let second = pull(&mut source, 1).await;
    assert_eq!(
        (second[0].sequence, second[0].attempt),
        (first[0].sequence, 2)
    );
    settle(&first, Settle::Ack).await;
    pull_nothing(&mut source, ACK_WAIT * 3).await;
}

pub(crate) async fn without_room_nothing_is_asked_for(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..4 {
        append(log, event(&number.to_string())).await;
    }
    let mut source = log.open(spec("c")).await.unwrap();
    assert_eq!(ids(&pull(&mut source, 2).await), ["0", "1"]);
    let nothing = tokio::time::timeout(Duration::from_millis(100), source.pull(0)).await;
    assert!(nothing.is_err(), "{nothing:?}");
    let consumers = log.consumers().await.unwrap();
    assert_eq!((consumers[0].undelivered, consumers[0].unsettled), (2, 2));
    assert_eq!(ids(&pull(&mut source, 2).await), ["2", "3"]);
}
