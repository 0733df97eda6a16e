//! A log to judge, on either adapter, and events to put into it.

use std::{collections::BTreeMap, future::Future, time::Duration};

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tidegate_backbone::{
    Append, AppendError, Config, ConsumerSpec, Delivery, Durability, Log, MessageId, Receipt,
    Settle, Shard, Source, Start, Stored, Unreadable,
    jetstream::Jetstream,
    memory::{Limits, Memory, MemoryRegister},
    subject,
};
use tidegate_event::Event;
use tidegate_testkit::{NatsServer, fsync_nats_server_binary};

/// Longer than anything here takes on a loaded machine; only ever reached by a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the subjects of events begin with.
pub(crate) const ROOT: &str = "tidegate.events";

/// A dead letter as somebody who lists them sees it.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) id: Option<String>,
    pub(crate) payload: Bytes,
    pub(crate) attempts: u32,
    pub(crate) reason: String,
}

pub(crate) trait Fixture {
    type Log: Log;

    fn log(&self) -> &Self::Log;

    /// Stores what is no event, as a foreign publisher might.
    fn append_unreadable(&self, subject: &str, payload: Bytes) -> impl Future<Output = ()>;

    /// Takes an exclusive consumer from whoever has it.
    fn unpin(&self, consumer: &str) -> impl Future<Output = ()>;

    /// Takes a dead letter away.
    fn discard(&self, letter: u64) -> impl Future<Output = ()>;

    /// All dead letters, oldest first.
    fn dead_letters(&self) -> impl Future<Output = Vec<Letter>>;
}

pub(crate) struct MemoryFixture {
    log: Memory,
}

impl MemoryFixture {
    pub(crate) fn new() -> Self {
        Self {
            log: Memory::default(),
        }
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self {
            log: Memory::new(limits),
        }
    }

    pub(crate) fn register(&self) -> MemoryRegister {
        self.log.register(Shard::WHOLE)
    }
}

impl Fixture for MemoryFixture {
    type Log = Memory;

    fn log(&self) -> &Memory {
        &self.log
    }

    async fn append_unreadable(&self, subject: &str, payload: Bytes) {
        let reason = "no event".to_owned();
        let unreadable = Unreadable {
            reason,
            headers: Vec::new(),
            payload,
        };
        self.log.append_unreadable(subject, unreadable).unwrap();
    }

    async fn unpin(&self, consumer: &str) {
        self.log.unpin(consumer);
    }

    async fn discard(&self, letter: u64) {
        self.log.discard(letter);
    }

    async fn dead_letters(&self) -> Vec<Letter> {
        let letters = self.log.dead_letters().into_iter();
        letters
            .map(|letter| Letter {
                id: letter.event.as_ref().ok().map(|event| event.id.to_string()),
                payload: match letter.event {
                    Ok(event) => event.data.unwrap_or_default(),
                    Err(unreadable) => unreadable.payload,
                },
                attempts: letter.attempts,
                reason: letter.reason.to_owned(),
            })
            .collect()
    }
}

pub(crate) struct JetstreamFixture {
    pub(crate) server: NatsServer,
    pub(crate) config: Config,
    pub(crate) log: Jetstream,
}

impl JetstreamFixture {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::on(NatsServer::start().await, config).await
    }

    /// On a server that syncs every write, with further lines of configuration; `None` without
    /// one.
    pub(crate) async fn fsync(config: Config, config_lines: &str) -> Option<Self> {
        let server = fsync_server(config_lines).await?;
        let durability = Durability::Fsync;
        Some(
            Self::on(
                server,
                Config {
                    durability,
                    ..config
                },
            )
            .await,
        )
    }

    pub(crate) async fn on(server: NatsServer, config: Config) -> Self {
        let log = Jetstream::connect(&config, &server.url(), "test")
            .await
            .unwrap();
        assert_eq!(log.ensure().await.unwrap(), []);
        Self {
            server,
            config,
            log,
        }
    }

    /// A connection of the test's own.
    pub(crate) async fn client(&self) -> async_nats::Client {
        async_nats::connect(self.server.url()).await.unwrap()
    }
}

/// A server that syncs every write, or a word that there is none.
pub(crate) async fn fsync_server(config_lines: &str) -> Option<NatsServer> {
    recent_server(&format!(
        "jetstream {{ sync_interval: always, {config_lines} }}"
    ))
    .await
}

/// A server of 2.15 or newer, or a word that there is none.
pub(crate) async fn recent_server(config_lines: &str) -> Option<NatsServer> {
    let Some(binary) = fsync_nats_server_binary() else {
        println!("skipped: TIDEGATE_NATS_SERVER_FSYNC is not set");
        return None;
    };
    Some(NatsServer::start_binary(binary, config_lines).await)
}

impl Fixture for JetstreamFixture {
    type Log = Jetstream;

    fn log(&self) -> &Jetstream {
        &self.log
    }

    async fn append_unreadable(&self, subject: &str, payload: Bytes) {
        let client = self.client().await;
        let mut headers = HeaderMap::new();
        headers.insert("x-own", "value");
        let jetstream = async_nats::jetstream::new(client);
        let subject = subject.to_owned();
        jetstream
            .publish_with_headers(subject, headers, payload)
            .await
            .unwrap()
            .await
            .unwrap();
    }

    async fn unpin(&self, consumer: &str) {
        let stream = &self.config.events.stream;
        let subject = format!("$JS.API.CONSUMER.UNPIN.{stream}.{consumer}");
        let request = r#"{"group":"order"}"#.into();
        let client = self.client().await;
        client.request(subject, request).await.unwrap();
    }

    async fn discard(&self, letter: u64) {
        assert!(self.log.discard(letter).await.unwrap());
    }

    async fn dead_letters(&self) -> Vec<Letter> {
        let jetstream = async_nats::jetstream::new(self.client().await);
        let stream = jetstream
            .get_stream(&self.config.dead_letters.stream)
            .await
            .unwrap();
        let count = stream.cached_info().state.messages;
        let consumer = stream
            .create_consumer(async_nats::jetstream::consumer::pull::OrderedConfig::default())
            .await
            .unwrap();
        let mut messages = consumer.messages().await.unwrap();
        let mut letters = Vec::new();
        for _ in 0..count {
            let message = messages.next().await.unwrap().unwrap();
            let headers: BTreeMap<String, String> = message
                .headers
                .iter()
                .flat_map(HeaderMap::iter)
                .map(|(name, values)| (name.to_string(), values[0].to_string()))
                .collect();
            assert!(
                message.subject.starts_with("tidegate.dead.default."),
                "{}",
                message.subject
            );
            letters.push(Letter {
                id: headers.get("ce-id").cloned(),
                payload: message.payload.clone(),
                attempts: headers["tidegate-attempts"].parse().unwrap(),
                reason: headers["tidegate-reason"].clone(),
            });
        }
        letters
    }
}

/// An event with data.
pub(crate) fn event(id: &str) -> Event {
    event_of(id, "source", "order.created.v1")
}

pub(crate) fn event_of(id: &str, source: &str, r#type: &str) -> Event {
    let mut event = Event::new(id, source, r#type);
    event.datacontenttype = Some("application/json".into());
    event.data = Some(Bytes::from(format!("{{\"id\":\"{id}\"}}")));
    event
}

/// What appends an event without deduplication.
pub(crate) fn append_of(event: Event) -> Append {
    let subject = subject::of(ROOT, &event.source, &event.r#type).unwrap();
    Append {
        subject,
        message_id: None,
        event,
    }
}

pub(crate) async fn append(log: &impl Log, event: Event) -> Stored {
    log.append(&append_of(event)).await.unwrap()
}

/// Appends until it is stored, as a sender would.
pub(crate) async fn append_until_stored(log: &impl Log, append: &Append) -> Stored {
    within(async {
        loop {
            match log.append(append).await {
                Ok(stored) => return stored,
                Err(error) => assert!(
                    matches!(
                        error,
                        AppendError::Unreachable { .. } | AppendError::TimedOut { .. }
                    ),
                    "{error}"
                ),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

/// Waits until every connection stands: one may be back before the others.
pub(crate) async fn until_ready(log: &impl Log) {
    within(async {
        while log.ready().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

pub(crate) fn message_id(id: &str) -> Option<MessageId> {
    Some(MessageId(id.to_owned()))
}

/// A consumer of all events from the beginning, with an ack wait that no test reaches.
pub(crate) fn spec(name: &str) -> ConsumerSpec {
    ConsumerSpec {
        name: name.to_owned(),
        description: format!("consumer {name}"),
        filters: Vec::new(),
        start: Start::All,
        ack_wait: 2 * PATIENCE,
        wants: None,
        unsettled_max: 1_000,
        exclusive: false,
    }
}

/// The id of what was delivered.
pub(crate) fn id<R>(delivery: &Delivery<R>) -> String {
    delivery.event.as_ref().expect("an event").id.to_string()
}

pub(crate) fn ids<R>(deliveries: &[Delivery<R>]) -> Vec<String> {
    deliveries.iter().map(id).collect()
}

/// Pulls until `count` events have come.
pub(crate) async fn pull<S: Source>(source: &mut S, count: usize) -> Vec<Delivery<S::Receipt>> {
    within(async {
        let mut all = Vec::new();
        while all.len() < count {
            let left = count - all.len();
            let pulled = source.pull(left).await.unwrap();
            assert!(
                !pulled.is_empty() && pulled.len() <= left,
                "{} of {left}",
                pulled.len()
            );
            all.extend(pulled);
        }
        all
    })
    .await
}

/// Asserts that nothing comes for a while.
pub(crate) async fn pull_nothing<S: Source>(source: &mut S, during: Duration) {
    if let Ok(pulled) = tokio::time::timeout(during, source.pull(10)).await {
        let pulled = pulled.unwrap();
        let what: Vec<_> = pulled
            .iter()
            .map(|got| (got.sequence, got.attempt))
            .collect();
        panic!("delivered: {what:?}");
    }
}

pub(crate) async fn settle<R: Receipt>(deliveries: &[Delivery<R>], settle: Settle) {
    for delivery in deliveries {
        delivery.receipt.settle(settle).await.unwrap();
    }
}

/// The same, and the log knows it then, on whichever connection it is asked.
pub(crate) async fn settle_surely<R: Receipt>(deliveries: &[Delivery<R>], settle: Settle) {
    for delivery in deliveries {
        delivery.receipt.settle_surely(settle).await.unwrap();
    }
}

/// Waits for something, but not forever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it takes too long")
}
