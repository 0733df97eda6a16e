//! The running controller: a candidate for the Lease, and, while it holds that, in charge.

use std::{
    collections::HashMap,
    fs,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt as _;
use kube::{
    Api, Client,
    api::ListParams,
    core::DynamicObject,
    runtime::{
        Controller as Runtime,
        controller::{self, Action},
        reflector::Store,
        watcher,
    },
};
use tidegate_backbone::{
    ControlError,
    jetstream::{EnsureError, Jetstream},
};
use tidegate_snapshot::{Kind as SnapshotKind, REGISTER, Role};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    Config, Error, Metrics,
    deployed::Deployed,
    drift::{self, Told, Watched},
    events::Events,
    fleet::Fleet,
    kinds::Kind,
    lease::Election,
    metrics::OfRole,
    reconcile::{Context, Registry},
    services::Services,
    triggers::{self, Triggers},
};

/// When a look that failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// How often is looked for kinds that the cluster had not.
const MISSING_EVERY: Duration = Duration::from_secs(30);

/// How long is waited until all resources are known.
const KNOWN_MAX: Duration = Duration::from_secs(30);

/// Whether this one is in charge.
pub type Leading = watch::Receiver<bool>;

/// A controller that does not run yet.
pub struct Controller {
    config: Config,
    client: Client,
    log: Jetstream,
    metrics: Metrics,
    identity: String,
    namespace: String,
    leading: watch::Sender<bool>,
}

/// Why a controller cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no cluster, as far as is known.
    #[error(
        "no cluster is known: run it in a pod, or point KUBECONFIG to a file that names one: {0}"
    )]
    NoCluster(#[source] Box<kube::config::InferConfigError>),
    /// What is known of the cluster cannot be used.
    #[error("the cluster cannot be used")]
    Client(#[source] Box<kube::Error>),
}

/// Why it is not in charge any more.
#[derive(Debug, thiserror::Error)]
enum LeadError {
    #[error(transparent)]
    Register(#[from] EnsureError),
    #[error(transparent)]
    Log(#[from] ControlError),
    #[error("the API server: {0}")]
    Api(#[source] Box<kube::Error>),
    #[error("a kind of resource is there that was not, or a task has ended")]
    Over,
    #[error("not all resources are known after {KNOWN_MAX:?}; may the controller list them?")]
    Unknown,
}

impl Controller {
    /// For the cluster that it runs in, or that `KUBECONFIG` names.
    pub async fn new(config: Config, log: Jetstream, metrics: Metrics) -> Result<Self, StartError> {
        let cluster = kube::Config::infer().await;
        let cluster = cluster.map_err(|error| StartError::NoCluster(Box::new(error)))?;
        let namespace = config.lease.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| cluster.default_namespace.clone());
        let client = Client::try_from(cluster);
        let client = client.map_err(|error| StartError::Client(Box::new(error)))?;
        // That of the pod, where it runs in one; and no other process was ever called so.
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let identity = format!("{}-{:08x}", host.trim(), fastrand::u32(..));
        Ok(Self {
            config,
            client,
            log,
            metrics,
            identity,
            namespace,
            leading: watch::channel(false).0,
        })
    }

    /// Whether it is in charge.
    pub fn leading(&self) -> Leading {
        self.leading.subscribe()
    }

    /// Runs until `stop` is ready, and lets another one take over at once then.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let lease = (&*self.namespace, &*self.config.lease.name);
        let duration = self.config.lease.duration;
        let mut election = Election::new(self.client.clone(), lease, &self.identity, duration);
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = election.win() => {}
            }
            tracing::info!(identity = self.identity, "this controller is in charge");
            self.set_leading(true);
            let is_over = tokio::select! {
                () = &mut stop => true,
                () = election.hold() => false,
                error = self.lead() => {
                    tracing::error!(%error, "the controller begins anew");
                    false
                }
            };
            self.set_leading(false);
            if is_over {
                break;
            }
            sleep(AGAIN).await;
        }
        election.release().await;
    }

    fn set_leading(&self, is_leading: bool) {
        self.metrics.leader.set(i64::from(is_leading));
        self.leading.send_replace(is_leading);
    }

    /// Looks after all resources; returns only when that is not possible. Dropping the future stops
    /// everything.
    async fn lead(&self) -> LeadError {
        let mut tasks = JoinSet::new();
        if let Err(error) = self.begin(&mut tasks).await {
            return error;
        }
        // They do not end by themselves, but for one that has seen a new kind; and one that panics is
        // begun anew with all others.
        tasks.join_next().await;
        LeadError::Over
    }

    async fn begin(&self, tasks: &mut JoinSet<()>) -> Result<(), LeadError> {
        let register = self.log.register_named(REGISTER).await?;
        let registry = Registry::open(register).await?;
        let triggers = Arc::new(Triggers::default());
        let fleet = Fleet::new(&self.log, &triggers);
        tasks.spawn(fleet.clone().run());
        let scopes = self.scopes();
        let (services, watching) = Services::watch(&self.client, &scopes, &triggers);
        tasks.spawn(async move {
            // As long as this task is there, and no longer.
            let mut watching = watching;
            while watching.join_next().await.is_some() {}
        });
        let lease = (&*self.namespace, &*self.config.lease.name);
        let events = Events::new(self.client.clone(), &self.identity, lease, &self.metrics);
        let mut stores: HashMap<Kind, Vec<Store<DynamicObject>>> = HashMap::new();
        let mut runtimes = Vec::new();
        let (kinds, missing) = self.kinds(&scopes).await?;
        if !missing.is_empty() {
            tasks.spawn(until_there(missing));
        }
        for kind in kinds {
            for (scope, api) in self.apis(kind, &scopes) {
                let runtime = Runtime::new_with(api, watcher::Config::default(), kind.api());
                stores.entry(kind).or_default().push(runtime.store());
                let settings =
                    controller::Config::default().concurrency(self.config.concurrency.get());
                let named = triggers::stream(triggers.of(kind, scope));
                let runtime = runtime.with_config(settings).reconcile_on(named);
                runtimes.push((kind, runtime));
            }
        }
        let known: Vec<(Kind, Store<DynamicObject>)> = stores
            .iter()
            .flat_map(|(kind, stores)| stores.iter().map(|store| (*kind, store.clone())))
            .collect();
        let (is_complete, complete_soon) = watch::channel(false);
        let context = Arc::new(Context {
            client: self.client.clone(),
            config: self.config.clone(),
            registry: registry.clone(),
            fleet: fleet.clone(),
            services: services.clone(),
            triggers,
            events: events.clone(),
            metrics: self.metrics.clone(),
            stores,
            complete: complete_soon,
            told: Mutex::default(),
        });
        if !services.are_known().await {
            return Err(LeadError::Unknown);
        }
        for (kind, runtime) in runtimes {
            tasks.spawn(look_after(kind, runtime, Arc::clone(&context)));
        }
        complete(&context, &known).await?;
        is_complete.send_replace(true);
        let watched = Watched {
            log: self.log.clone(),
            registry,
            fleet: fleet.clone(),
            deployed: self.deployed(),
        };
        let every = self.config.drift_interval;
        let metrics = self.metrics.clone();
        tasks.spawn(drift::watch(watched, every, Told { events, metrics }));
        tasks.spawn(count(fleet, self.metrics.clone(), every));
        Ok(())
    }

    /// The objects of its own deployment, where they are to be kept.
    fn deployed(&self) -> Option<Deployed> {
        let config_map = self.config.deployed_objects.as_ref()?;
        Some(Deployed::new(
            self.client.clone(),
            &self.namespace,
            config_map,
        ))
    }

    /// The kinds that the cluster has, and an API of each that it has not.
    async fn kinds(
        &self,
        scopes: &[Option<String>],
    ) -> Result<(Vec<Kind>, Vec<Api<DynamicObject>>), LeadError> {
        let (mut kinds, mut missing) = (Vec::new(), Vec::new());
        for kind in Kind::ALL {
            let Some((_, api)) = self.apis(kind, scopes).into_iter().next() else {
                continue;
            };
            if is_there(&api).await? {
                kinds.push(kind);
            } else {
                tracing::warn!(kind = kind.label(), "the cluster has no such kind");
                missing.push(api);
            }
        }
        Ok((kinds, missing))
    }

    /// All namespaces, or each of some.
    fn scopes(&self) -> Vec<Option<String>> {
        let namespaces = &self.config.namespaces;
        if namespaces.is_empty() {
            return vec![None];
        }
        namespaces.iter().cloned().map(Some).collect()
    }

    /// The API of each scope.
    fn apis<'a>(
        &self,
        kind: Kind,
        scopes: &'a [Option<String>],
    ) -> Vec<(Option<&'a str>, Api<DynamicObject>)> {
        let all = || Api::all_with(self.client.clone(), &kind.api());
        if !kind.is_namespaced() {
            return vec![(None, all())];
        }
        let apis = scopes
            .iter()
            .map(Option::as_deref)
            .map(|scope| match scope {
                None => (scope, all()),
                Some(namespace) => {
                    let api = Api::namespaced_with(self.client.clone(), namespace, &kind.api());
                    (scope, api)
                }
            });
        apis.collect()
    }
}

/// Whether the cluster has a kind.
async fn is_there(api: &Api<DynamicObject>) -> Result<bool, LeadError> {
    match api.list(&ListParams::default().limit(1)).await {
        Ok(_) => Ok(true),
        // Of a group that is not there, the answer has no reason.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(LeadError::Api(Box::new(error))),
    }
}

/// Returns when the cluster has one of the kinds that it had not: all is begun anew then.
async fn until_there(missing: Vec<Api<DynamicObject>>) {
    loop {
        sleep(MISSING_EVERY).await;
        for api in &missing {
            if is_there(api).await.unwrap_or(false) {
                return;
            }
        }
    }
}

/// Looks after the resources of a kind.
async fn look_after(kind: Kind, runtime: Runtime<DynamicObject>, context: Arc<Context>) {
    let look = move |object: Arc<DynamicObject>, context: Arc<Context>| async move {
        context.reconcile(kind, &object).await
    };
    let failed = |_, _: &Error, _| Action::requeue(AGAIN);
    let mut looks = std::pin::pin!(runtime.run(look, failed, context));
    while let Some(looked) = looks.next().await {
        match looked {
            // One that was named when it was gone already.
            Ok(_) | Err(controller::Error::ObjectNotFound(_)) => {}
            Err(error) => tracing::warn!(kind = kind.label(), %error, "to be looked at again"),
        }
    }
}

/// Writes all that there is, takes out what is no more, and then says that this is all.
async fn complete(
    context: &Context,
    known: &[(Kind, Store<DynamicObject>)],
) -> Result<(), LeadError> {
    for (_, store) in known {
        let ready = timeout(KNOWN_MAX, store.wait_until_ready()).await;
        if !matches!(ready, Ok(Ok(()))) {
            return Err(LeadError::Unknown);
        }
    }
    let mut gone = context.registry.keys().await;
    let mut left = Vec::new();
    for (kind, store) in known {
        for object in store.state() {
            gone.retain(|key| *key != kind.key(&object));
            if let Err(error) = context.write(*kind, &object).await {
                tracing::warn!(%error, "a resource is not written yet");
                left.push(kind.key(&object));
            }
        }
    }
    for key in gone {
        tracing::info!(%key, "it is no more in the cluster");
        context.registry.remove(&key).await.map_err(unreachable)?;
    }
    if left
        .iter()
        .any(|key| key.kind == SnapshotKind::Subscription)
    {
        tracing::warn!(?left, "processes that start now do not know all resources");
    }
    context.registry.complete().await.map_err(unreachable)?;
    tracing::info!("all resources are written");
    Ok(())
}

fn unreachable(error: tidegate_snapshot::WriteError) -> ControlError {
    ControlError {
        action: "writing what is to run".to_owned(),
        detail: error.to_string(),
    }
}

async fn count(fleet: Fleet, metrics: Metrics, every: Duration) {
    loop {
        for (role, name) in [(Role::Gateway, "gateway"), (Role::Dispatcher, "dispatcher")] {
            let count = i64::try_from(fleet.count(role)).unwrap_or(i64::MAX);
            let of = OfRole { role: name };
            metrics.processes.get_or_create(&of).set(count);
        }
        sleep(every).await;
    }
}
