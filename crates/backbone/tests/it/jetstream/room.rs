//! Room in the stream of the events: what may go goes, what is still needed stays.

use async_nats::jetstream;
use bytes::Bytes;
use bytesize::ByteSize;
use tidegate_backbone::{AppendError, Config, ConsumerSpec, Events, Log as _, Settle, subject};

use crate::fixture::*;

/// About 1.1 KiB each; the stream takes about 230.
const SIZE_MAX: ByteSize = ByteSize::kib(256);

async fn small() -> JetstreamFixture {
    let events = Events {
        size_max: SIZE_MAX,
        ..Events::default()
    };
    JetstreamFixture::with(Config {
        events,
        ..Config::default()
    })
    .await
}

/// Appends until it is full, and says how many.
async fn fill(fixture: &JetstreamFixture) -> usize {
    for count in 0..1_000 {
        let mut event = event(&count.to_string());
        event.data = Some(Bytes::from(vec![b'x'; 1_000]));
        match fixture.log().append(&append_of(event)).await {
            Ok(_) => {}
            Err(AppendError::Full { .. }) => return count,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it never gets full");
}

async fn held(fixture: &JetstreamFixture) -> (u64, u64) {
    let context = jetstream::new(fixture.client().await);
    let state = context
        .get_stream("TIDEGATE_EVENTS")
        .await
        .unwrap()
        .cached_info()
        .state
        .clone();
    (state.first_sequence, state.last_sequence)
}

/// Waits until settlements, which are sent and not confirmed, have arrived.
async fn until_unsettled(fixture: &JetstreamFixture, name: &str, count: u64) {
    within(async {
        loop {
            let consumers = fixture.log().consumers().await.unwrap();
            let consumer = consumers
                .iter()
                .find(|consumer| consumer.name == name)
                .unwrap();
            if consumer.unsettled == count {
                return;
            }
        }
    })
    .await;
}

/// Settled events make room, unsettled ones never: nothing accepted is evicted undelivered.
#[tokio::test]
async fn nothing_unsettled_is_purged() {
    let fixture = small().await;
    let log = fixture.log();
    let mut fast = log.open(spec("fast")).await.unwrap();
    let mut slow = log.open(spec("slow")).await.unwrap();
    let count = fill(&fixture).await;
    settle(&pull(&mut fast, count).await, Settle::Ack).await;
    until_unsettled(&fixture, "fast", 0).await;
    let nothing = log.reclaim().await.unwrap();
    assert_eq!(
        (nothing.events, nothing.held_by.as_deref()),
        (0, Some("slow"))
    );
    assert_eq!(held(&fixture).await.0, 1);

    // Ten are settled but the third, which waits for a retry.
    let ten = pull(&mut slow, 10).await;
    settle(&ten[..2], Settle::Ack).await;
    settle(&ten[2..3], Settle::Retry { delay: PATIENCE }).await;
    settle(&ten[3..], Settle::Ack).await;
    until_unsettled(&fixture, "slow", 1).await;
    assert_eq!(log.reclaim().await.unwrap().events, 2);
    assert_eq!(log.reclaim().await.unwrap().events, 0);
    assert_eq!(held(&fixture).await.0, 3);
    assert_eq!(fill(&fixture).await, 2);

    // The rest still reaches the slow one.
    let rest = pull(&mut slow, count - 10 + 2).await;
    assert_eq!(id(&rest[0]), "10");
}

/// No more than the missing room is made, and without need nothing.
#[tokio::test]
async fn only_the_missing_room_is_made() {
    let fixture = small().await;
    let log = fixture.log();
    let mut source = log.open(spec("c")).await.unwrap();
    append(log, event("1")).await;
    settle(&pull(&mut source, 1).await, Settle::Ack).await;
    assert_eq!(log.reclaim().await.unwrap().events, 0);
    let count = fill(&fixture).await;
    settle(&pull(&mut source, count).await, Settle::Ack).await;
    until_unsettled(&fixture, "c", 0).await;
    let reclaimed = log.reclaim().await.unwrap();
    assert_eq!(reclaimed.held_by, None);
    let reclaimed = reclaimed.events;
    let quarter = u64::try_from(count).unwrap() / 4;
    assert!(
        (quarter - 5..=quarter + 5).contains(&reclaimed),
        "{reclaimed} of {count}"
    );
    assert_eq!(log.reclaim().await.unwrap().events, 0);
    assert!(fill(&fixture).await > 0);
}

/// A consumer that wants none of the events holds none of them.
#[tokio::test]
async fn a_consumer_of_other_events_holds_nothing() {
    let fixture = small().await;
    let log = fixture.log();
    let filters = vec![subject::any_source(ROOT, "other").unwrap()];
    log.open(ConsumerSpec {
        filters,
        ..spec("other")
    })
    .await
    .unwrap();
    fill(&fixture).await;
    assert!(log.reclaim().await.unwrap().events > 0);
}

/// A consumer that somebody else made counts like ours.
#[tokio::test]
async fn foreign_consumers_hold_events_too() {
    let fixture = small().await;
    let context = jetstream::new(fixture.client().await);
    let stream = context.get_stream("TIDEGATE_EVENTS").await.unwrap();
    let config = jetstream::consumer::pull::Config {
        durable_name: Some("foreign".to_owned()),
        ..Default::default()
    };
    stream.create_consumer(config).await.unwrap();
    fill(&fixture).await;
    let reclaimed = fixture.log().reclaim().await.unwrap();
    assert_eq!(
        (reclaimed.events, reclaimed.held_by.as_deref()),
        (0, Some("foreign"))
    );
}
