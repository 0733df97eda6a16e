//! How streams are made and kept.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    stream::{Config as StreamConfig, DiscardPolicy, StorageType},
};
use bytesize::ByteSize;
use tidegate_backbone::{Config, DeadLetters, Events, Log as _, Storage, jetstream::Jetstream};
use tidegate_testkit::NatsServer;

use crate::fixture::*;

/// New streams are as configured: they refuse rather than forget.
#[tokio::test]
async fn streams_are_made_as_configured() {
    let config = Config {
        events: Events {
            size_max: ByteSize::mib(3),
            age_max: Duration::from_hours(1),
            duplicate_window: Duration::from_secs(7),
            ..Events::default()
        },
        dead_letters: DeadLetters {
            size_max: ByteSize::mib(1),
            ..DeadLetters::default()
        },
        ..Config::default()
    };
    let fixture = JetstreamFixture::with(config).await;
    let context = jetstream::new(fixture.client().await);
    let events = context
        .get_stream("TIDEGATE_EVENTS")
        .await
        .unwrap()
        .cached_info()
        .config
        .clone();
    assert_eq!(events.subjects, ["tidegate.events.>"]);
    assert_eq!(events.discard, DiscardPolicy::New);
    assert_eq!(events.storage, StorageType::File);
    assert_eq!(events.max_bytes, 3 << 20);
    assert_eq!(events.max_age, Duration::ZERO, "ours to keep");
    assert_eq!(events.duplicate_window, Duration::from_secs(7));
    assert!(events.allow_direct);
    let dead = context
        .get_stream("TIDEGATE_DEAD")
        .await
        .unwrap()
        .cached_info()
        .config
        .clone();
    assert_eq!(dead.subjects, ["tidegate.dead.>"]);
    assert_eq!(dead.max_bytes, 1 << 20);
    // The second time there is nothing to do.
    assert_eq!(fixture.log().ensure().await.unwrap(), []);
}

/// A stream that somebody changed is brought back, and what cannot be is said.
#[tokio::test]
async fn drift_is_repaired_or_reported() {
    let server = NatsServer::start().await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let other = StreamConfig {
        name: "TIDEGATE_EVENTS".to_owned(),
        subjects: vec!["elsewhere".to_owned()],
        storage: StorageType::Memory,
        max_bytes: 1_000_000,
        max_messages: 5,
        discard: DiscardPolicy::Old,
        ..StreamConfig::default()
    };
    context.create_stream(other).await.unwrap();
    let config = Config {
        storage: Storage::File,
        ..Config::default()
    };
    let log = Jetstream::connect(&config, &server.url(), "test")
        .await
        .unwrap();
    let drifts = log.ensure().await.unwrap();
    let found: Vec<(&str, bool)> = drifts
        .iter()
        .map(|drift| (drift.field, drift.repaired))
        .collect();
    assert_eq!(
        found,
        [
            ("subjects", true),
            ("storage", false),
            ("discard", true),
            ("max_bytes", true),
            ("max_msgs", true),
            ("allow_direct", true),
        ]
    );
    assert_eq!(
        drifts[1].to_string(),
        "stream TIDEGATE_EVENTS: storage was \"memory\", configured is \"file\": left as it is: \
         JetStream cannot change it for an existing stream"
    );
    let now = context
        .get_stream("TIDEGATE_EVENTS")
        .await
        .unwrap()
        .cached_info()
        .config
        .clone();
    assert_eq!(now.subjects, ["elsewhere", "tidegate.events.>"]);
    assert_eq!(now.max_messages, -1);
    // What cannot be repaired is said every time.
    assert_eq!(log.ensure().await.unwrap().len(), 1);
    append(&log, event("1")).await;
}

/// Replicas that a single server cannot have are reported, and hold up nothing else.
#[tokio::test]
async fn a_change_that_the_server_refuses_is_reported() {
    let fixture = JetstreamFixture::new().await;
    let mut config = Config {
        replicas: 3,
        ..Config::default()
    };
    config.events.size_max = ByteSize::mib(5);
    let log = Jetstream::connect(&config, &fixture.server.url(), "test")
        .await
        .unwrap();
    let drifts = log.ensure().await.unwrap();
    let found: Vec<(&str, &str, bool)> = drifts
        .iter()
        .map(|drift| (&*drift.stream, drift.field, drift.repaired))
        .collect();
    assert_eq!(
        found,
        [
            ("TIDEGATE_EVENTS", "num_replicas", false),
            ("TIDEGATE_EVENTS", "max_bytes", true),
            ("TIDEGATE_DEAD", "num_replicas", false),
        ]
    );
    assert!(drifts[0].reason.is_some());
}

/// A stream that stands in the way is left alone, and the operator hears what to do.
#[tokio::test]
async fn a_stream_in_the_way_is_not_touched() {
    let server = NatsServer::start().await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let other = StreamConfig {
        name: "OTHER".to_owned(),
        subjects: vec!["tidegate.>".to_owned()],
        ..StreamConfig::default()
    };
    context.create_stream(other).await.unwrap();
    let log = Jetstream::connect(&Config::default(), &server.url(), "test")
        .await
        .unwrap();
    let error = log.ensure().await.unwrap_err().to_string();
    assert!(error.contains("backbone.subject_root"), "{error}");
    assert!(context.get_stream("OTHER").await.is_ok());
}

/// A server without JetStream, or without the room, is told from one that is not there.
#[tokio::test]
async fn what_the_server_lacks_is_said() {
    let server = NatsServer::start_with("jetstream { max_file_store: 1MB }").await;
    let log = Jetstream::connect(&Config::default(), &server.url(), "test")
        .await
        .unwrap();
    let error = log.ensure().await.unwrap_err().to_string();
    assert!(error.contains("backbone.events.size_max"), "{error}");
    assert!(log.ready().await.is_err());
}

/// Consumers that others made are neither listed as ours nor taken over.
#[tokio::test]
async fn foreign_consumers_are_left_alone() {
    let fixture = JetstreamFixture::new().await;
    let context = jetstream::new(fixture.client().await);
    let stream = context.get_stream("TIDEGATE_EVENTS").await.unwrap();
    let push = jetstream::consumer::push::Config {
        durable_name: Some("push".to_owned()),
        deliver_subject: "somewhere".to_owned(),
        ..Default::default()
    };
    stream.create_consumer(push).await.unwrap();
    assert_eq!(fixture.log().consumers().await.unwrap(), []);
    let error = fixture.log().open(spec("push")).await.unwrap_err();
    assert!(error.to_string().contains("push consumer"), "{error}");
}
