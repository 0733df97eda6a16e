//! The register on a real nats-server, and who is seen there.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tidegate_backbone::{
    Register as _, RegisterError, Shard,
    jetstream::{Jetstream, JetstreamRegister},
};
use tokio::{runtime::Runtime, time::timeout};

use crate::{
    conformance::register,
    fixture::{Fixture as _, JetstreamFixture, until_ready, within},
};

async fn registered() -> (JetstreamFixture, JetstreamRegister) {
    let fixture = JetstreamFixture::new().await;
    let register = fixture.log().register(Shard::WHOLE).await.unwrap();
    (fixture, register)
}

/// Values are kept under their names, and can be taken away.
#[tokio::test]
async fn what_is_written_is_read() {
    let (_server, empty) = registered().await;
    register::what_is_written_is_read(&empty).await;
}

/// Of two who take themselves for the one that writes, one does.
#[tokio::test]
async fn who_has_not_read_all_does_not_write() {
    let (_server, empty) = registered().await;
    register::who_has_not_read_all_does_not_write(&empty).await;
}

/// Nothing is cut off.
#[tokio::test]
async fn many_values_are_read_whole() {
    let (_server, empty) = registered().await;
    register::many_values_are_read_whole(&empty).await;
}

/// A name that is no token of a subject reaches nothing else.
#[tokio::test]
async fn what_is_no_name_is_refused() {
    let (_server, empty) = registered().await;
    register::what_is_no_name_is_refused(&empty).await;
}

/// It is there after the server was killed, for who opens it again, and readers leave nothing behind.
#[tokio::test]
async fn a_register_survives_its_server() {
    let mut fixture = JetstreamFixture::new().await;
    let first = fixture.log().register(Shard::WHOLE).await.unwrap();
    let revision = first.write("a", Some("1"), 0).await.unwrap();
    fixture.server.kill();
    fixture.server.restart().await;
    let log = Jetstream::connect(&fixture.config, &fixture.server.url(), "again").await;
    let again = log.unwrap().register(Shard::WHOLE).await.unwrap();
    for _ in 0..3 {
        let read = within(again.read()).await.unwrap();
        assert_eq!((read.revision, read.values["a"].as_str()), (revision, "1"));
    }
    let context = async_nats::jetstream::new(fixture.client().await);
    let mut stream = context
        .get_stream("KV_TIDEGATE_EVENTS_REGISTER")
        .await
        .unwrap();
    assert_eq!(stream.info().await.unwrap().state.consumer_count, 0);
}

/// Waits until it is known that the connection is lost.
async fn until_lost(log: &Jetstream) {
    let is_lost = async || {
        // What is asked on a connection that is about to be lost has no answer.
        let asked = timeout(Duration::from_millis(20), log.last_sequence()).await;
        asked.is_ok_and(|asked| asked.is_err_and(|error| error.detail.contains("no connection")))
    };
    within(async {
        while !is_lost().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// What was to be written while the server was away is not written when it is back, when somebody
/// else may have written what it contradicts.
#[tokio::test]
async fn nothing_is_registered_late() {
    let (mut fixture, register) = registered().await;
    let log = fixture.log().clone();
    let revision = register.write("before", Some("1"), 0).await.unwrap();
    fixture.server.kill();
    until_lost(&log).await;
    let began = Instant::now();
    let late = register.write("late", Some("2"), revision).await;
    assert!(
        matches!(late, Err(RegisterError::Unreachable { .. })),
        "{late:?}"
    );
    let waited = began.elapsed();
    fixture.server.restart().await;
    until_ready(&log).await;
    // What was queued on the same connection would come before it.
    let now = register.write("now", Some("3"), revision).await;
    let read = within(register.read()).await.unwrap();
    let names: Vec<&str> = read.values.keys().map(String::as_str).collect();
    assert_eq!(names, ["before", "now"], "{now:?}");
    assert_eq!(now.unwrap(), read.revision);
    assert!(waited < Duration::from_secs(2), "{waited:?}");
}

/// Who appears is seen by who asks, and nobody else is.
#[tokio::test]
async fn who_appears_is_seen_until_it_goes() {
    let (_server, empty) = registered().await;
    register::who_appears_is_seen_until_it_goes(&empty).await;
}

/// Who looks may say something.
#[tokio::test]
async fn who_is_seen_hears_what_is_said() {
    let (_server, register) = registered().await;
    register::who_is_seen_hears_what_is_said(&register).await;
}

/// The registers that there are, are found, and what is written in one is in no other.
#[tokio::test]
async fn each_shard_has_a_register() {
    let fixture = JetstreamFixture::new().await;
    let log = fixture.log();
    assert!(within(log.registers()).await.unwrap().is_empty());
    let mut shards = vec![Shard::WHOLE];
    shards.extend((0..3).map(|number| Shard { number, of: 3 }));
    for shard in &shards {
        let register = within(log.register(*shard)).await.unwrap();
        let text = shard.to_string();
        register.write("a", Some(&text), 0).await.unwrap();
    }
    let mut found = within(log.registers()).await.unwrap();
    found.sort_by_key(|(shard, _)| (shard.of, shard.number));
    assert_eq!(
        found.iter().map(|(shard, _)| *shard).collect::<Vec<_>>(),
        shards
    );
    for (shard, register) in found {
        let value = within(register.get("a")).await.unwrap();
        assert_eq!(value, Some(shard.to_string()));
    }
}

/// A register of another name is none of a shard, nor is what is written there.
#[tokio::test]
async fn a_register_of_a_name_is_apart() {
    let fixture = JetstreamFixture::new().await;
    let log = fixture.log();
    let named = within(log.register_named("PAUSES")).await.unwrap();
    assert!(within(log.registers()).await.unwrap().is_empty());
    let whole = within(log.register(Shard::WHOLE)).await.unwrap();
    named.write("a", Some("1"), 0).await.unwrap();
    whole.write("a", Some("2"), 0).await.unwrap();
    let again = within(log.register_named("PAUSES")).await.unwrap();
    let value = within(again.get("a")).await.unwrap();
    assert_eq!(value.as_deref(), Some("1"));
    let context = async_nats::jetstream::new(fixture.client().await);
    let bucket = context.get_stream("KV_TIDEGATE_EVENTS_PAUSES").await;
    assert!(bucket.is_ok(), "{:?}", bucket.err());
}

/// Whoever has appeared is seen from then on, also over another connection.
#[tokio::test]
async fn who_has_appeared_is_seen_by_others() {
    let (fixture, register) = registered().await;
    let log = Jetstream::connect(&fixture.config, &fixture.server.url(), "other").await;
    let other = log.unwrap().register(Shard::WHOLE).await.unwrap();
    for number in 0..200 {
        let name = format!("name-{number}");
        assert!(!within(other.is_present(&name)).await.unwrap());
        let presence = within(register.appear(&name)).await.unwrap();
        assert!(within(other.is_present(&name)).await.unwrap(), "{name}");
        drop(presence);
    }
}

/// A process that has ended, however it did, is not taken for one that is there.
#[tokio::test]
async fn who_has_lost_its_connection_is_not_seen() {
    let (fixture, register) = registered().await;
    let (config, url) = (fixture.config.clone(), fixture.server.url());
    let other = Runtime::new().unwrap();
    let appearing = other.spawn(async move {
        let log = Jetstream::connect(&config, &url, "other").await.unwrap();
        let register = log.register(Shard::WHOLE).await.unwrap();
        register.appear("a").await.unwrap()
    });
    let presence = within(appearing).await.unwrap();
    assert!(register.is_present("a").await.unwrap());
    // With it ends everything that it does, and nothing is said to the server before.
    other.shutdown_background();
    register::until_gone(&register, "a").await;
    drop(presence);
}

/// A process that is busy is not taken for one that has gone.
#[tokio::test]
async fn who_does_not_answer_is_seen() {
    let (fixture, register) = registered().await;
    let client = fixture.client().await;
    let subject = "tidegate.presence.TIDEGATE_EVENTS_REGISTER.a";
    let mut requests = client.subscribe(subject).await.unwrap();
    // An answer means that the server has read up to here.
    client.request("$JS.API.INFO", "".into()).await.unwrap();
    assert!(within(register.is_present("a")).await.unwrap());
    assert!(within(requests.next()).await.unwrap().reply.is_some());
    assert!(!within(register.is_present("b")).await.unwrap());
}

/// While the server is away nobody knows who is there, and who is there is seen again after it.
#[tokio::test]
async fn presence_outlives_the_server() {
    let (mut fixture, register) = registered().await;
    let presence = register.appear("a").await.unwrap();
    fixture.server.kill();
    for _ in 0..10 {
        let asked = within(register.is_present("a")).await;
        assert!(asked.is_err(), "{asked:?}");
    }
    let appeared = within(register.appear("b")).await;
    assert!(appeared.is_err());
    fixture.server.restart().await;
    until_ready(fixture.log()).await;
    within(async {
        while !register.is_present("a").await.unwrap_or(false) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(!within(register.is_present("b")).await.unwrap());
    drop(presence);
}
