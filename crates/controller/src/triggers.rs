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
    /// Of a kind, by namespace, or of all namespaces.
    senders: BTreeMap<(Kind, Option<String>), mpsc::Sender<ObjectRef<DynamicObject>>>,
    /// Whose resource has the name.
    owners: BTreeMap<Key, Kind>,
    /// Those that are to be looked at when processes get on.
    waiting: BTreeSet<Key>,
    /// By Service (namespace, name): those whose sink it is.
    services: BTreeMap<(String, String), BTreeSet<Key>>,
}

impl Triggers {
    /// Those of a kind that are named, from now on: in a namespace, or in all.
    pub(crate) fn of(&self, kind: Kind, scope: Option<&str>) -> Named {
        let (sender, named) = mpsc::channel(WAITING_MAX);
        let of = (kind, scope.map(str::to_owned));
        self.lock().senders.insert(of, sender);
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
        let of_all = self.senders.get(&(*kind, None));
        let sender = of_all.or_else(|| self.senders.get(&(*kind, key.namespace.clone())));
        let Some(sender) = sender else {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever looks after one namespace is told of that, and whoever looks after all, of all.
    #[test]
    fn a_resource_is_named_to_those_who_look_after_its_namespace() {
        let triggers = Triggers::default();
        let kind = Kind::ALL[0];
        let key = |namespace: &str| Key {
            kind: tidegate_snapshot::Kind::Subscription,
            namespace: Some(namespace.to_owned()),
            name: "orders".to_owned(),
        };
        let (mut shop, mut billing) = (
            triggers.of(kind, Some("shop")),
            triggers.of(kind, Some("billing")),
        );
        triggers.own(&key("billing"), kind);
        triggers.changed(&BTreeSet::from([key("billing")]));
        assert!(shop.try_recv().is_err());
        assert_eq!(
            billing.try_recv().unwrap().namespace.as_deref(),
            Some("billing")
        );
        let mut all = triggers.of(kind, None);
        triggers.changed(&BTreeSet::from([key("billing")]));
        assert!(all.try_recv().is_ok() && billing.try_recv().is_err());
    }
}
