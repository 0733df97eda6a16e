//! A process that shares consumers, its sinks, and what is asked of both in tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use prometheus_client::registry::Registry;
use tidegate_backbone::{
    Append, AppendError, ConsumerSpec, ControlError, DeadLetter, LettersOf, Log, Pending,
    Register as _, Shard, Stored,
    memory::{Memory, MemoryRegister, MemorySource},
};
use tidegate_consume::{
    Attempt, Config, Failure, Metrics, Service, Verdict,
    shared::{Hub, Load, Shape, SharedLog},
};
use tidegate_event::Event;
use tidegate_subscription::{Matched, Matching, Subscription};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::fixture::{ROOT, config, publish, retry, subscription};

/// Most that a process has in its hands in these tests.
pub(crate) const EVENTS_MAX: u32 = 64;

/// So long an attempt takes at a sink that is well.
pub(crate) const QUICK: Duration = Duration::from_millis(5);

/// How long a loop that stops waits for its attempts.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// What takes longer never comes.
pub(crate) const TEST_MAX: Duration = Duration::from_mins(3);

/// How long a question takes to the log, and an answer back.
pub(crate) const DISTANCE: Duration = Duration::from_millis(7);

pub(crate) type Shared = SharedLog<Distant, MemoryRegister>;

// === impl Distant ===

/// A log that answers what is known of consumers as it was a moment ago.
#[derive(Clone)]
pub(crate) struct Distant(pub(crate) Memory);

pub(crate) async fn far<T>(asked: impl Future<Output = T>) -> T {
    sleep(DISTANCE).await;
    let answer = asked.await;
    sleep(DISTANCE).await;
    answer
}

impl Log for Distant {
    type Source = MemorySource;

    async fn append(&self, append: &Append) -> Result<Stored, AppendError> {
        self.0.append(append).await
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<Stored, AppendError> {
        self.0.bury(letter).await
    }

    async fn letters_of(&self, of: &LettersOf) -> Result<BTreeMap<u64, u64>, ControlError> {
        far(self.0.letters_of(of)).await
    }

    async fn last(&self) -> Result<u64, ControlError> {
        far(self.0.last()).await
    }

    async fn stored_behind(&self, filters: &[String], place: u64) -> Result<u64, ControlError> {
        far(self.0.stored_behind(filters, place)).await
    }

    async fn open(&self, spec: ConsumerSpec) -> Result<MemorySource, ControlError> {
        far(self.0.open(spec)).await
    }

    async fn narrow(&self, spec: &ConsumerSpec) -> Result<bool, ControlError> {
        far(self.0.narrow(spec)).await
    }

    async fn remove(&self, consumer: &str) -> Result<(), ControlError> {
        far(self.0.remove(consumer)).await
    }

    async fn consumers(&self) -> Result<Vec<Pending>, ControlError> {
        far(self.0.consumers()).await
    }

    async fn consumer(&self, name: &str) -> Result<Option<Pending>, ControlError> {
        far(self.0.consumer(name)).await
    }

    fn now(&self) -> SystemTime {
        self.0.now()
    }

    async fn ready(&self) -> Result<(), ControlError> {
        self.0.ready().await
    }
}

// === impl Sink ===

/// A sink that answers while it is well, and not at all while it is not.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) takes: Duration,
    pub(crate) is_well: watch::Sender<bool>,
    /// The event that it thinks about for long, and does not take the first time.
    pub(crate) hard: Arc<Mutex<Option<String>>>,
    pub(crate) delivered: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    pub(crate) fn new() -> Self {
        Self::that_takes(QUICK)
    }

    pub(crate) fn that_takes(takes: Duration) -> Self {
        Self {
            takes,
            is_well: watch::channel(true).0,
            hard: Arc::default(),
            delivered: Arc::default(),
        }
    }

    pub(crate) fn hang(&self) {
        self.is_well.send_replace(false);
    }

    pub(crate) fn recover(&self) {
        self.is_well.send_replace(true);
    }

    /// How often each event was delivered.
    pub(crate) fn times(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for id in &*self.delivered.lock().unwrap() {
            *times.entry(id.clone()).or_default() += 1;
        }
        times
    }

    pub(crate) fn has(&self, ids: &BTreeSet<String>) -> bool {
        let times = self.times();
        ids.iter().all(|id| times.contains_key(id))
    }

    pub(crate) fn has_nothing(&self) -> bool {
        self.delivered.lock().unwrap().is_empty()
    }

    /// It got these and no others, each of them once.
    pub(crate) fn has_once(&self, ids: &BTreeSet<String>, whose: &str) {
        let once: BTreeMap<String, usize> = ids.iter().map(|id| (id.clone(), 1)).collect();
        let times = self.times();
        let wrong = |(id, times): &(&String, &usize)| once.get(*id) != Some(times);
        let wrong: Vec<_> = times.iter().filter(wrong).collect();
        let lost: Vec<_> = ids.iter().filter(|id| !times.contains_key(*id)).collect();
        assert!(
            wrong.is_empty() && lost.is_empty(),
            "{whose}: not once or not wanted {wrong:?}, lost {lost:?}"
        );
    }
}

impl Attempt for Sink {
    async fn attempt(&self, event: &Event, _: &Matched) -> Verdict {
        let mut is_well = self.is_well.subscribe();
        is_well.wait_for(|is_well| *is_well).await.unwrap();
        sleep(self.takes).await;
        let is_hard = self.hard.lock().unwrap().take_if(|hard| event.id == *hard);
        if is_hard.is_some() {
            sleep(Duration::from_secs(20)).await;
            return retry();
        }
        self.delivered.lock().unwrap().push(event.id.to_string());
        Verdict::DELIVERED
    }

    async fn buried(&self, _: &Event, _: &Failure, _: u64) {}
}

// === impl Process ===

/// What reads the shared consumer, and the loops beside it.
pub(crate) struct Process {
    pub(crate) log: Shared,
    pub(crate) config: Config,
    pub(crate) readers: Vec<Running>,
    pub(crate) loops: BTreeMap<String, Running>,
}

/// What runs until it is stopped.
pub(crate) struct Running {
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

impl Process {
    /// `name` is what no other process is called.
    pub(crate) fn start(log: &Memory, name: &'static str) -> Self {
        Self::of_shards(log, name, 1)
    }

    /// The same, where so many consumers are shared.
    pub(crate) fn of_shards(log: &Memory, name: &'static str, of: u32) -> Self {
        let load = Load::default();
        let hubs: Vec<_> = (0..of)
            .map(|number| hub(log, Shard { number, of }, &load))
            .collect();
        let readers = hubs.iter().map(|hub| {
            let (stop, stopped) = oneshot::channel();
            let until = async move { drop(stopped.await) };
            let hub = hub.clone();
            let task = tokio::spawn(async move { hub.run(name, until).await });
            Running { stop, task }
        });
        Self {
            readers: readers.collect(),
            log: SharedLog::new(Distant(log.clone()), hubs),
            config: sharing(),
            loops: BTreeMap::new(),
        }
    }

    /// Runs a Subscription's loop, and waits until it is open.
    pub(crate) async fn open(&mut self, subscription: &Arc<Subscription>, sink: &Sink) {
        let running = running(&self.log, &self.config, subscription, sink).await;
        let before = self.loops.insert(subscription.name.clone(), running);
        assert!(before.is_none(), "it runs already");
    }

    /// The same, and waits until it shares.
    pub(crate) async fn join(&mut self, subscription: &Arc<Subscription>, sink: &Sink) {
        self.open(subscription, sink).await;
        self.shares(subscription).await;
    }

    pub(crate) async fn shares(&self, subscription: &Subscription) {
        let own = subscription.consumer_name();
        soon("it shares", || async {
            self.log.shape(&own) == Shape::Shared && !names(&self.log.log().0).await.contains(&own)
        })
        .await;
    }

    /// Ends a loop in order.
    pub(crate) async fn close(&mut self, subscription: &Subscription) {
        let running = self.loops.remove(&subscription.name);
        running.expect("it runs").end().await;
    }

    /// Ends in order: the loops, and then what they get their events from.
    pub(crate) async fn stop(self) {
        let mut tasks = Vec::new();
        for running in self.loops.into_values() {
            running.stop.send(()).unwrap();
            tasks.push(running.task);
        }
        for task in tasks {
            task.await.unwrap();
        }
        for reader in self.readers {
            reader.end().await;
        }
    }

    /// Ends without a word.
    pub(crate) async fn kill(self) {
        let loops = self.loops.into_values();
        let tasks: Vec<_> = loops.chain(self.readers).map(|one| one.task).collect();
        for task in &tasks {
            task.abort();
        }
        for task in tasks {
            drop(task.await);
        }
    }
}

pub(crate) fn sharing() -> Config {
    let mut config = config();
    config.shared.enabled = true;
    config.shared.events_max = EVENTS_MAX;
    config
}

pub(crate) fn hub(log: &Memory, shard: Shard, load: &Load) -> Hub<Distant, MemoryRegister> {
    let metrics = Metrics::register(&mut Registry::default());
    let (far, register) = (Distant(log.clone()), log.register(shard));
    Hub::new(&sharing(), far, (shard, register), load, &metrics)
}

pub(crate) async fn running(
    log: &Shared,
    config: &Config,
    subscription: &Arc<Subscription>,
    sink: &Sink,
) -> Running {
    let metrics = Metrics::register(&mut Registry::default());
    let service = Service::new(
        config.clone(),
        ROOT,
        Arc::clone(subscription),
        log.clone(),
        sink.clone(),
        &metrics,
        7,
    );
    let (stop, stopped) = oneshot::channel();
    let (open, is_open) = oneshot::channel();
    let opened = move || open.send(()).expect("it is waited for");
    let until = async move { drop(stopped.await) };
    let task = tokio::spawn(service.run(opened, until, GRACE));
    let opened = timeout(TEST_MAX, is_open).await;
    opened.expect("it opens before long").unwrap();
    Running { stop, task }
}

// --- What is asked of the log ---

/// Waits in paused time for what does not take long.
pub(crate) async fn soon<F: Future<Output = bool>>(what: &str, mut fine: impl FnMut() -> F) {
    let deadline = Instant::now() + TEST_MAX;
    while !fine().await {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn names(log: &Memory) -> BTreeSet<String> {
    let consumers = log.consumers().await.unwrap().into_iter();
    consumers.map(|one| one.name).collect()
}

/// The one shared consumer that there is.
pub(crate) async fn shared(log: &Memory) -> Pending {
    let mut consumers = log.consumers().await.unwrap();
    consumers.retain(|one| one.name.starts_with("shared_"));
    assert_eq!(consumers.len(), 1, "{consumers:?}");
    consumers.remove(0)
}

/// Nothing is left to deliver or to settle, whose ever it is.
pub(crate) async fn settled(log: &Memory) {
    soon("all is settled", || async {
        let consumers = log.consumers().await.unwrap();
        let mut open = consumers.iter().map(|one| one.undelivered + one.unsettled);
        open.all(|open| open == 0)
    })
    .await;
}

pub(crate) async fn registered(log: &Memory) -> BTreeMap<String, String> {
    registered_of(log, Shard::WHOLE).await
}

pub(crate) async fn registered_of(log: &Memory, shard: Shard) -> BTreeMap<String, String> {
    log.register(shard).read().await.unwrap().values
}

/// A Subscription of this name, for events of type `t.v1`.
pub(crate) fn of(name: &str) -> Arc<Subscription> {
    with(name, |_| {})
}

pub(crate) fn with(name: &str, change: impl FnOnce(&mut Subscription)) -> Arc<Subscription> {
    let mut subscription = (*subscription(10)).clone();
    subscription.name = name.to_owned();
    change(&mut subscription);
    Arc::new(subscription)
}

pub(crate) fn of_types(name: &str, types: &[&str]) -> Arc<Subscription> {
    with(name, |one| {
        one.matching = Matching::Standard {
            source: "/s".to_owned(),
            types: types.iter().map(|one| (*one).to_owned()).collect(),
        };
    })
}

/// Stores events whose ids are their places in the log, a while apart.
pub(crate) async fn store(log: &Memory, count: u64, apart: Duration) {
    for _ in 0..count {
        let place = log.events().len() + 1;
        publish(log, &place.to_string(), "t.v1").await;
        sleep(apart).await;
    }
}

/// The ids of the events at these places.
pub(crate) fn places(places: impl IntoIterator<Item = u64>) -> BTreeSet<String> {
    places.into_iter().map(|place| place.to_string()).collect()
}

/// The same of all that is stored.
pub(crate) fn all(log: &Memory) -> BTreeSet<String> {
    places(log.events().iter().map(|one| one.sequence))
}
