//! One resource: from what it says to what runs, and from how that stands to its status.

mod outcome;
mod registry;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    core::DynamicObject,
    runtime::{controller::Action, reflector::Store},
};
use serde_json::{Value, json};
use tidegate_snapshot::{Entry, Key};
use tokio::{sync::watch, time::Instant};

use self::outcome::Outcome;
pub(crate) use self::registry::Registry;
use crate::{
    Config, Error, MANAGER,
    events::Events,
    fleet::{Fleet, Progress},
    judge::{Judged, Verdict, judge},
    kinds::Kind,
    metrics::Metrics,
    services::Services,
    sinks::Sinks,
    triggers::Triggers,
};

/// When one that waits for something is looked at again, though nobody has named it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The same of one that depends on what is not watched.
const POLL: Duration = Duration::from_secs(10);

/// When any other one is looked at again: nothing is written, unless something is not as it was.
const RESYNC: Duration = Duration::from_secs(600);

/// For so long nothing is told of a new one that is on its way: as a rule it is ready by then.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who shares a name with somebody else's resource.
const NAME_TAKEN: &str = "a Subscription of the other kind has this name in this namespace, and was \
                          there before; give this one another name";

/// What all looks share.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    pub(crate) fleet: Fleet,
    pub(crate) services: Services,
    pub(crate) triggers: Arc<Triggers>,
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
    /// What is known of each kind.
    pub(crate) stores: HashMap<Kind, Vec<Store<DynamicObject>>>,
    /// Whether all that there is has been written.
    pub(crate) complete: watch::Receiver<bool>,
    /// By name.
    pub(crate) told: Mutex<HashMap<Key, Told>>,
}

/// What was told of a resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// When it was first looked at.
    since: Instant,
    /// When its status was last written.
    written: Option<Instant>,
}

/// A resource that is looked at.
struct Seen<'a> {
    kind: Kind,
    object: &'a DynamicObject,
    key: Key,
}

impl Context {
    /// Looks at a resource.
    pub(crate) async fn reconcile(
        &self,
        kind: Kind,
        object: &DynamicObject,
    ) -> Result<Action, Error> {
        // Those who deliver are to know everything as soon as that can be. An error means that all
        // of this ends.
        let mut complete = self.complete.clone();
        complete.wait_for(|is_complete| *is_complete).await.ok();
        let seen = Seen {
            kind,
            object,
            key: kind.key(object),
        };
        let reconciled = if object.metadata.deletion_timestamp.is_some() {
            self.remove(&seen).await
        } else {
            self.run(&seen).await
        };
        self.metrics.reconciled(kind.label(), reconciled.is_ok());
        reconciled
    }

    /// What of a resource is to run, written where it is not. Nothing of its status.
    pub(crate) async fn write(&self, kind: Kind, object: &DynamicObject) -> Result<(), Error> {
        let is_going = object.metadata.deletion_timestamp.is_some();
        let seen = Seen {
            kind,
            object,
            key: kind.key(object),
        };
        if is_going || self.is_name_taken(&seen) {
            return Ok(());
        }
        let Judged { verdict, .. } = self.judge(&seen).await?;
        self.register(&seen.key, &verdict).await.map(drop)
    }

    async fn run(&self, seen: &Seen<'_>) -> Result<Action, Error> {
        if self.is_name_taken(seen) {
            let outcome = Outcome::invalid(seen, vec![NAME_TAKEN.to_owned()], "NameTaken");
            self.tell(seen, outcome).await?;
            return Ok(Action::requeue(POLL));
        }
        self.ensure_finalizer(seen).await?;
        let Judged {
            verdict,
            services,
            is_polled,
        } = self.judge(seen).await?;
        self.triggers.own(&seen.key, seen.kind);
        for service in services {
            self.triggers.depends(&seen.key, service);
        }
        let registered = match self.register(&seen.key, &verdict).await {
            Ok(registered) => registered,
            Err(Error::Write(tidegate_snapshot::WriteError::Refused(why))) => {
                let outcome = Outcome::invalid(seen, vec![why], "TooLarge");
                self.tell(seen, outcome).await?;
                return Ok(Action::requeue(RESYNC));
            }
            Err(error) => return Err(error),
        };
        let progress = registered.map(|revision| self.fleet.progress(&seen.key, revision));
        let is_known = !matches!(progress, Some(Progress::Unknown));
        let outcome = Outcome::of(seen, verdict, progress.as_ref());
        let is_done = outcome.is_ready() || registered.is_none();
        self.triggers.set_waiting(&seen.key, !is_done);
        // Who has just taken over does not know who is there: what was said holds until it does.
        let until = match is_known {
            true => self.tell(seen, outcome).await?,
            false => None,
        };
        let again = match (is_done, is_polled) {
            (false, _) => LOOK_AGAIN,
            (true, true) => POLL,
            (true, false) => RESYNC,
        };
        Ok(Action::requeue(
            until.map_or(again, |until| until.min(again)),
        ))
    }

    /// Takes what runs of a resource away, and lets it go when nobody runs it any more.
    async fn remove(&self, seen: &Seen<'_>) -> Result<Action, Error> {
        let finalizers = seen.object.finalizers();
        let ours = seen.kind.finalizer();
        if !finalizers.iter().any(|one| one == ours) {
            self.forget(&seen.key);
            return Ok(Action::await_change());
        }
        // The other kind's may have the name.
        if !self.is_name_taken(seen) {
            self.triggers.own(&seen.key, seen.kind);
            let revision = self.registry.remove(&seen.key).await?;
            if !self.fleet.is_out(revision) {
                self.triggers.set_waiting(&seen.key, true);
                return Ok(Action::requeue(LOOK_AGAIN));
            }
        }
        let left: Vec<&String> = finalizers.iter().filter(|one| *one != ours).collect();
        let patch = json!({
            "metadata": { "finalizers": left, "resourceVersion": seen.object.resource_version() },
        });
        let api = self.api(seen);
        let parameters = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let name = seen.object.name_any();
        match api.patch(&name, &parameters, &Patch::Merge(&patch)).await {
            Ok(_) => self.metrics.wrote(seen.kind.label(), "finalizer"),
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        self.forget(&seen.key);
        Ok(Action::await_change())
    }

    fn forget(&self, key: &Key) {
        self.triggers.forget(key);
        self.told().remove(key);
    }

    async fn ensure_finalizer(&self, seen: &Seen<'_>) -> Result<(), Error> {
        let ours = seen.kind.finalizer();
        if seen.object.finalizers().iter().any(|one| one == ours) {
            return Ok(());
        }
        let patch = self.patch(seen, json!({ "metadata": { "finalizers": [ours] } }));
        let name = seen.object.name_any();
        let parameters = PatchParams::apply(MANAGER).force();
        let (api, patch) = (self.api(seen), Patch::Apply(&patch));
        api.patch(&name, &parameters, &patch).await?;
        self.metrics.wrote(seen.kind.label(), "finalizer");
        Ok(())
    }

    async fn judge(&self, seen: &Seen<'_>) -> Result<Judged, Error> {
        let sinks = Sinks {
            client: &self.client,
            services: &self.services,
            config: &self.config,
        };
        judge(seen.kind, seen.object, &sinks).await
    }

    /// Registers what is to run; from which revision on it is so. `None` where nothing runs.
    async fn register(&self, key: &Key, verdict: &Verdict) -> Result<Option<u64>, Error> {
        match verdict {
            Verdict::Runs { entry, .. } => Ok(Some(self.registry.put(key, entry).await?)),
            // What ran before goes on, as with files.
            Verdict::Invalid(_) => Ok(None),
            Verdict::NoSink(why) => {
                if let Some(before) = self.registry.get(key).await {
                    // All that it wants is kept for it, until its sink is back.
                    let held = Some(why.clone());
                    let entry = Entry { held, ..before };
                    self.registry.put(key, &entry).await?;
                }
                Ok(None)
            }
        }
    }

    /// Whether a Subscription of the other kind, that was there before, has its name.
    fn is_name_taken(&self, seen: &Seen<'_>) -> bool {
        let other = match seen.kind {
            Kind::KymaSubscription => Kind::Subscription,
            Kind::Subscription => Kind::KymaSubscription,
            Kind::Application | Kind::KafkaSource => return false,
        };
        let stores = self.stores.get(&other).into_iter().flatten();
        let mut others = stores.flat_map(Store::state);
        let Some(other_one) = others.find(|one| other.key(one) == seen.key) else {
            return false;
        };
        let age = |kind: Kind, object: &DynamicObject| {
            let since = object.metadata.creation_timestamp.as_ref();
            (since.map(|since| since.0), kind)
        };
        age(other, &other_one) < age(seen.kind, seen.object)
    }

    /// Writes a status, if it is another one; when what was left out of it may be written.
    async fn tell(&self, seen: &Seen<'_>, outcome: Outcome) -> Result<Option<Duration>, Error> {
        let now = Timestamp::now();
        let now = format!(
            "{:.0}",
            now.round(k8s_openapi::jiff::Unit::Second).unwrap_or(now)
        );
        let before = seen.object.data.get("status");
        let status = outcome.status(seen, &now);
        let Some(change) = outcome::change(before, &status) else {
            return Ok(None);
        };
        let left = match change {
            outcome::Change::Delivery => self.left_until_told(&seen.key),
            outcome::Change::All if before.is_none() && outcome.is_on_its_way() => {
                self.left_of_patience(&seen.key)
            }
            outcome::Change::All => None,
        };
        if left.is_some() {
            return Ok(left);
        }
        let patch = self.patch(seen, json!({ "status": status }));
        let parameters = PatchParams::apply(MANAGER).force();
        let name = seen.object.name_any();
        let patch = Patch::Apply(&patch);
        match self
            .api(seen)
            .patch_status(&name, &parameters, &patch)
            .await
        {
            Ok(_) => self.metrics.wrote(seen.kind.label(), "status"),
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        self.known(&seen.key, |told| told.written = Some(Instant::now()));
        if let Some((is_good, reason, note)) = outcome.transition(seen) {
            let (seen, told) = ((seen.kind, seen.object), (reason, "Reconcile"));
            self.events.tell(seen, is_good, told, &note).await;
        }
        Ok(None)
    }

    fn left_until_told(&self, key: &Key) -> Option<Duration> {
        let written = self.known(key, |told| told.written)?;
        left(self.config.status_interval, written)
    }

    fn left_of_patience(&self, key: &Key) -> Option<Duration> {
        left(PATIENCE, self.known(key, |told| told.since))
    }

    fn known<T>(&self, key: &Key, look: impl FnOnce(&mut Told) -> T) -> T {
        let mut told = self.told();
        look(told.entry(key.clone()).or_insert_with(|| Told {
            since: Instant::now(),
            written: None,
        }))
    }

    fn told(&self) -> MutexGuard<'_, HashMap<Key, Told>> {
        // Every change is complete before anything in it can panic.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is applied of a resource: its name, and this.
    fn patch(&self, seen: &Seen<'_>, of: Value) -> Value {
        let api = seen.kind.api();
        let mut patch = json!({
            "apiVersion": api.api_version,
            "kind": api.kind,
            "metadata": { "name": seen.object.name_any(), "uid": seen.object.uid() },
        });
        merge(&mut patch, of);
        patch
    }

    fn api(&self, seen: &Seen<'_>) -> Api<DynamicObject> {
        let api = seen.kind.api();
        match seen.object.namespace() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), &namespace, &api),
            None => Api::all_with(self.client.clone(), &api),
        }
    }
}

/// What is left of a time that began then.
fn left(of: Duration, since: Instant) -> Option<Duration> {
    let left = of.saturating_sub(since.elapsed());
    (!left.is_zero()).then_some(left)
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
