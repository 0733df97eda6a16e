//! Which resources are to be looked at again, and by whom that is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{Stream, stream};
use kube::{core::DynamicObject, runtime::reflector::ObjectRef};
use tidegate_snapshot::Key;
use tokio::sync::mpsc;

use crate::kinds::Kind;

/// Most that wait to be looked at. One for which there is no place is looked at again all the same,
/// when its time has come.
const WAITING_MAX: usize = 16_384;

/// How resources of one kind are named to those who look after them.
pub(crate) type Named = mpsc::Receiver<ObjectRef<DynamicObject>>;

/// Who looks after which kind, and what is waited for.
#[derive(Default)]
pub(crate) struct Triggers(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    senders: BTreeMap<Kind, mpsc::Sender<ObjectRef<DynamicObject>>>,
    /// Whose resource has the name.
    owners: BTreeMap<Key, Kind>,
    /// Those that are to be looked at when processes get on.
    waiting: BTreeSet<Key>,
    /// By Service (namespace, name): those whose sink it is.
    services: BTreeMap<(String, String), BTreeSet<Key>>,
}

impl Triggers {
    /// Those of a kind that are named, from now on.
    pub(crate) fn of(&self, kind: Kind) -> Named {
        let (sender, named) = mpsc::channel(WAITING_MAX);
        self.lock().senders.insert(kind, sender);
        named
    }

    /// A resource of this kind is looked after under this name.
    pub(crate) fn own(&self, key: &Key, kind: Kind) {
        let mut inner = self.lock();
        inner.owners.insert(key.clone(), kind);
        inner.unlink(key);
    }

    /// It is no more.
    pub(crate) fn forget(&self, key: &Key) {
        let mut inner = self.lock();
        inner.owners.remove(key);
        inner.waiting.remove(key);
        inner.unlink(key);
    }

    /// What becomes of it depends on this Service.
    pub(crate) fn depends(&self, key: &Key, service: (String, String)) {
        let mut inner = self.lock();
        inner
            .services
            .entry(service)
            .or_default()
            .insert(key.clone());
    }

    /// Whether it waits for processes to get on.
    pub(crate) fn set_waiting(&self, key: &Key, waits: bool) {
        let mut inner = self.lock();
        if waits {
            inner.waiting.insert(key.clone());
        } else {
            inner.waiting.remove(key);
        }
    }

    /// A Service has come, or gone.
    pub(crate) fn service(&self, namespace: &str, name: &str) {
        let inner = self.lock();
        let keys = inner.services.get(&(namespace.to_owned(), name.to_owned()));
        keys.into_iter().flatten().for_each(|key| inner.name(key));
    }

    /// These stand otherwise than before.
    pub(crate) fn changed(&self, keys: &BTreeSet<Key>) {
        let inner = self.lock();
        keys.iter().for_each(|key| inner.name(key));
    }

    /// Processes have got on.
    pub(crate) fn moved(&self) {
        let inner = self.lock();
        inner.waiting.iter().for_each(|key| inner.name(key));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is complete before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn name(&self, key: &Key) {
        let Some(kind) = self.owners.get(key) else {
            return;
        };
        let Some(sender) = self.senders.get(kind) else {
            return;
        };
        let named = ObjectRef::new_with(&key.name, kind.api());
        let named = match &key.namespace {
            Some(namespace) => named.within(namespace),
            None => named,
        };
        // No place, or nobody: it is looked at again when its time has come.
        sender.try_send(named).ok();
    }

    fn unlink(&mut self, key: &Key) {
        self.services.retain(|_, keys| {
            keys.remove(key);
            !keys.is_empty()
        });
    }
}

/// What is received, as a stream.
pub(crate) fn stream<T>(receiver: mpsc::Receiver<T>) -> impl Stream<Item = T> {
    stream::unfold(receiver, |mut receiver| async move {
        let next = receiver.recv().await?;
        Some((next, receiver))
    })
}
