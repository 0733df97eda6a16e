//! Topics as a door: records are taken in order of their partitions, and an offset is committed when
//! what is before it is durable.

use std::{
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::join_all};
use rdkafka::{
    config::{ClientConfig, FromClientConfigAndContext as _},
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::KafkaError,
    message::BorrowedMessage,
    topic_partition_list::TopicPartitionList,
};
use tidegate_document::kafka::Cluster;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    Config, Metrics, Record,
    batch::{Batch, Next},
    client::{Access, Context, Secrets, Trouble},
    metrics::Shown,
};

/// How often it is looked whether secrets have changed, and whether something is stuck.
const LOOK: Duration = Duration::from_secs(5);

/// From a failure to the next try, at first and at last.
const AGAIN: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(30);

/// What takes longer stops the fetching, so that the group does not think that nobody is there.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Stores what records say.
pub trait Intake: Send + Sync + 'static {
    /// Takes records of one partition, in order. It ends when of each what it says is durable, or
    /// that it says nothing that can be read; and not before, however long that takes. The future may
    /// be dropped: what was not taken then comes again.
    fn take(&self, records: Vec<Record>) -> impl Future<Output = ()> + Send;
}

/// What a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// Where the topics are.
    pub cluster: Cluster,
    /// Which topics.
    pub topics: Topics,
    /// The consumer group.
    pub group: String,
    /// Where a group begins that has no offset yet.
    pub begin: Begin,
    /// The folder of the document with the secrets.
    pub folder: PathBuf,
}

/// Topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topics {
    /// These.
    Named(Vec<String>),
    /// All whose name matches: a regular expression that begins with `^`.
    Matching(String),
}

/// Where a group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the oldest record.
    Earliest,
    /// With what comes from now on.
    Latest,
}

/// How a source is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The partitions that this process has, by topic; and how many records of each are not stored
    /// yet, where that is known.
    pub partitions: BTreeMap<String, BTreeMap<i32, Option<i64>>>,
    /// What is wrong, if something is.
    pub trouble: Option<String>,
}

/// A source that does not run yet.
pub struct Source {
    settings: Settings,
    config: Config,
    metrics: Metrics,
    state: watch::Sender<State>,
}

/// Why a run is over.
enum Over {
    Stopped,
    /// It begins anew: with other secrets, or after a failure.
    Again(Option<String>),
}

type Stream<'a> = rdkafka::consumer::MessageStream<'a, Context>;

impl Source {
    /// A source with these settings.
    pub fn new(settings: Settings, config: &Config, metrics: &Metrics) -> Self {
        Self {
            settings,
            config: config.clone(),
            metrics: metrics.clone(),
            state: watch::channel(State::default()).0,
        }
    }

    /// How it is.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Runs until `stop` is ready; what is under way then has `grace`.
    pub async fn run(self, intake: impl Intake, stop: impl Future<Output = ()>, grace: Duration) {
        let mut stop = pin!(stop);
        let mut pause = AGAIN;
        loop {
            let began = Instant::now();
            let over = match self.consumer() {
                Ok((consumer, secrets, trouble)) => {
                    let run = Run {
                        source: &self,
                        consumer: &consumer,
                        intake: &intake,
                        trouble,
                        secrets,
                    };
                    run.until(stop.as_mut(), grace).await
                }
                Err(reason) => Over::Again(Some(reason)),
            };
            let reason = match over {
                Over::Stopped => return,
                Over::Again(None) => continue,
                Over::Again(Some(reason)) => reason,
            };
            tracing::warn!(
                source = self.settings.name,
                reason,
                "the Kafka source begins anew"
            );
            self.state.send_replace(State {
                partitions: BTreeMap::new(),
                trouble: Some(reason),
            });
            if began.elapsed() > AGAIN_MAX {
                pause = AGAIN;
            }
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(AGAIN_MAX);
        }
    }

    fn consumer(&self) -> Result<(StreamConsumer<Context>, Secrets, Arc<Trouble>), String> {
        let Settings {
            name,
            cluster,
            topics,
            group,
            begin,
            folder,
        } = &self.settings;
        let access = Access::new(cluster, folder, &self.config)?;
        let secrets = access.secrets.clone();
        let client = self.configured(access, group, *begin);
        let trouble = Arc::new(Trouble::default());
        let shown = Shown::new(&self.metrics, name);
        let context = Context::new(cluster, folder, shown, Arc::clone(&trouble));
        let consumer = StreamConsumer::from_config_and_context(&client, context);
        let consumer = consumer.map_err(|error| error.to_string())?;
        let topics: Vec<&str> = match topics {
            Topics::Named(topics) => topics.iter().map(String::as_str).collect(),
            Topics::Matching(pattern) => vec![pattern],
        };
        let subscribed = consumer.subscribe(&topics);
        subscribed.map_err(|error| error.to_string())?;
        Ok((consumer, secrets, trouble))
    }

    fn configured(&self, access: Access, group: &str, begin: Begin) -> ClientConfig {
        let begin = match begin {
            Begin::Earliest => "earliest",
            Begin::Latest => "latest",
        };
        let Config {
            queued_bytes_max,
            commit_interval,
            ..
        } = &self.config;
        access.with([
            ("group.id", group.to_owned()),
            ("auto.offset.reset", begin.to_owned()),
            // What is stored is committed, and nothing else.
            ("enable.auto.offset.store", "false".to_owned()),
            ("enable.auto.commit", "true".to_owned()),
            (
                "auto.commit.interval.ms",
                commit_interval.as_millis().to_string(),
            ),
            // A change moves as few partitions as it can, and the others go on meanwhile.
            (
                "partition.assignment.strategy",
                "cooperative-sticky".to_owned(),
            ),
            ("allow.auto.create.topics", "false".to_owned()),
            // New topics of a pattern, and new partitions, are found as soon.
            ("topic.metadata.refresh.interval.ms", "30000".to_owned()),
            (
                "queued.max.messages.kbytes",
                (queued_bytes_max.as_u64() >> 10).max(1).to_string(),
            ),
        ])
    }
}

/// One consumer at work.
struct Run<'a, I> {
    source: &'a Source,
    consumer: &'a StreamConsumer<Context>,
    intake: &'a I,
    trouble: Arc<Trouble>,
    secrets: Secrets,
}

impl<I: Intake> Run<'_, I> {
    async fn until(&self, mut stop: impl Future<Output = ()> + Unpin, grace: Duration) -> Over {
        let mut stream = self.consumer.stream();
        let mut next = Next::default();
        let mut looked_at = Instant::now();
        let over = loop {
            if looked_at.elapsed() >= LOOK {
                looked_at = Instant::now();
                if let Some(over) = self.look() {
                    break over;
                }
            }
            // The first records are taken as they come, those behind them together meanwhile.
            if next.count == 0 {
                tokio::select! {
                    () = &mut stop => break Over::Stopped,
                    () = sleep_until(looked_at + LOOK) => {}
                    message = stream.next() => if let Some(over) = self.came(message, &mut next) {
                        break over;
                    },
                }
                continue;
            }
            self.more(&mut stream, &mut next);
            next.forget_all(self.consumer.context().take_revoked());
            let batch = std::mem::take(&mut next);
            let reading = (&mut stream, &mut next);
            if let Some(over) = self.settle(batch, reading, (&mut stop, grace)).await {
                break over;
            }
        };
        drop(stream);
        // What is kept is committed before the partitions go to somebody else.
        if let Err(error) = self.consumer.commit_consumer_state(CommitMode::Sync) {
            tracing::debug!(%error, "no offset to commit");
        }
        over
    }

    /// Takes these to their end, keeps their offsets, and reads more meanwhile. When that is enough,
    /// the group still has to see that somebody is there.
    async fn settle(
        &self,
        batch: Next,
        (stream, next): (&mut Stream<'_>, &mut Next),
        (stop, grace): (&mut (impl Future<Output = ()> + Unpin), Duration),
    ) -> Option<Over> {
        let ends = batch.ends();
        let mut taking = pin!(self.take(batch.records));
        let mut paused = false;
        let mut stuck_at = Instant::now() + STUCK_AFTER;
        let over = loop {
            tokio::select! {
                biased;
                () = &mut taking => break None,
                () = &mut *stop => break Some(Over::Stopped),
                message = stream.next(), if paused || self.has_room(next) => {
                    if let Some(over) = self.came(message, next) {
                        break Some(over);
                    }
                    if paused {
                        self.pause();
                    } else {
                        self.more(stream, next);
                    }
                }
                () = sleep_until(stuck_at) => {
                    paused = true;
                    stuck_at = Instant::now() + STUCK_AFTER;
                    self.pause();
                    if let Some(over) = self.look() {
                        break Some(over);
                    }
                }
            }
        };
        match over {
            None => self.keep(&ends),
            // What is under way has a grace.
            Some(Over::Stopped) => {
                if timeout(grace, taking).await.is_ok() {
                    self.keep(&ends);
                }
            }
            Some(Over::Again(_)) => {}
        }
        if paused {
            self.resume();
        }
        over
    }

    fn has_room(&self, next: &Next) -> bool {
        let Config {
            records_max,
            queued_bytes_max,
            ..
        } = &self.source.config;
        next.count < records_max.get() && next.bytes < queued_bytes_max.as_u64()
    }

    /// What is there already, as far as there is room.
    fn more(&self, stream: &mut Stream<'_>, next: &mut Next) {
        while self.has_room(next) {
            match stream.next().now_or_never() {
                Some(Some(Ok(message))) => self.add(&message, next),
                // An error comes again, or has passed.
                Some(Some(Err(error))) => drop(self.failed(&error)),
                Some(None) | None => break,
            }
        }
    }

    fn came(
        &self,
        message: Option<Result<BorrowedMessage<'_>, KafkaError>>,
        next: &mut Next,
    ) -> Option<Over> {
        match message {
            Some(Ok(message)) => {
                self.add(&message, next);
                self.trouble.clear();
                None
            }
            Some(Err(error)) => self.failed(&error),
            None => Some(Over::Again(Some("the consumer has ended".to_owned()))),
        }
    }

    /// What has gone to somebody else meanwhile is theirs to take, and not also ours.
    fn add(&self, message: &BorrowedMessage<'_>, next: &mut Next) {
        next.forget_all(self.consumer.context().take_revoked());
        next.add(message);
    }

    fn failed(&self, error: &KafkaError) -> Option<Over> {
        let reason = error.to_string();
        let is_fatal = matches!(error, KafkaError::MessageConsumptionFatal(_))
            || self.consumer.client().fatal_error().is_some();
        if is_fatal {
            return Some(Over::Again(Some(reason)));
        }
        // librdkafka tries again by itself. What it has told already says more.
        if self.trouble.get().is_none() {
            self.trouble.add(error, &reason);
        }
        None
    }

    async fn take(&self, records: Batch) {
        let partitions = records.into_values();
        join_all(partitions.map(|records| self.intake.take(records))).await;
    }

    /// Up to here all is durable.
    fn keep(&self, ends: &[(Arc<str>, i32, i64)]) {
        for (topic, partition, offset) in ends {
            if let Err(error) = self.consumer.store_offset(topic, *partition, *offset) {
                // It went to somebody else meanwhile, who takes the same once more.
                tracing::debug!(topic = &**topic, partition, %error, "an offset is not ours to keep");
            }
        }
    }

    fn look(&self) -> Option<Over> {
        let Settings {
            cluster, folder, ..
        } = &self.source.settings;
        if has_others(cluster, folder, &self.secrets) {
            tracing::info!(
                source = self.source.settings.name,
                "its secrets have changed"
            );
            return Some(Over::Again(None));
        }
        let state = State {
            partitions: self.partitions(),
            trouble: self.trouble.get(),
        };
        self.source.state.send_if_modified(|was| {
            let changed = *was != state;
            *was = state;
            changed
        });
        None
    }

    fn partitions(&self) -> BTreeMap<String, BTreeMap<i32, Option<i64>>> {
        let mut partitions: BTreeMap<String, BTreeMap<i32, Option<i64>>> = BTreeMap::new();
        let shown = &self.consumer.context().shown;
        for one in self.assignment().elements() {
            let (topic, partition) = (one.topic(), one.partition());
            let of_topic = partitions.entry(topic.to_owned()).or_default();
            of_topic.insert(partition, shown.lag_of(topic, partition));
        }
        partitions
    }

    fn assignment(&self) -> TopicPartitionList {
        self.consumer.assignment().unwrap_or_default()
    }

    fn pause(&self) {
        if let Err(error) = self.consumer.pause(&self.assignment()) {
            tracing::debug!(%error, "not paused");
        }
    }

    fn resume(&self) {
        if let Err(error) = self.consumer.resume(&self.assignment()) {
            tracing::warn!(%error, "not resumed");
        }
    }
}

fn has_others(cluster: &Cluster, folder: &Path, secrets: &Secrets) -> bool {
    // One that cannot be read now may be on its way: what is known goes on.
    Secrets::read(cluster, folder).is_ok_and(|now| now != *secrets)
}
