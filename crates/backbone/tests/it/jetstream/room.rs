//! Room in the stream of the events: what may go goes, what is still needed stays.

use std::time::Duration;

use async_nats::jetstream;
use bytes::Bytes;
use bytesize::ByteSize;
use tidegate_backbone::{
    AppendError, Config, ConsumerSpec, Events, Log as _, Settle,
    jetstream::{Expired, Missed},
    subject,
};

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

/// Settled events make room, unsettled ones never: nothing accepted is evicted undelivered.
#[tokio::test]
async fn nothing_unsettled_is_purged() {
    let fixture = small().await;
    let log = fixture.log();
    let mut fast = log.open(spec("fast")).await.unwrap();
    let mut slow = log.open(spec("slow")).await.unwrap();
    let count = fill(&fixture).await;
    settle_surely(&pull(&mut fast, count).await, Settle::Ack).await;
    let nothing = log.reclaim().await.unwrap();
    assert_eq!(
        (nothing.events, nothing.held_by.as_deref()),
        (0, Some("slow"))
    );
    assert_eq!(held(&fixture).await.0, 1);

    // Ten are settled but the third, which waits for a retry.
    let ten = pull(&mut slow, 10).await;
    settle_surely(&ten[..2], Settle::Ack).await;
    settle_surely(&ten[2..3], Settle::Retry { delay: PATIENCE }).await;
    settle_surely(&ten[3..], Settle::Ack).await;
    within(async {
        while log.reclaim().await.unwrap().events == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    log.reclaim().await.unwrap();
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
    settle_surely(&pull(&mut source, 1).await, Settle::Ack).await;
    assert_eq!(log.reclaim().await.unwrap().events, 0);
    let count = fill(&fixture).await;
    settle_surely(&pull(&mut source, count).await, Settle::Ack).await;
    let reclaimed = within(async {
        loop {
            let reclaimed = log.reclaim().await.unwrap();
            if reclaimed.held_by.is_none() && reclaimed.events > 0 {
                return reclaimed.events;
            }
        }
    })
    .await;
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

/// What age deletes is announced before, and counted for whoever had not settled it.
#[tokio::test]
async fn nothing_goes_by_age_without_a_word() {
    const AGE_MAX: Duration = Duration::from_hours(1);
    let events = Events {
        age_max: AGE_MAX,
        ..Events::default()
    };
    let fixture = JetstreamFixture::with(Config {
        events,
        ..Config::default()
    })
    .await;
    let log = fixture.log();
    let mut done = log.open(spec("done")).await.unwrap();
    let mut slow = log.open(spec("slow")).await.unwrap();
    let filters = vec![subject::any_source(ROOT, "other").unwrap()];
    let other = ConsumerSpec {
        filters,
        ..spec("other")
    };
    log.open(other).await.unwrap();
    for id in ["1", "2", "3", "4"] {
        append(log, event(id)).await;
        // Each has a time of its own.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let all = pull(&mut done, 4).await;
    settle_surely(&all, Settle::Ack).await;
    let first = pull(&mut slow, 1).await;
    let stored = |index: usize| all[index].stored_at;
    let young = log.expire(stored(0) + AGE_MAX / 2, &[]).await.unwrap();
    assert_eq!(young, Expired::default());
    // "done" may have settled a moment later than it said.
    let soon = within(async {
        loop {
            let soon = log.expire(stored(0) + AGE_MAX * 9 / 10, &[]).await.unwrap();
            if soon.soon.len() == 1 {
                return soon;
            }
        }
    })
    .await;
    assert_eq!(soon.soon, [("slow".to_owned(), stored(0) + AGE_MAX)]);
    assert_eq!((soon.events, soon.missed), (0, vec![]));
    let expired = log.expire(stored(2) + AGE_MAX, &[]).await.unwrap();
    let missed = Missed {
        consumer: "slow".to_owned(),
        undelivered: 1,
        unsettled: 1,
    };
    assert_eq!((expired.events, expired.missed), (2, vec![missed]));
    assert_eq!(held(&fixture).await.0, 3);
    settle_surely(&first, Settle::Ack).await;
    assert_eq!(id(&pull(&mut slow, 2).await[0]), "3");
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

/// What is unsettled and young is not missed with what is old.
#[tokio::test]
async fn what_is_young_is_not_missed() {
    const AGE_MAX: Duration = Duration::from_hours(1);
    let events = Events {
        age_max: AGE_MAX,
        ..Events::default()
    };
    let fixture = JetstreamFixture::with(Config {
        events,
        ..Config::default()
    })
    .await;
    let log = fixture.log();
    let mut slow = log.open(spec("slow")).await.unwrap();
    for id in ["1", "2", "3"] {
        append(log, event(id)).await;
        // Each has a time of its own.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let all = pull(&mut slow, 2).await;
    let expired = log.expire(all[1].stored_at + AGE_MAX, &[]).await.unwrap();
    let missed = Missed {
        consumer: "slow".to_owned(),
        undelivered: 0,
        unsettled: 1,
    };
    assert_eq!((expired.events, expired.missed), (1, vec![missed]));
}
