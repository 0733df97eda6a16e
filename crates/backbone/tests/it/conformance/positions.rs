//! Where a consumer stands, and what it got.

use std::time::Duration;

use tidegate_backbone::{ConsumerSpec, Log, Pending, Settle, Start};

use crate::fixture::*;

/// Where it stands, which is the same for who asks for all of them.
async fn position_of(log: &impl Log, name: &str) -> Pending {
    let position = log.consumer(name).await.unwrap().unwrap();
    let all = log.consumers().await.unwrap();
    assert_eq!(all.iter().find(|one| one.name == name), Some(&position));
    position
}

fn numbers<R>(deliveries: &[tidegate_backbone::Delivery<R>]) -> Vec<(u64, u32)> {
    let numbers = deliveries.iter();
    numbers.map(|one| (one.number, one.attempt)).collect()
}

pub(crate) async fn a_consumer_tells_how_far_it_is(fixture: &impl Fixture) {
    let log = fixture.log();
    let mut places = Vec::new();
    for number in 0..5 {
        places.push(append(log, event(&number.to_string())).await.sequence);
    }
    let at = async || {
        let position = position_of(log, "c").await;
        (position.settled, position.delivered, position.deliveries)
    };
    assert_eq!(log.consumer("c").await.unwrap(), None);
    let mut source = log.open(spec("c")).await.unwrap();
    let before = places[0] - 1;
    assert_eq!(at().await, (before, before, 0));
    let pulled = pull(&mut source, 4).await;
    assert_eq!(at().await, (before, places[3], 4));
    // Settled behind one that is not.
    settle_surely(&pulled[1..2], Settle::Ack).await;
    settle_surely(&pulled[3..], Settle::Terminate).await;
    assert_eq!(at().await, (before, places[3], 4));
    settle_surely(&pulled[..1], Settle::Ack).await;
    assert_eq!(at().await, (places[1], places[3], 4));
    let again = Settle::Retry {
        delay: Duration::ZERO,
    };
    settle_surely(&pulled[2..3], again).await;
    let rest = pull(&mut source, 2).await;
    assert_eq!(at().await, (places[1], places[4], 6));
    settle_surely(&rest, Settle::Ack).await;
    assert_eq!(at().await, (places[4], places[4], 6));
    let position = position_of(log, "c").await;
    assert_eq!((position.undelivered, position.unsettled), (0, 0));
    assert_eq!(log.consumer("other").await.unwrap(), None);
    // One that begins later stands where it begins.
    for (name, start, before) in [
        ("late", Start::Sequence(places[3]), places[2]),
        ("new", Start::New, places[4]),
    ] {
        let spec = ConsumerSpec {
            start,
            ..spec(name)
        };
        drop(log.open(spec).await.unwrap());
        let late = position_of(log, name).await;
        let stands = (late.settled_to(), late.delivered, late.deliveries);
        assert_eq!(stands, (before, before, 0), "{name}");
    }
}

/// For who counts them, a delivery that is lost on its way leaves a gap.
pub(crate) async fn each_delivery_is_numbered(fixture: &impl Fixture) {
    let log = fixture.log();
    for number in 0..4 {
        append(log, event(&number.to_string())).await;
    }
    let mut source = log.open(spec("c")).await.unwrap();
    let pulled = pull(&mut source, 3).await;
    assert_eq!(numbers(&pulled), [(1, 1), (2, 1), (3, 1)]);
    for (number, attempt) in [(4, 2), (5, 3)] {
        let again = Settle::Retry {
            delay: Duration::ZERO,
        };
        settle_surely(&pulled[1..2], again).await;
        let again = pull(&mut source, 1).await;
        assert_eq!(again[0].sequence, pulled[1].sequence);
        assert_eq!(numbers(&again), [(number, attempt)]);
    }
    let rest = pull(&mut source, 1).await;
    assert_eq!(numbers(&rest), [(6, 1)]);
    // Another opening goes on, and another consumer has numbers of its own.
    within(tidegate_backbone::Source::close(source)).await;
    append(log, event("4")).await;
    let filters = vec![format!("{ROOT}.>")];
    for (name, count, number) in [("c", 1, 7), ("d", 5, 5)] {
        let filters = filters.clone();
        let spec = ConsumerSpec {
            filters,
            ..spec(name)
        };
        let mut source = log.open(spec).await.unwrap();
        let pulled = pull(&mut source, count).await;
        assert_eq!(numbers(&pulled).last(), Some(&(number, 1)));
    }
}
