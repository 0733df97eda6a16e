//! A Subscription on a log in memory, and attempts by script.

use std::{
    future::pending,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prometheus_client::registry::Registry;
use tidegate_backbone::{
    Append, Log, Shard,
    memory::{Memory, MemoryRegister},
    subject,
};
use tidegate_consume::{
    Attempt, Budget, Config, Failure, Gate, Health, Metrics, Pace, Retry, Service, Verdict,
    shared::{Hub, Load, SharedLog},
};
use tidegate_event::Event;
use tidegate_subscription::{Delivery, Matched, Matching, Start, Subscription};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};

pub(crate) const ROOT: &str = "tidegate.events";

pub(crate) type Script = dyn Fn(&Event, usize) -> (Duration, Verdict) + Send + Sync;

/// An event's id, why it was given up, and the place of its dead letter.
type Buried = (String, &'static str, u64);

/// Attempts by script: given the event and how often it was tried, how long, and what then.
#[derive(Clone)]
pub(crate) struct Scripted {
    script: Arc<Script>,
    pub(crate) made: Arc<Mutex<Vec<(String, Instant)>>>,
    pub(crate) buried: Arc<Mutex<Vec<Buried>>>,
    under_way: Arc<AtomicUsize>,
    pub(crate) most_under_way: Arc<AtomicUsize>,
}

impl Scripted {
    pub(crate) fn new(
        script: impl Fn(&Event, usize) -> (Duration, Verdict) + Send + Sync + 'static,
    ) -> Self {
        Self {
            script: Arc::new(script),
            made: Arc::default(),
            buried: Arc::default(),
            under_way: Arc::default(),
            most_under_way: Arc::default(),
        }
    }

    /// How often an event was tried.
    pub(crate) fn times(&self, id: &str) -> usize {
        self.made
            .lock()
            .unwrap()
            .iter()
            .filter(|(made, _)| made == id)
            .count()
    }

    /// When an event was tried.
    pub(crate) fn when(&self, id: &str) -> Vec<Instant> {
        let made = self.made.lock().unwrap();
        made.iter()
            .filter(|(made, _)| made == id)
            .map(|(_, when)| *when)
            .collect()
    }
}

impl Attempt for Scripted {
    async fn attempt(&self, event: &Event, _: &Matched) -> Verdict {
        let times = self.times(&event.id);
        self.made
            .lock()
            .unwrap()
            .push((event.id.to_string(), Instant::now()));
        let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_under_way.fetch_max(now, Ordering::Relaxed);
        let (takes, verdict) = (self.script)(event, times);
        tokio::time::sleep(takes).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        verdict
    }

    async fn buried(&self, event: &Event, failure: &Failure, letter: u64) {
        let told = (event.id.to_string(), failure.code, letter);
        self.buried.lock().unwrap().push(told);
    }
}

pub(crate) fn retry() -> Verdict {
    Verdict::Retry {
        failure: Failure::new("test/retry", "later"),
        after: None,
        health: Health::Failing,
    }
}

/// Nobody was there.
pub(crate) fn away() -> Verdict {
    Verdict::Retry {
        failure: Failure::new("test/away", "nobody"),
        after: None,
        health: Health::Away,
    }
}

pub(crate) fn config() -> Config {
    Config {
        ack_wait: Duration::from_secs(30),
        retry: Retry {
            attempts_max: 4,
            backoff_delay: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
        },
        ..Config::default()
    }
}

pub(crate) fn subscription(window: u32) -> Arc<Subscription> {
    Arc::new(Subscription {
        namespace: "default".to_owned(),
        name: "all".to_owned(),
        sink: "http://sink/".parse().unwrap(),
        matching: Matching::Standard {
            source: "/s".to_owned(),
            types: vec!["t.v1".to_owned()],
        },
        delivery: Delivery {
            max_in_flight: NonZeroU32::new(window).unwrap(),
            ..Delivery::default()
        },
        start: Start::New,
        pause: false,
    })
}

/// How the loops see it.
pub(crate) type Shared = SharedLog<Memory, MemoryRegister>;

/// What a test's process reads the log with; one for all of its loops.
fn shared(log: &Memory, config: &Config) -> Shared {
    static HUBS: Mutex<Vec<(Memory, Hub<Memory, MemoryRegister>)>> = Mutex::new(Vec::new());
    if !crate::IS_SHARED {
        return SharedLog::new(log.clone(), []);
    }
    let mut hubs = HUBS.lock().unwrap();
    let known = hubs.iter().find(|(of, _)| of.is_same(log));
    let hub = known.map(|(_, hub)| hub.clone()).unwrap_or_else(|| {
        let shard = (Shard::WHOLE, log.register(Shard::WHOLE));
        let (load, metrics) = (Load::default(), Metrics::default());
        let hub = Hub::new(config, log.clone(), shard, &load, &metrics);
        let running = hub.clone();
        tokio::spawn(async move { running.run("process", pending()).await });
        hubs.push((log.clone(), hub.clone()));
        hub
    });
    SharedLog::new(log.clone(), [hub])
}

fn named(name: &str, window: u32) -> Arc<Subscription> {
    let mut named = (*subscription(window)).clone();
    named.name = name.to_owned();
    Arc::new(named)
}

/// A running loop.
pub(crate) struct Loop {
    pub(crate) log: Memory,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Loop {
    pub(crate) async fn start(
        log: &Memory,
        attempt: &Scripted,
        config: Config,
        window: u32,
    ) -> Self {
        Self::of(log, attempt, config, subscription(window)).await
    }

    pub(crate) async fn of(
        log: &Memory,
        attempt: &Scripted,
        config: Config,
        subscription: Arc<Subscription>,
    ) -> Self {
        Self::with(log, attempt, config, subscription, |service| service).await
    }

    pub(crate) async fn paced(
        log: &Memory,
        attempt: &Scripted,
        config: Config,
        subscription: Arc<Subscription>,
        pace: Pace,
    ) -> Self {
        Self::with(log, attempt, config, subscription, |service| {
            service.paced(pace)
        })
        .await
    }

    pub(crate) async fn through(log: &Memory, attempt: &Scripted, name: &str, gate: Gate) -> Self {
        let change = |service: Service<Shared, Scripted>| service.through(gate);
        Self::with(log, attempt, config(), named(name, 10), change).await
    }

    pub(crate) async fn through_at(
        log: &Memory,
        attempt: &Scripted,
        name: &str,
        gate: Gate,
        pace: Pace,
    ) -> Self {
        let change = |service: Service<Shared, Scripted>| service.through(gate).paced(pace);
        Self::with(log, attempt, config(), named(name, 10), change).await
    }

    pub(crate) async fn within(
        log: &Memory,
        attempt: &Scripted,
        config: Config,
        name: &str,
        budget: Budget,
    ) -> Self {
        let change = |service: Service<Shared, Scripted>| service.within(budget);
        Self::with(log, attempt, config, named(name, 100), change).await
    }

    async fn with(
        log: &Memory,
        attempt: &Scripted,
        config: Config,
        subscription: Arc<Subscription>,
        change: impl FnOnce(Service<Shared, Scripted>) -> Service<Shared, Scripted>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let metrics = Metrics::register(&mut Registry::default());
        let own = subscription.consumer_name();
        let service = Service::new(
            config.clone(),
            ROOT,
            subscription,
            shared(log, &config),
            attempt.clone(),
            &metrics,
            7,
        );
        let (open, is_open) = oneshot::channel();
        let opened = move || open.send(()).expect("it is waited for");
        let until = async move { drop(stopped.await) };
        let task = tokio::spawn(change(service).run(opened, until, Duration::from_secs(20)));
        // The consumer begins with what is stored from its making on.
        is_open.await.unwrap();
        if crate::IS_SHARED {
            // If it can share, it does before long.
            let is_shared = until_true(|| async {
                let consumers = log.consumers().await.unwrap();
                consumers.iter().all(|one| one.name != own)
            });
            drop(timeout(Duration::from_secs(5), is_shared).await);
        }
        Self {
            log: log.clone(),
            stop,
            task,
        }
    }

    pub(crate) async fn publish(&self, id: &str) {
        publish(&self.log, id, "t.v1").await;
    }

    /// Nothing is left to deliver or to settle.
    pub(crate) async fn settled(&self) {
        until_true(|| async {
            let consumers = self.log.consumers().await.unwrap();
            consumers
                .iter()
                .all(|one| one.undelivered == 0 && one.unsettled == 0)
        })
        .await;
    }

    /// As if its process died.
    pub(crate) async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

pub(crate) async fn publish(log: &Memory, id: &str, r#type: &str) {
    publish_event(log, Event::new(id.to_owned(), "/s", r#type.to_owned())).await;
}

pub(crate) async fn publish_event(log: &Memory, event: Event) {
    let subject = subject::of(ROOT, &event.source, &event.r#type).unwrap();
    log.append(&Append {
        subject,
        message_id: None,
        event,
    })
    .await
    .unwrap();
}

/// Waits in paused time, so that no real time passes.
pub(crate) async fn until_true<F: Future<Output = bool>>(mut fine: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(24 * 3_600);
    while !fine().await {
        assert!(Instant::now() < deadline, "it never comes true");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
