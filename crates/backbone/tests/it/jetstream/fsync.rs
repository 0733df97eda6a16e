//! Appends that are committed together, on a server that syncs every write.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{
    self,
    consumer::pull::OrderedConfig,
    stream::{Config as StreamConfig, StorageType},
};
use bytes::Bytes;
use bytesize::ByteSize;
use futures_util::{StreamExt as _, future::join_all};
use tidegate_backbone::{
    Append, AppendError, Config, Durability, Events, Log as _, Stored,
    jetstream::{ConnectError, Jetstream},
};
use tidegate_testkit::NatsServer;
use tokio::{task::JoinSet, time::Instant};

use crate::{conformance, fixture::*};

/// A busy machine is not what is looked for here.
fn patient() -> Config {
    Config {
        append_timeout: Duration::from_secs(30),
        ..Config::default()
    }
}

/// Appends of events with ids of their own, deduplicated by them.
fn appends(ids: impl IntoIterator<Item = String>) -> Vec<Append> {
    ids.into_iter()
        .map(|id| Append {
            message_id: message_id(&id),
            ..append_of(event(&id))
        })
        .collect()
}

fn numbered(prefix: &str, count: usize) -> Vec<Append> {
    appends((0..count).map(|number| format!("{prefix}-{number}")))
}

/// All at once.
async fn append_all(log: &Jetstream, appends: &[Append]) -> Vec<Result<Stored, AppendError>> {
    within(log.append_all(appends)).await
}

/// What the stream holds: by place, the event's id and the batch it came in.
async fn kept(fixture: &JetstreamFixture) -> BTreeMap<u64, (String, Option<String>)> {
    let context = jetstream::new(fixture.client().await);
    let stream = context.get_stream("TIDEGATE_EVENTS").await.unwrap();
    let count = usize::try_from(stream.cached_info().state.messages).unwrap();
    let consumer = stream.create_consumer(OrderedConfig::default()).await;
    let messages = consumer.unwrap().messages().await.unwrap();
    let read = messages.take(count).map(|message| {
        let message = message.unwrap();
        let headers = message.headers.as_ref().unwrap();
        let header = |name: &str| headers.get(name).map(ToString::to_string);
        let place = message.info().unwrap().stream_sequence;
        (place, (header("ce-id").unwrap(), header("Nats-Batch-Id")))
    });
    within(read.collect()).await
}

/// Every one is where its answer says, and a commit holds many.
#[tokio::test]
async fn appends_at_once_are_committed_together() {
    const COUNT: usize = 500;
    let Some(fixture) = JetstreamFixture::fsync(patient(), "").await else {
        return;
    };
    let answers = append_all(&fixture.log, &numbered("e", COUNT)).await;
    let kept = kept(&fixture).await;
    assert_eq!(kept.len(), COUNT);
    for (number, answer) in answers.into_iter().enumerate() {
        let stored = answer.unwrap();
        assert!(!stored.duplicate);
        assert_eq!(kept[&stored.sequence].0, format!("e-{number}"));
    }
    let alone = kept.values().filter(|(_, batch)| batch.is_none()).count();
    let batches: BTreeSet<_> = kept
        .values()
        .filter_map(|(_, batch)| batch.clone())
        .collect();
    let commits = alone + batches.len();
    assert!(commits * 10 <= COUNT, "{commits} commits");
    // They stay known.
    let again = append_all(&fixture.log, &numbered("e", COUNT)).await;
    assert!(
        again
            .iter()
            .all(|answer| answer.as_ref().unwrap().duplicate)
    );
}

/// A sender's retry costs its neighbours nothing, and is told as one: of an event of before, and
/// of one of the same batch.
#[tokio::test]
async fn a_duplicate_fails_no_neighbour() {
    let Some(fixture) = JetstreamFixture::fsync(patient(), "").await else {
        return;
    };
    let log = &fixture.log;
    let first = append_all(log, &numbered("before", 1)).await;
    let first = first[0].as_ref().unwrap().sequence;
    let mut all = numbered("e", 40);
    all.insert(20, numbered("before", 1).remove(0));
    let answers = append_all(log, &all).await;
    for (number, answer) in answers.iter().enumerate() {
        let stored = answer.as_ref().unwrap();
        assert_eq!(stored.duplicate, number == 20, "{number}: {stored:?}");
        assert_eq!(stored.sequence == first, number == 20);
    }
    let mut all = numbered("f", 40);
    all.push(numbered("f", 1).remove(0));
    let answers = append_all(log, &all).await;
    let stored: Vec<Stored> = answers.into_iter().map(Result::unwrap).collect();
    let duplicates = stored.iter().filter(|stored| stored.duplicate).count();
    assert_eq!(duplicates, 1);
    assert_eq!(stored[0].sequence, stored[40].sequence);
    assert_eq!(kept(&fixture).await.len(), 81);
}

/// A full log takes what fits, and refuses each of the others as full.
#[tokio::test]
async fn a_full_log_refuses_each() {
    let events = Events {
        size_max: ByteSize::kib(64),
        ..Events::default()
    };
    let config = Config {
        events,
        ..patient()
    };
    let Some(fixture) = JetstreamFixture::fsync(config, "").await else {
        return;
    };
    let mut all = numbered("e", 200);
    for append in &mut all {
        append.event.data = Some(Bytes::from(vec![b'x'; 1_000]));
    }
    for _ in 0..2 {
        let answers = append_all(&fixture.log, &all).await;
        let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
        for error in refused.clone() {
            assert!(matches!(error, AppendError::Full { .. }), "{error:?}");
        }
        let stored = kept(&fixture).await.len();
        assert_eq!(refused.count(), all.len() - stored);
        assert!((30..all.len()).contains(&stored), "{stored}");
    }
}

/// Whatever the server is doing when it is killed: each append is answered, and what was
/// acknowledged is there after the restart, where the answer said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_all_that_it_acknowledged() {
    const SENDERS: usize = 64;
    let Some(mut fixture) = JetstreamFixture::fsync(patient(), "").await else {
        return;
    };
    let mut acknowledged = BTreeMap::new();
    for round in 0..5 {
        let count = Arc::new(AtomicUsize::new(0));
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            let (log, count) = (fixture.log.clone(), Arc::clone(&count));
            senders.spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    let id = format!("{round}-{sender}-{number}");
                    let append = appends([id.clone()]).remove(0);
                    match log.append(&append).await {
                        Ok(stored) => {
                            acknowledged.push((stored.sequence, id));
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(AppendError::Unreachable { .. }) => return acknowledged,
                        Err(error) => panic!("{error}"),
                    }
                }
                unreachable!("only an error ends it")
            });
        }
        // Each time at another moment of a batch.
        let early = 2 * SENDERS + 7 * round;
        within(async {
            while count.load(Ordering::Relaxed) < early {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        tokio::time::sleep(Duration::from_millis(3) * u32::try_from(round).unwrap()).await;
        fixture.server.kill();
        acknowledged.extend(within(senders.join_all()).await.into_iter().flatten());
        fixture.server.restart().await;
        append_until_stored(&fixture.log, &append_of(event("back"))).await;
        let kept = kept(&fixture).await;
        for (sequence, id) in &acknowledged {
            let there = kept.get(sequence).map(|(id, _)| id);
            assert_eq!(there, Some(id), "round {round}: acknowledged and lost");
        }
    }
}

/// Sends a signal to the fixture's server.
fn signal(fixture: &JetstreamFixture, name: &str) {
    tidegate_testkit::signal(fixture.server.pid().unwrap(), name);
}

/// A server that says nothing: each append ends in its time, also one that waits for the batch
/// before, and later ones are stored.
#[tokio::test]
async fn a_silent_server_holds_nobody_up() {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let config = Config {
        append_timeout: TIMEOUT,
        ..Config::default()
    };
    let Some(fixture) = JetstreamFixture::fsync(config, "").await else {
        return;
    };
    signal(&fixture, "STOP");
    let first = numbered("first", 50);
    let second = numbered("second", 50);
    let timed = async |appends: &[Append]| {
        let began = Instant::now();
        (append_all(&fixture.log, appends).await, began.elapsed())
    };
    let later = async {
        tokio::time::sleep(TIMEOUT / 10).await;
        timed(&second).await
    };
    let answers = tokio::join!(timed(&first), later);
    signal(&fixture, "CONT");
    for (answers, waited) in [answers.0, answers.1] {
        for answer in answers {
            let error = answer.unwrap_err();
            assert!(matches!(error, AppendError::TimedOut { .. }), "{error:?}");
        }
        assert!(waited < TIMEOUT * 3 / 2, "{waited:?}");
    }
    for append in first.iter().chain(&second) {
        append_until_stored(&fixture.log, append).await;
    }
    assert_eq!(kept(&fixture).await.len(), 100);
}

/// While one is committed, also alone, the others gather for the next batch.
#[tokio::test]
async fn what_comes_meanwhile_is_the_next_batch() {
    let Some(fixture) = JetstreamFixture::fsync(patient(), "").await else {
        return;
    };
    signal(&fixture, "STOP");
    let mut senders = JoinSet::new();
    for append in numbered("e", 61) {
        let log = fixture.log.clone();
        senders.spawn(async move { log.append(&append).await.unwrap() });
        // The first one is on its way before there is a second.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    signal(&fixture, "CONT");
    within(senders.join_all()).await;
    let kept = kept(&fixture).await;
    let batches: Vec<_> = kept.values().map(|(_, batch)| batch.as_ref()).collect();
    assert_eq!(batches[0], None);
    assert!(batches[1].is_some());
    assert!(
        batches[2..].iter().all(|batch| *batch == batches[1]),
        "{batches:?}"
    );
}

/// More bytes than a batch takes are several batches, and no event is left behind.
#[tokio::test]
async fn large_events_are_several_batches() {
    let Some(fixture) = JetstreamFixture::fsync(patient(), "").await else {
        return;
    };
    let mut all = numbered("e", 40);
    for append in &mut all {
        append.event.data = Some(Bytes::from(vec![b'x'; 500_000]));
    }
    let answers = append_all(&fixture.log, &all).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let kept = kept(&fixture).await;
    assert_eq!(kept.len(), 40);
    let batches: BTreeSet<_> = kept.values().map(|(_, batch)| batch).collect();
    assert_eq!(batches.len(), 3, "{batches:?}");
}

/// What is too large for the server is refused alone.
#[tokio::test]
async fn a_member_that_is_too_large_fails_no_neighbour() {
    let Some(server) = fsync_server("").await else {
        return;
    };
    let config = Config {
        durability: Durability::Fsync,
        ..Config::default()
    };
    let log = Jetstream::connect(&config, &server.url(), "test").await;
    let log = log.unwrap();
    log.ensure().await.unwrap();
    let mut all = numbered("e", 30);
    all[10].event.data = Some(Bytes::from(vec![0; 8 << 20]));
    for (number, answer) in append_all(&log, &all).await.iter().enumerate() {
        let too_large = matches!(answer, Err(AppendError::TooLarge { .. }));
        assert_eq!(too_large, number == 10, "{number}: {answer:?}");
        assert!(too_large || answer.is_ok(), "{number}: {answer:?}");
    }
}

/// Appends that are given up take nothing with them.
#[tokio::test]
async fn given_up_appends_harm_nobody() {
    let Some(fixture) = JetstreamFixture::fsync(patient(), "").await else {
        return;
    };
    let log = &fixture.log;
    for round in 0..10 {
        let given_up = numbered(&format!("given-up-{round}"), 30);
        let stay = numbered(&format!("stay-{round}"), 30);
        let brief = Duration::from_micros(300 * round);
        let (_, answers) = tokio::join!(
            tokio::time::timeout(brief, join_all(given_up.iter().map(|one| log.append(one)))),
            append_all(log, &stay),
        );
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
    let kept = kept(&fixture).await;
    let stayed = kept.values().filter(|(id, _)| id.starts_with("stay-"));
    assert_eq!(stayed.count(), 300);
}

/// No more wait than configured.
#[tokio::test]
async fn waiting_appends_are_bounded() {
    let config = Config {
        in_flight_max: 20,
        ..Config::default()
    };
    let Some(fixture) = JetstreamFixture::fsync(config, "").await else {
        return;
    };
    let answers = append_all(&fixture.log, &numbered("e", 50)).await;
    let busy = answers
        .iter()
        .filter(|answer| matches!(answer, Err(AppendError::Busy { in_flight_max: 20 })));
    assert_eq!(busy.count(), 30, "{answers:?}");
    assert_eq!(kept(&fixture).await.len(), 20);
}

/// A server whose operator lowered its limit is believed, and nothing fails for it.
#[tokio::test]
async fn smaller_batches_are_learned() {
    let limit = "limits: { batch: { max_msgs: 20 } }";
    let Some(fixture) = JetstreamFixture::fsync(patient(), limit).await else {
        return;
    };
    for round in 0..8 {
        let answers = append_all(&fixture.log, &numbered(&format!("{round}"), 100)).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
    let kept = kept(&fixture).await;
    assert_eq!(kept.len(), 800);
    // What is left over of a hundred may be too few for a batch.
    let last = kept.values().filter(|(id, _)| id.starts_with("7-"));
    let together = last.filter(|(_, batch)| batch.is_some()).count();
    assert!(together >= 90, "{together}");
}

/// Publishers share the server's batches: one for which none is left goes the plain way.
#[tokio::test]
async fn too_many_batches_at_once_fail_nobody() {
    let limit = "limits: { batch: { max_inflight_per_stream: 1 } }";
    let Some(fixture) = JetstreamFixture::fsync(patient(), limit).await else {
        return;
    };
    let mut publishers = JoinSet::new();
    for publisher in 0..6 {
        let log = Jetstream::connect(&fixture.config, &fixture.server.url(), "test").await;
        let log = log.unwrap();
        publishers.spawn(async move {
            for round in 0..5 {
                let appends = numbered(&format!("{publisher}-{round}"), 40);
                let answers = append_all(&log, &appends).await;
                assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            }
        });
    }
    publishers.join_all().await;
    let kept = kept(&fixture).await;
    assert_eq!(kept.len(), 6 * 5 * 40);
    // A name that two of them had would mix their batches.
    let mut names = BTreeMap::new();
    for (id, batch) in kept.values() {
        let publisher = id.split('-').next().unwrap();
        let Some(batch) = batch else { continue };
        assert_eq!(names.entry(batch).or_insert(publisher), &publisher);
    }
    assert!(!names.is_empty());
}

/// The promises of the port hold as everywhere.
#[tokio::test]
async fn the_port_keeps_its_promises() {
    let fixture = async || JetstreamFixture::fsync(patient(), "").await;
    if let Some(fixture) = fixture().await {
        conformance::sequences_grow(&fixture).await;
    }
    if let Some(fixture) = fixture().await {
        conformance::a_repeated_message_id_is_one_event(&fixture).await;
    }
    if let Some(fixture) = fixture().await {
        conformance::events_come_out_byte_for_byte(&fixture).await;
    }
    if let Some(fixture) = fixture().await {
        conformance::a_letter_is_stored_once(&fixture).await;
    }
}

/// A server that would sync for each event is named with its version and the way out.
#[tokio::test]
async fn a_server_that_is_too_old_is_named() {
    let server = NatsServer::start().await;
    let config = Config {
        durability: Durability::Fsync,
        ..Config::default()
    };
    match Jetstream::connect(&config, &server.url(), "test").await {
        // The one that all other tests run on may be new.
        Ok(log) => {
            let version = log.server_version();
            let mut numbers = version.split('.').map_while(|number| number.parse().ok());
            let found: [u32; 2] = std::array::from_fn(|_| numbers.next().unwrap());
            assert!(found >= [2, 15], "{version} was taken");
            println!("skipped: the nats-server is {version}");
        }
        Err(error) => {
            let ConnectError::TooOldForFsync { version } = &error else {
                panic!("{error:?}")
            };
            let text = error.to_string();
            for word in [&**version, "2.15", "fsync", "backbone.durability: default"] {
                assert!(text.contains(word), "{text}");
            }
        }
    }
}

/// A stream that was there before takes batches from then on.
#[tokio::test]
async fn an_existing_stream_learns_batches() {
    let Some(server) = fsync_server("").await else {
        return;
    };
    let connect = async |durability| {
        let config = Config {
            durability,
            ..Config::default()
        };
        Jetstream::connect(&config, &server.url(), "test")
            .await
            .unwrap()
    };
    let before = connect(Durability::Default).await;
    before.ensure().await.unwrap();
    let log = connect(Durability::Fsync).await;
    let drifts = log.ensure().await.unwrap();
    let found: Vec<_> = drifts
        .iter()
        .map(|drift| (drift.field, drift.repaired))
        .collect();
    assert_eq!(found, [("allow_atomic", true)]);
    let answers = append_all(&log, &numbered("e", 20)).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    // What it may do more is in nobody's way.
    assert_eq!(before.ensure().await.unwrap(), []);
}

/// A promise that a stream does not keep ends the start, and is no line in a log.
#[tokio::test]
async fn a_stream_that_keeps_less_is_refused() {
    let Some(server) = fsync_server("").await else {
        return;
    };
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let in_memory = StreamConfig {
        name: "TIDEGATE_EVENTS".to_owned(),
        subjects: vec!["tidegate.events.>".to_owned()],
        storage: StorageType::Memory,
        ..StreamConfig::default()
    };
    context.create_stream(in_memory).await.unwrap();
    for (durability, replicas, word) in [
        (Durability::Fsync, 1, "storage"),
        (Durability::Replicated, 3, "num_replicas"),
    ] {
        let config = Config {
            durability,
            replicas,
            ..Config::default()
        };
        let log = Jetstream::connect(&config, &server.url(), "test").await;
        let error = log.unwrap().ensure().await.unwrap_err().to_string();
        for word in [word, "backbone.durability"] {
            assert!(error.contains(word), "{error}");
        }
    }
}
