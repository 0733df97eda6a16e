//! Consumers that are far behind, with few events in an old part of the log.

use std::iter::repeat_n;

use futures_util::future::join_all;
use tidegate_backbone::{
    ConsumerSpec, Log as _, Settle,
    jetstream::{JetstreamReceipt, JetstreamSource},
    subject,
};

use crate::fixture::*;

const TYPES: [&str; 3] = ["few-a", "few-b", "few-c"];

/// Of each type, among so many others: far enough that turns are taken.
const ROUNDS: usize = 60;
const OTHERS: usize = 200;

async fn take(source: &mut JetstreamSource, count: usize) -> Vec<String> {
    let pulled = pull::<JetstreamSource>(source, count).await;
    settle_surely::<JetstreamReceipt>(&pulled, Settle::Ack).await;
    ids(&pulled)
}

/// Whoever takes turns gets each of its events, in order, ordered or not, and what comes afterwards
/// as ever; also where one of them that waits is gone.
#[tokio::test]
async fn who_takes_turns_gets_everything() {
    let fixture = JetstreamFixture::new().await;
    let log = fixture.log().clone();
    let open = |r#type: &'static str, exclusive| {
        let spec = ConsumerSpec {
            filters: vec![subject::any_source(ROOT, r#type).unwrap()],
            exclusive,
            ..spec(r#type)
        };
        let log = log.clone();
        async move { log.open(spec).await.unwrap() }
    };
    let mut sources = Vec::new();
    for (r#type, exclusive) in TYPES.into_iter().zip([false, true, false]) {
        sources.push(open(r#type, exclusive).await);
        append(&log, event_of("first", "source", r#type)).await;
    }
    let (mut newest, mut gone) = (open("last", false).await, open("gone", false).await);
    append(&log, event_of("first", "source", "gone")).await;
    for source in sources.iter_mut().chain([&mut gone]) {
        assert_eq!(take(source, 1).await, ["first"]);
    }
    for round in 0..ROUNDS {
        let types = repeat_n("other", OTHERS).chain(TYPES);
        let events = types.map(|r#type| event_of(&round.to_string(), "source", r#type));
        let appends: Vec<_> = events.map(append_of).collect();
        let stored = log.append_all(&appends).await;
        assert!(stored.iter().all(Result::is_ok));
    }
    append(&log, event_of("last", "source", "last")).await;
    assert_eq!(take(&mut newest, 1).await, ["last"]);
    pull_nothing(&mut gone, std::time::Duration::from_millis(1)).await;
    drop(gone);
    let expected: Vec<String> = (0..ROUNDS).map(|round| round.to_string()).collect();
    let taken = sources.iter_mut().map(|source| take(source, ROUNDS));
    for taken in within(join_all(taken)).await {
        assert_eq!(taken, expected);
    }
    for (source, r#type) in sources.iter_mut().zip(TYPES) {
        append(&log, event_of("new", "source", r#type)).await;
        assert_eq!(take(source, 1).await, ["new"]);
    }
}
