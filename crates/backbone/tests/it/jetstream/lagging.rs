//! Room while a consumer lags: what it does not want goes, and what it wants it gets.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use bytesize::ByteSize;
use tidegate_backbone::{
    AppendError, Config, ConsumerSpec, Events, Log as _, Settle, Source as _,
    jetstream::{JetstreamReceipt, JetstreamSource, Reclaimed},
    subject,
};
use tidegate_testkit::NatsServer;

use crate::fixture::*;

/// About 1.1 KiB each; the stream takes about 230.
const SIZE_MAX: ByteSize = ByteSize::kib(256);

/// What the one that lags is interested in.
const SLOW: &str = "order.slow.v1";

async fn on(server: NatsServer) -> JetstreamFixture {
    let events = Events {
        size_max: SIZE_MAX,
        ..Events::default()
    };
    let config = Config {
        events,
        ..Config::default()
    };
    JetstreamFixture::on(server, config).await
}

/// On a server that purges single subjects.
async fn small() -> Option<JetstreamFixture> {
    Some(on(recent_server("").await?).await)
}

fn reading(name: &str, filters: Vec<String>) -> ConsumerSpec {
    ConsumerSpec {
        filters,
        ..spec(name)
    }
}

fn of_any_source(r#type: &str) -> String {
    subject::any_source(ROOT, r#type).unwrap()
}

fn of_source(r#type: &str) -> String {
    subject::of(ROOT, "source", r#type).unwrap()
}

/// Appends events with so much data, of these types in turn, until it is full: the ids of each
/// type. An id is its number.
async fn fill(
    fixture: &JetstreamFixture,
    from: usize,
    data_len: usize,
    types: &[&str],
) -> BTreeMap<String, Vec<String>> {
    let mut stored: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, r#type) in (from..).zip(types.iter().cycle()) {
        let mut event = event_of(&id.to_string(), "source", r#type);
        event.data = Some(Bytes::from(vec![b'x'; data_len]));
        match fixture.log().append(&append_of(event)).await {
            Ok(_) => stored
                .entry((*r#type).to_owned())
                .or_default()
                .push(id.to_string()),
            Err(AppendError::Full { .. }) => return stored,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("it never gets full")
}

fn count(stored: &BTreeMap<String, Vec<String>>) -> usize {
    stored.values().map(Vec::len).sum()
}

async fn take(source: &mut JetstreamSource, count: usize) -> Vec<String> {
    let pulled = pull::<JetstreamSource>(source, count).await;
    settle_surely::<JetstreamReceipt>(&pulled, Settle::Ack).await;
    ids(&pulled)
}

/// Purges until there is room, as a process does; the events that went.
async fn until_room(fixture: &JetstreamFixture) -> u64 {
    within(async {
        let mut events = 0;
        loop {
            let reclaimed = fixture.log().reclaim().await.unwrap();
            if reclaimed == Reclaimed::default() {
                return events;
            }
            events += reclaimed.events;
        }
    })
    .await
}

/// Whoever lags does not fill the log with what it does not want, however long it lags, and gets
/// each of its events, in order. When it has caught up, its old ones go too.
#[tokio::test]
async fn who_lags_holds_only_what_it_wants() {
    let Some(mut fixture) = small().await else {
        return;
    };
    let log = fixture.log().clone();
    let mut slow = log
        .open(reading("slow", vec![of_any_source(SLOW)]))
        .await
        .unwrap();
    let mut fast = log.open(spec("fast")).await.unwrap();
    let types = [SLOW, "a", "b", "a", "c", "a", "b", "a", "a", "b"];
    let (mut stored, mut wanted) = (0, Vec::new());
    for round in 0..8 {
        let filled = fill(&fixture, stored, 1_000, &types).await;
        assert!(count(&filled) >= 30, "{round}: {filled:?}");
        stored += count(&filled);
        wanted.extend(filled[SLOW].clone());
        take(&mut fast, count(&filled)).await;
        let reclaimed = log.reclaim().await.unwrap();
        assert_eq!(reclaimed.held_by, None, "{round}");
        // From full to three quarters.
        assert!(
            (50..=65).contains(&reclaimed.events),
            "{round}: {reclaimed:?}"
        );
        assert_eq!(log.reclaim().await.unwrap(), Reclaimed::default());
    }
    fixture.server.restart().await;
    until_ready(&log).await;

    assert_eq!(take(&mut slow, wanted.len()).await, wanted);
    let filled = fill(&fixture, stored, 1_000, &types).await;
    assert_eq!(take(&mut slow, filled[SLOW].len()).await, filled[SLOW]);
    take(&mut fast, count(&filled)).await;
    let events = until_room(&fixture).await;
    assert!((50..=100).contains(&events), "{events}");
    assert!(count(&fill(&fixture, 0, 1_000, &types).await) >= 50);
}

/// Filters with wildcards hold what they match, and nothing else.
#[tokio::test]
async fn wildcards_hold_what_they_match() {
    let Some(fixture) = small().await else {
        return;
    };
    let log = fixture.log();
    let filters = vec![
        subject::below(ROOT, None, "order").unwrap(),
        subject::any_source(ROOT, "a.b").unwrap(),
    ];
    let mut slow = log.open(reading("slow", filters)).await.unwrap();
    let types = [SLOW, "a", "a.b", "a.b.c", "order", "x.order.y"];
    let filled = fill(&fixture, 0, 1_000, &types).await;
    let reclaimed = log.reclaim().await.unwrap();
    assert_eq!(reclaimed.held_by, None);
    assert!(reclaimed.events >= 50, "{reclaimed:?}");
    let mut wanted = [&filled[SLOW][..], &filled["a.b"][..]].concat();
    wanted.sort_by_key(|id| id.parse::<u32>().unwrap());
    assert_eq!(take(&mut slow, wanted.len()).await, wanted);
}

/// Whoever lags and wants everything holds everything, also beside one that wants less.
#[tokio::test]
async fn who_wants_everything_holds_it() {
    let Some(fixture) = small().await else {
        return;
    };
    let log = fixture.log();
    let mut slow = log.open(spec("slow")).await.unwrap();
    log.open(reading("slower", vec![of_source("a")]))
        .await
        .unwrap();
    let mut fast = log.open(spec("fast")).await.unwrap();
    let stored = count(&fill(&fixture, 0, 1_000, &["a", "b"]).await);
    take(&mut fast, stored).await;
    let reclaimed = log.reclaim().await.unwrap();
    assert_eq!(reclaimed.events, 0);
    assert!(reclaimed.held_by.is_some());
    assert_eq!(take(&mut slow, stored).await.len(), stored);
}

/// Each subject goes as far as those have settled who read it; who is furthest behind is named
/// when that is not enough.
#[tokio::test]
async fn each_subject_has_readers_of_its_own() {
    let Some(fixture) = small().await else {
        return;
    };
    let log = fixture.log();
    log.open(reading("slow", vec![of_source(SLOW)]))
        .await
        .unwrap();
    let mut less = log
        .open(reading("less", vec![of_source("a")]))
        .await
        .unwrap();
    let types = [&[SLOW][..], &["a"; 500]].concat();
    let filled = fill(&fixture, 0, 1_000, &types).await;
    assert_eq!(take(&mut less, 20).await, filled["a"][..20]);
    let reclaimed = log.reclaim().await.unwrap();
    let held = Reclaimed {
        events: 20,
        held_by: Some("slow".to_owned()),
    };
    assert_eq!(reclaimed, held);
    let rest = take(&mut less, filled["a"].len() - 20).await;
    assert_eq!(rest, filled["a"][20..]);
}

/// A consumer of several subjects misses nothing of the others when events of one go.
async fn nobody_misses_other_subjects(server: NatsServer) {
    let fixture = on(server).await;
    let log = fixture.log();
    log.open(reading("slow", vec![of_source(SLOW)]))
        .await
        .unwrap();
    let filters = vec![of_source("a"), of_source("b")];
    let mut both = log.open(reading("both", filters)).await.unwrap();
    let types = [&[SLOW][..], &["a"; 40], &["b"; 500]].concat();
    let filled = fill(&fixture, 0, 1_000, &types).await;
    take(&mut both, 60).await;
    let reclaimed = log.reclaim().await.unwrap();
    assert!(reclaimed.events > 0, "{reclaimed:?}");
    assert_eq!(reclaimed.held_by, None);
    let rest = take(&mut both, filled["b"].len() - 20).await;
    assert_eq!(rest, filled["b"][20..]);
}

/// Nobody misses an event by it.
#[tokio::test]
async fn who_reads_several_subjects_misses_nothing() {
    if let Some(server) = recent_server("").await {
        nobody_misses_other_subjects(server).await;
    }
}

/// Nor on an older server, which would skip some where a subject is purged.
#[tokio::test]
async fn who_reads_several_subjects_misses_nothing_on_an_older_server() {
    nobody_misses_other_subjects(NatsServer::start().await).await;
}

/// Where there are many subjects with few events each, single events go, the oldest first and no
/// more than are missing.
#[tokio::test]
async fn of_many_subjects_single_events_go() {
    let Some(fixture) = small().await else {
        return;
    };
    let log = fixture.log();
    let mut slow = log
        .open(reading("slow", vec![of_source(SLOW)]))
        .await
        .unwrap();
    let others: Vec<String> = (0..300).map(|number| format!("t{number}")).collect();
    let types: Vec<&str> = [SLOW]
        .into_iter()
        .chain(others.iter().map(String::as_str))
        .collect();
    let (mut stored, mut wanted) = (0, Vec::new());
    for round in 0..4 {
        let filled = fill(&fixture, stored, 100, &types).await;
        wanted.extend(filled.get(SLOW).cloned().unwrap_or_default());
        stored += count(&filled);
        let reclaimed = log.reclaim().await.unwrap();
        assert_eq!(reclaimed.held_by, None, "{round}");
        // From full to three quarters.
        assert!(
            (100..=300).contains(&reclaimed.events),
            "{round}: {reclaimed:?}"
        );
        assert_eq!(log.reclaim().await.unwrap(), Reclaimed::default());
    }
    assert!(wanted.len() >= 3, "{wanted:?}");
    assert_eq!(take(&mut slow, wanted.len()).await, wanted);
}

/// Readers of all kinds, each at its own pace, get all of their events, in order, while room is made
/// for more again and again.
#[tokio::test]
async fn nobody_misses_an_event_while_room_is_made() {
    const STORED: usize = 2_000;
    const TYPES: [&str; 8] = ["a", "a", "b", "b", "c", "d", "order.x", SLOW];
    let Some(fixture) = small().await else {
        return;
    };
    let log = fixture.log();
    let below = subject::below(ROOT, None, "order").unwrap();
    let mut readers = Vec::new();
    for (name, filters, wants, pace) in [
        (
            "all",
            vec![],
            &["a", "b", "c", "d", "order.x", SLOW][..],
            99,
        ),
        (
            "exact",
            vec![of_source("a"), of_source("b")],
            &["a", "b"],
            25,
        ),
        (
            "wild",
            vec![of_any_source("c"), below],
            &["c", "order.x", SLOW],
            12,
        ),
        ("rare", vec![of_source("d")], &["d"], 2),
    ] {
        let source = log.open(reading(name, filters)).await.unwrap();
        readers.push((source, wants, pace, VecDeque::new()));
    }
    let mut random = fastrand::Rng::with_seed(8);
    let (mut stored, mut purged) = (0, 0);
    while stored < STORED {
        let r#type = TYPES[random.usize(..TYPES.len())];
        let mut event = event_of(&stored.to_string(), "source", r#type);
        event.data = Some(Bytes::from(vec![b'x'; 1_000]));
        match log.append(&append_of(event)).await {
            Ok(_) => {
                for (_, wants, _, waiting) in &mut readers {
                    if wants.contains(&r#type) {
                        waiting.push_back(stored.to_string());
                    }
                }
                stored += 1;
            }
            Err(AppendError::Full { .. }) => {
                for (source, _, pace, waiting) in &mut readers {
                    let count = random.usize(..=*pace).min(waiting.len());
                    let expected: Vec<String> = waiting.drain(..count).collect();
                    assert_eq!(take(source, count).await, expected);
                }
                purged += log.reclaim().await.unwrap().events;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(purged > 1_500, "{purged}");
    for (mut source, _, _, waiting) in readers {
        let expected: Vec<String> = waiting.into();
        assert_eq!(take(&mut source, expected.len()).await, expected);
        assert_eq!(source.unsettled().await.unwrap(), 0);
    }
}
