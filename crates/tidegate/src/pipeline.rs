//! Where the stages meet: receive → normalize → publish → consume → deliver.
//!
//! ```text
//!            one worker (thread, runtime, connections) per core
//!  ┌───────────────────────────────────────────────────────────────────┐
//!  │ receive ─► intake: normalize ─► publish ═══► JetStream (events)   │
//!  │                                                  ║                │
//!  │ sink ◄── attempt: deliver ◄── consume ◄══════════╝                │
//!  │                                  └═► JetStream (dead letters)     │
//!  └───────────────────────────────────────────────────────────────────┘
//!            control: subscription documents, pauses ─► workers; storage reclaimed
//!            applications: their documents and secrets ─► what each intake asks
//!            fleet: how documents stand ─► the controller of a cluster
//! ```
//!
//! A process may have only one half of it: see [`Roles`].

mod attempt;
mod control;
mod doors;
mod expiry;
mod fleet;
pub(crate) mod journal;
mod metrics;
pub(crate) mod pauses;
pub(crate) mod readiness;
mod redrive;
pub(crate) mod replays;
mod reply;
mod retention;
mod roles;
mod sharing;
pub(crate) mod standing;
pub(crate) mod states;
pub(crate) mod worker;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use prometheus_client::registry::Registry;
use tidegate_application::KafkaSource;
use tidegate_backbone::jetstream::{Jetstream, JetstreamRegister};
use tidegate_consume::{Budget, Gates};
use tidegate_deliver::Client;
use tidegate_history::Journal;
use tidegate_identity::Memory;
use tidegate_publish::Admission;
use tidegate_subscription::Subscription;
use tidegate_telemetry::spans::Tracer;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};

use self::{
    control::{Asked, Control, State},
    doors::Doors,
    expiry::Expiry,
    fleet::Fleet,
    journal::History,
    pauses::{PauseDoor, Pauses},
    retention::Retention,
    sharing::Sharing,
    states::States,
    worker::Worker,
};
pub(crate) use self::{
    fleet::{Known, Waiting},
    readiness::Readiness,
    redrive::{NotRedriven, Redrive},
    replays::ReplayDoor,
    roles::{Half, Roles},
    sharing::Consumers,
    worker::Subscriptions,
};
use crate::{
    applications,
    config::Config,
    documents::{Documented, Documents, Follower, PATIENCE},
    folder::Folder,
    kafka::Kafka,
    sources::{self, Sources},
};

/// All stages of one process, running.
pub(crate) struct Pipeline {
    /// Of the doors, and of those over TLS.
    addresses: (Option<SocketAddr>, Option<SocketAddr>),
    operations: Operations,
    control: Control,
    /// What runs beside, and has nothing to finish.
    tasks: Vec<JoinHandle<()>>,
    workers: Vec<Worker>,
    sources: Option<sources::Started>,
    sharing: Sharing,
    history: History,
    draining: watch::Sender<bool>,
    readiness: Readiness,
    failures: mpsc::Receiver<()>,
}

/// What an operator may ask of a running pipeline.
#[derive(Clone)]
pub(crate) struct Operations {
    pub(crate) log: Jetstream,
    /// The log with consumers as Subscriptions see theirs.
    pub(crate) consumers: Consumers,
    /// Sends dead letters again.
    pub(crate) redrive: Redrive,
    /// Begins replays, and tells of them.
    pub(crate) replays: ReplayDoor,
    /// Pauses Subscriptions, and lets them go on.
    pub(crate) pauses: PauseDoor,
    pub(crate) subscriptions: watch::Receiver<Subscriptions>,
    pub(crate) applications: applications::Known,
    pub(crate) sources: sources::Known,
    pub(crate) states: States,
    pub(crate) consume: tidegate_consume::Metrics,
    pub(crate) gates: Gates,
    /// What waits for Subscriptions, where that is known.
    pub(crate) waiting: Waiting,
    /// Whether what happens to events is kept.
    pub(crate) has_history: bool,
}

impl Operations {
    /// And where what they ask for arrives.
    fn new(
        config: &Config,
        consumers: &Consumers,
        (subscriptions, applications, sources): (
            &watch::Receiver<Subscriptions>,
            &applications::Known,
            sources::Known,
        ),
        admission: &Admission,
        (metrics, journal, tracer): (&metrics::Metrics, &Journal, &Tracer),
        kafka: &Kafka,
    ) -> anyhow::Result<(Self, Asked)> {
        let (replays, replays_asked) = ReplayDoor::new();
        let (pauses, pauses_asked) = PauseDoor::new();
        let log = consumers.log();
        let operations = Self {
            log: log.clone(),
            consumers: consumers.clone(),
            redrive: Redrive {
                client: Client::new(&config.deliver, metrics.deliver())?,
                kafka: kafka.clone(),
                publisher: metrics.publisher(config, log.clone(), admission),
                subscriptions: subscriptions.clone(),
                config: Arc::new(config.clone()),
                journal: journal.clone(),
                tracer: tracer.clone(),
            },
            replays,
            pauses,
            subscriptions: subscriptions.clone(),
            applications: applications.clone(),
            sources,
            states: States::default(),
            consume: metrics.consume(),
            gates: Gates::new(&config.consume.breaker).with_places(config.deliver.connections_max),
            waiting: Waiting::default(),
            has_history: journal.is_on(),
        };
        let asked = Asked {
            replays: replays_asked,
            pauses: pauses_asked,
        };
        Ok((operations, asked))
    }
}

impl Pipeline {
    /// Brings the streams to their configuration, starts every Subscription and opens the doors.
    pub(crate) async fn start(
        (config, roles): (&Config, Roles),
        nats_url: &str,
        registry: &mut Registry,
        tracer: Tracer,
    ) -> anyhow::Result<Self> {
        let log = open_log(config, nats_url).await?;
        let patient_until = Instant::now() + PATIENCE;
        let doors = Doors::bind(&config.receive, roles)?;
        let addresses = (doors.local_addr(), doors.tls_addr());
        let (applications, mut applied, mut tasks) =
            connected(config, (&log, patient_until), registry).await?;
        let (draining, drained) = watch::channel(false);
        let (ended, failures) = mpsc::channel(1);
        let (subscriptions, subscribed) = watch::channel(Arc::default());
        let metrics = metrics::Metrics::register(registry);
        let admission = Admission::new(&config.publish);
        let pauses = pauses_of(&log).await?;
        let sharing = Sharing::start((config, roles), &log, &metrics.consume()).await?;
        let (readiness, follows) = readiness::follow(log.clone());
        tasks.push(follows);
        let consumers = Consumers::new(log, sharing.hubs());
        let ends = look_after_ends((config, roles), &consumers, &subscribed, registry);
        tasks.extend(ends);
        let journal = Journal::new(&config.history, &metrics.history());
        let history = History::start(&journal, consumers.log());
        let noted = (&metrics, &journal, &tracer);
        let (sources, sources_known) = watch::channel(Arc::default());
        let known = (&subscribed, &applications, sources_known);
        let kafka = Kafka::register(&config.kafka, registry);
        let (operations, asked) =
            Operations::new(config, &consumers, known, &admission, noted, &kafka)?;
        let shared = worker::Shared {
            config: Arc::new(config.clone()),
            log: consumers.log().clone(),
            admission,
            limits: doors.limits(),
            subscriptions: subscribed,
            applications,
            draining: drained,
            readiness: readiness.clone(),
            metrics,
            journal,
            tracer,
            states: operations.states.clone(),
            gates: operations.gates.clone(),
            hubs: sharing.hubs(),
            budget: Budget::new(config.consume.held_bytes_total_max),
            ended,
            kafka,
        };
        let workers = started(doors, &shared).await?;
        let reading = (consumers.log(), patient_until);
        let (documents, topics) = run_by((config, roles), reading, &mut applied).await?;
        let commands = workers.iter().map(Worker::commands).collect();
        let stand = (operations.states.clone(), pauses);
        let state = State::new((config, roles), consumers, commands, subscriptions, stand);
        let poll = config.subscriptions.poll_interval;
        let control = Control::start(state, documents, poll, asked).await;
        tasks.extend(told(roles, applied, &operations, &draining));
        // Not before: what is acknowledged belongs to every Subscription that was there.
        let sources = opened(&workers, topics, (shared, sources)).await;
        Ok(Self {
            addresses,
            operations,
            control,
            tasks,
            workers,
            sources,
            sharing,
            history,
            draining,
            readiness,
            failures,
        })
    }

    /// Where the doors are, if there are any.
    pub(crate) fn receive_addr(&self) -> Option<SocketAddr> {
        self.addresses.0
    }

    /// Where the doors are over TLS.
    pub(crate) fn tls_addr(&self) -> Option<SocketAddr> {
        self.addresses.1
    }

    /// What an operator may do.
    pub(crate) fn operations(&self) -> Operations {
        self.operations.clone()
    }

    /// Whether the pipeline is shutting down.
    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Whether events would be stored.
    pub(crate) fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Returns when a worker has ended by itself: part of the doors and of the Subscriptions are
    /// then served by nobody, and only a restart of the process mends that.
    pub(crate) async fn failed(&mut self) {
        self.failures.recv().await;
    }

    /// Closes the doors, stops pulling, and waits up to `grace` for what is under way.
    pub(crate) async fn shutdown(self, grace: Duration) {
        self.control.stop().await;
        for task in self.tasks {
            task.abort();
        }
        if let Some(sources) = self.sources {
            sources.end().await;
        }
        // Nobody listens when every worker has ended already.
        self.draining.send(true).ok();
        let ended = async {
            for worker in self.workers {
                worker.ended().await;
            }
        };
        if tokio::time::timeout(grace, ended).await.is_err() {
            tracing::warn!(
                ?grace,
                "not everything ended within the grace; it is delivered again"
            );
        }
        self.sharing.end(grace).await;
        self.history.end().await;
    }
}

/// Those of topics, where this process reads any: those who have doors do.
async fn source_documents(
    (config, roles): (&Config, Roles),
    log: (&Jetstream, Instant),
) -> anyhow::Result<Option<Documents<KafkaSource>>> {
    let folder = config.sources_folder();
    if !roles.gateway || folder.is_none() && !config.resources.are_in_a_cluster() {
        return Ok(None);
    }
    let folder = Folder::new(folder.unwrap_or_default());
    documented(config, log, folder).await.map(Some)
}

/// What Subscriptions say, and sources where there are any; `applied` tells how far they are known.
async fn run_by(
    of: (&Config, Roles),
    log: (&Jetstream, Instant),
    applied: &mut Vec<watch::Receiver<u64>>,
) -> anyhow::Result<(Documents<Subscription>, Option<Documents<KafkaSource>>)> {
    let documents = documents(of.0, log).await?;
    applied.extend(documents.applied());
    let topics = source_documents(of, log).await?;
    applied.extend(topics.as_ref().and_then(Documents::applied));
    Ok((documents, topics))
}

/// Opens the doors, and begins to read topics.
async fn opened(
    workers: &[Worker],
    topics: Option<Documents<KafkaSource>>,
    (shared, known): (worker::Shared, watch::Sender<sources::All>),
) -> Option<sources::Started> {
    for worker in workers {
        worker.serve().await;
    }
    let poll = shared.config.sources.poll_interval;
    topics.map(|topics| Sources::new(topics, shared, known).start(poll))
}

/// Those of Subscriptions.
async fn documents(
    config: &Config,
    log: (&Jetstream, Instant),
) -> anyhow::Result<Documents<Subscription>> {
    let folder = Folder::new(config.subscriptions_folder());
    documented(
        config,
        log,
        folder.usual(config.subscriptions.is_usual_folder()),
    )
    .await
}

/// Those of a folder, or of a cluster.
async fn documented<T: Documented>(
    config: &Config,
    (log, patient_until): (&Jetstream, Instant),
    folder: Folder<T>,
) -> anyhow::Result<Documents<T>> {
    if !config.resources.are_in_a_cluster() {
        return Ok(Documents::Folder(folder));
    }
    let follower = Follower::new(log, patient_until).await;
    let follower = follower.context("what the controller writes")?;
    Ok(Documents::Register(Box::new(follower)))
}

/// Who tells a controller how documents stand, where there may be one.
fn told(
    roles: Roles,
    applied: Vec<watch::Receiver<u64>>,
    operations: &Operations,
    draining: &watch::Sender<bool>,
) -> Option<JoinHandle<()>> {
    if applied.is_empty() {
        return None;
    }
    let fleet = Fleet::new(roles, applied, operations.clone());
    Some(tokio::spawn(fleet.run(draining.subscribe())))
}

/// A worker for each thread, with its share of the doors.
async fn started(doors: Doors, shared: &worker::Shared) -> anyhow::Result<Vec<Worker>> {
    doors.watch_tls(shared);
    let mut workers = Vec::new();
    for (index, listeners) in doors.into_listeners().into_iter().enumerate() {
        workers.push(Worker::start(index, listeners, shared.clone()).await?);
    }
    Ok(workers)
}

/// The Applications; up to which writing they are known, where a controller writes them; and who
/// reads them again, if there are any.
async fn connected(
    config: &Config,
    log: (&Jetstream, Instant),
    registry: &mut Registry,
) -> anyhow::Result<(
    applications::Known,
    Vec<watch::Receiver<u64>>,
    Vec<JoinHandle<()>>,
)> {
    let memory = Memory::new(&config.identity).context("identity")?;
    let documents = match config.application_secrets_folder() {
        None => None,
        Some(secrets) => {
            let folder = config.applications_folder().unwrap_or_default();
            let documents = documented(config, log, Folder::new(folder)).await?;
            Some((documents, secrets))
        }
    };
    let metrics = applications::Metrics::register(registry);
    let (anonymous, memory) = (&config.receive.anonymous, Arc::new(memory));
    let (reader, known) = applications::Reader::start(documents, anonymous, memory, metrics).await;
    let applied = reader.as_ref().and_then(applications::Reader::applied);
    let reading = reader.map(|reader| reader.run(config.applications.poll_interval));
    Ok((
        known,
        applied.into_iter().collect(),
        reading.into_iter().collect(),
    ))
}

/// Brings the streams to their configuration.
async fn open_log(config: &Config, nats_url: &str) -> anyhow::Result<Jetstream> {
    let log = Jetstream::connect(&config.backbone, nats_url, "tidegate-control").await?;
    let drifts = log.ensure().await;
    for drift in drifts.context("the streams could not be made")? {
        tracing::warn!(%drift, "a stream differs from its configuration");
    }
    if config.history.enabled {
        match log.ensure_history().await {
            Ok(drifts) => {
                for drift in drifts {
                    tracing::warn!(%drift, "a stream differs from its configuration");
                }
            }
            // Events are delivered without.
            Err(error) => tracing::error!(%error, "what happens to events is not kept"),
        }
    }
    Ok(log)
}

/// The pauses by command, before anything is delivered.
async fn pauses_of(log: &Jetstream) -> anyhow::Result<Pauses<JetstreamRegister>> {
    let register = log.register_named(pauses::REGISTER).await;
    let register = register.context("the register of pauses")?;
    Ok(Pauses::of(register).await?)
}

/// Dead letters and events that have an end: looked after by those who deliver.
fn look_after_ends(
    (config, roles): (&Config, Roles),
    log: &Consumers,
    subscriptions: &watch::Receiver<Subscriptions>,
    registry: &mut Registry,
) -> Vec<JoinHandle<()>> {
    let retention = retention::Metrics::register(registry);
    let retention = Retention::new(log.log().clone(), config, retention);
    let expiry = expiry::Metrics::register(registry);
    let expiry = Expiry::new(log.clone(), config.backbone.events.age_max, expiry);
    if !roles.dispatcher {
        return Vec::new();
    }
    vec![
        tokio::spawn(retention.run(subscriptions.clone())),
        tokio::spawn(expiry.run(subscriptions.clone())),
    ]
}
