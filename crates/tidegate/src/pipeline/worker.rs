//! One thread with a single-threaded runtime: listeners, connections of its own, and its share
//! of the Subscriptions.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, thread, time::Duration};

use anyhow::{Context, anyhow};
use tidegate_backbone::jetstream::Jetstream;
use tidegate_consume::{Attempt, Budget, Gates, Pace, Service};
use tidegate_deliver::Client;
use tidegate_history::Journal;
use tidegate_publish::{Admission, Publisher};
use tidegate_receive::{Listeners, SharedLimits};
use tidegate_subscription::Subscription;
use tidegate_telemetry::spans::Tracer;
use tokio::{
    runtime,
    sync::{mpsc, oneshot, watch},
    task::{JoinHandle, JoinSet},
};

use super::{
    Readiness,
    attempt::SinkAttempt,
    journal::Told,
    metrics::Metrics,
    replays::{Assigned, ReplayAttempt},
    sharing::{Consumers, SharedHub},
    states::{State, States},
};
use crate::{applications::Known, config::Config, intake::Intake, kafka::Kafka};

/// Commands that may wait for a worker; the control task waits beyond that.
const COMMANDS_MAX: usize = 64;

/// The Subscriptions that run now.
pub(crate) type Subscriptions = Arc<Vec<Arc<Subscription>>>;

/// What a worker is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Deliver for this Subscription; in the place of an older form of it, if there is one. Its
    /// id is sent when nothing more that it wants can be stored without it.
    Run(Arc<Subscription>, mpsc::Sender<String>),
    /// Deliver a replay for this Subscription, beside what comes for it.
    Replay(Arc<Subscription>, Box<Assigned>),
    /// Deliver no longer for the Subscription of this id, or the replay of this name.
    Stop(String),
    /// Open the doors.
    Serve,
}

/// What all workers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    /// Each worker has connections of its own beside these.
    pub(crate) log: Jetstream,
    pub(super) admission: Admission,
    pub(super) limits: SharedLimits,
    pub(super) subscriptions: watch::Receiver<Subscriptions>,
    pub(crate) applications: Known,
    pub(super) draining: watch::Receiver<bool>,
    pub(super) readiness: Readiness,
    pub(super) metrics: Metrics,
    pub(crate) journal: Journal,
    pub(super) tracer: Tracer,
    pub(super) states: States,
    pub(super) gates: Gates,
    pub(super) hubs: Arc<[SharedHub]>,
    pub(super) budget: Budget,
    pub(super) ended: mpsc::Sender<()>,
    /// What sources and sinks of Kafka share.
    pub(crate) kafka: Kafka,
}

impl Shared {
    /// Publishes through this log.
    #[cfg(feature = "kafka")]
    pub(crate) fn publisher(&self, log: Jetstream) -> Publisher<Jetstream> {
        self.metrics.publisher(&self.config, log, &self.admission)
    }
}

/// Tells that a worker has ended, be it by a panic.
pub(super) struct Ended(pub(super) mpsc::Sender<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        // Full means that it is told already.
        self.0.try_send(()).ok();
    }
}

/// A running worker.
pub(super) struct Worker {
    commands: mpsc::Sender<Command>,
    ended: oneshot::Receiver<()>,
}

impl Worker {
    /// Starts the thread and waits until its connections stand.
    pub(super) async fn start(
        index: usize,
        listeners: Option<Listeners>,
        shared: Shared,
    ) -> anyhow::Result<Self> {
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        let (up, is_up) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                let _told = Ended(shared.ended.clone());
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(work(index, listeners, shared, received, up)),
                    Err(error) => drop(up.send(Err(anyhow!(error).context("no runtime")))),
                }
                // Nobody waits for it when the process ends at once.
                end.send(()).ok();
            })?;
        is_up.await.context("a worker ended before it began")??;
        Ok(Self { commands, ended })
    }

    pub(super) fn commands(&self) -> mpsc::Sender<Command> {
        self.commands.clone()
    }

    /// Opens its doors.
    pub(super) async fn serve(&self) {
        // An error means that the worker has ended, which is told elsewhere.
        self.commands.send(Command::Serve).await.ok();
    }

    /// Waits for the thread's end.
    pub(super) async fn ended(self) {
        drop(self.commands);
        // An error means that the thread is gone: ended too.
        self.ended.await.ok();
    }
}

async fn work(
    index: usize,
    listeners: Option<Listeners>,
    shared: Shared,
    mut commands: mpsc::Receiver<Command>,
    up: oneshot::Sender<anyhow::Result<()>>,
) {
    let (publish_log, mut deliveries) = match connect(index, &shared).await {
        Ok(connected) => connected,
        Err(error) => return drop(up.send(Err(error))),
    };
    drop(up.send(Ok(())));
    let mut doors = listeners.map(|listeners| (listeners, publish_log));
    let mut tasks = JoinSet::new();
    let mut draining = shared.draining.clone();
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Run(subscription, opened)) => {
                    deliveries.run(subscription, opened, &shared);
                }
                Some(Command::Replay(subscription, assigned)) => {
                    deliveries.replay(subscription, *assigned, &shared);
                }
                Some(Command::Stop(id)) => {
                    deliveries.paces.remove(&id);
                    deliveries.asking.remove(&id);
                    deliveries.stop(&id);
                }
                Some(Command::Serve) => if let Some((listeners, log)) = doors.take() {
                    tasks.spawn(serve(listeners, log, shared.clone()));
                },
                None => break,
            },
            _ = draining.wait_for(|draining| *draining) => break,
            // The doors of this worker are closed, though nobody asked for it.
            Some(_) = tasks.join_next() => break,
        }
    }
    deliveries.stop_all().await;
    while tasks.join_next().await.is_some() {}
}

async fn connect(index: usize, shared: &Shared) -> anyhow::Result<(Jetstream, Deliveries)> {
    let config = &shared.config;
    let name = |what: &str| format!("tidegate-{what}-{index}");
    let publish = shared.log.beside(&name("publish")).await?;
    let consume = shared.log.beside(&name("consume")).await?;
    let client = Client::new(&config.deliver, shared.metrics.deliver())?;
    let publisher = shared
        .metrics
        .publisher(config, publish.clone(), &shared.admission);
    Ok((
        publish,
        Deliveries {
            publisher,
            log: Consumers::new(consume, Arc::clone(&shared.hubs)),
            client,
            running: HashMap::new(),
            ending: JoinSet::new(),
            asking: HashMap::new(),
            paces: HashMap::new(),
        },
    ))
}

async fn serve(listeners: Listeners, log: Jetstream, shared: Shared) {
    let config = &shared.config;
    let publisher = shared.metrics.publisher(config, log, &shared.admission);
    let intake = Intake::new(
        publisher,
        shared.readiness.clone(),
        shared.subscriptions.clone(),
        shared.applications.clone(),
        &config.normalize,
        config.receive.batch_events_max,
        shared.metrics.intake(),
    )
    .noting(shared.journal.clone())
    .traced_by(shared.tracer.clone());
    let mut draining = shared.draining.clone();
    let drain = async move {
        // An error means that the pipeline is gone, which ends this worker as well.
        draining.wait_for(|draining| *draining).await.ok();
    };
    tidegate_receive::serve(
        listeners,
        config.receive.clone(),
        intake,
        shared.metrics.receive(),
        shared.limits.clone(),
        drain,
    )
    .await;
}

/// The Subscriptions that this worker delivers for.
struct Deliveries {
    /// For what sinks answer with.
    publisher: Publisher<Jetstream>,
    log: Consumers,
    client: Client,
    running: HashMap<String, Running>,
    /// Those that were stopped and have attempts under way.
    ending: JoinSet<()>,
    /// By Subscription whose sink is asked for its permission.
    asking: HashMap<String, AbortOnDrop>,
    /// By Subscription with a rate limit, which its replay shares.
    paces: HashMap<String, (NonZeroU32, Pace)>,
}

/// A task that nobody waits for.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Deliveries {
    fn run(
        &mut self,
        subscription: Arc<Subscription>,
        opened: mpsc::Sender<String>,
        shared: &Shared,
    ) {
        let told = Told::of(&subscription, &shared.journal);
        let Some(attempt) = self.attempt(&subscription, shared, told) else {
            return;
        };
        let (id, sink) = (subscription.id(), subscription.sink.clone());
        let paused = subscription.pause;
        let opened = {
            let (id, states, sink) = (id.clone(), shared.states.clone(), sink.clone());
            move || {
                states.set(&id, State::Open);
                tracing::info!(subscription = id, %sink, paused, "subscription runs");
                // There is a place for each id; nobody waits for one that comes later.
                opened.try_send(id).ok();
            }
        };
        // A new or changed document is a reason to ask a sink again that wanted nothing any more.
        let gate = shared.gates.of(&subscription.sink_key());
        gate.ask_again();
        if subscription.delivery.webhook.is_some() {
            gate.needs_permission();
            let asking = attempt.clone().ask(Arc::clone(&subscription), gate);
            self.asking
                .insert(id.clone(), AbortOnDrop(tokio::spawn(asking)));
        } else {
            self.asking.remove(&id);
        }
        let service = self.service(subscription, attempt, shared, self.log.clone());
        self.spawn(id, service, opened, shared.config.shutdown.grace);
    }

    fn replay(&mut self, subscription: Arc<Subscription>, assigned: Assigned, shared: &Shared) {
        let Assigned { replay, counts } = assigned;
        let told = Told::of(&subscription, &shared.journal).by(&replay.name);
        let Some(attempt) = self.attempt(&subscription, shared, told) else {
            return;
        };
        let name = replay.name.clone();
        let attempt = ReplayAttempt {
            attempt,
            name: name.as_str().into(),
            dry_run: replay.dry_run,
        };
        let opened = {
            let (name, subscription) = (name.clone(), subscription.id());
            move || tracing::info!(replay = name, subscription, "replay runs")
        };
        let root = shared.config.backbone.events_root();
        let service = self
            .service(subscription, attempt, shared, self.log.alone())
            .replaying(&root, replay, counts);
        self.spawn(name, service, opened, shared.config.shutdown.grace);
    }

    fn attempt(
        &self,
        subscription: &Subscription,
        shared: &Shared,
        told: Told,
    ) -> Option<SinkAttempt> {
        if subscription.delivery.order.is_some() && !self.log.log().keeps_order() {
            let version = self.log.log().server_version();
            let reason = format!(
                "delivery.order needs nats-server 2.11 or newer, and this one is {version}; nothing \
                 is delivered"
            );
            tracing::error!(subscription = subscription.id(), reason);
            let id = subscription.id();
            shared.states.set(&id, State::Unusable(reason));
            return None;
        }
        SinkAttempt::new(
            (&self.client, &shared.kafka),
            &self.publisher,
            subscription,
            &shared.config,
            (told, &shared.tracer),
        )
        .and_then(|attempt| attempt.with_dead_letters(subscription, self.log.log()))
        .inspect_err(|error| {
            let subscription = subscription.id();
            tracing::error!(subscription, %error, "the sink cannot be used");
            shared
                .states
                .set(&subscription, State::Unusable(error.to_string()));
        })
        .ok()
    }

    fn service<A: Attempt>(
        &mut self,
        subscription: Arc<Subscription>,
        attempt: A,
        shared: &Shared,
        log: Consumers,
    ) -> Service<Consumers, A> {
        let pace = self.pace(&subscription);
        let gate = shared.gates.of(&subscription.sink_key());
        let service = Service::new(
            shared.config.consume.clone(),
            &shared.config.backbone.events_root(),
            subscription,
            log,
            attempt,
            &shared.metrics.consume(),
            fastrand::u64(..),
        )
        .through(gate)
        .within(shared.budget.clone());
        match pace {
            Some(pace) => service.paced(pace),
            None => service,
        }
    }

    /// That of a Subscription with a rate limit; the same one for as long as the limit is.
    fn pace(&mut self, subscription: &Subscription) -> Option<Pace> {
        let id = subscription.id();
        let Some(rate) = subscription.delivery.rate else {
            self.paces.remove(&id);
            return None;
        };
        let known = self.paces.get(&id).filter(|(known, _)| *known == rate);
        let pace = known.map_or_else(|| Pace::new(rate), |(_, pace)| pace.clone());
        self.paces.insert(id, (rate, pace.clone()));
        Some(pace)
    }

    /// Runs a loop under a name; in the place of an older one, if there is one.
    fn spawn<A: Attempt>(
        &mut self,
        name: String,
        service: Service<Consumers, A>,
        opened: impl FnOnce() + Send + 'static,
        grace: Duration,
    ) {
        // The older form hands back what waits, and finishes what is under way beside the new one:
        // a sink that hangs is no reason to wait for the one in its place.
        self.stop(&name);
        let (stop, mut stopped) = watch::channel(false);
        let until = async move {
            stopped.wait_for(|stop| *stop).await.ok();
        };
        // Not within a future of its own, which would hold what is moved into this one once more.
        let task = tokio::spawn(service.run(opened, until, grace));
        self.running.insert(name, Running { stop, task });
    }

    fn stop(&mut self, id: &str) {
        while self.ending.try_join_next().is_some() {}
        if let Some(running) = self.running.remove(id) {
            self.ending.spawn(running.end());
        }
    }

    async fn stop_all(&mut self) {
        for running in self.running.values() {
            running.stop.send(true).ok();
        }
        for (_, running) in self.running.drain() {
            running.end().await;
        }
        while self.ending.join_next().await.is_some() {}
    }
}

impl Running {
    async fn end(self) {
        // An error means that the loop has ended already.
        self.stop.send(true).ok();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a delivery loop ended by a panic");
        }
    }
}
