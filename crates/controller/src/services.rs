//! The cluster's Services, by name: whether a sink is there.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Service;
use kube::{
    Api, Client, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        reflector::{self, ObjectRef, Store},
        watcher::{self, watcher},
    },
};

use crate::triggers::Triggers;

/// How long is waited for the first list.
const FIRST_MAX: Duration = Duration::from_secs(30);

type Metadata = PartialObjectMeta<Service>;

/// Those of some namespaces.
#[derive(Clone)]
pub(crate) struct Services(Arc<Vec<Store<Metadata>>>);

impl Services {
    /// Watches them. Whoever depends on one that comes or goes is looked at again.
    pub(crate) fn watch(
        client: &Client,
        scopes: &[Option<String>],
        triggers: &Arc<Triggers>,
    ) -> (Self, tokio::task::JoinSet<()>) {
        let mut stores = Vec::new();
        let mut tasks = tokio::task::JoinSet::new();
        for scope in scopes {
            let services: Api<Metadata> = match scope {
                None => Api::all(client.clone()),
                Some(namespace) => Api::namespaced(client.clone(), namespace),
            };
            let (store, writer) = reflector::store();
            let triggers = Arc::clone(triggers);
            let seen = reflector::reflector(
                writer,
                watcher(services, watcher::Config::default()).default_backoff(),
            );
            tasks.spawn(async move {
                let mut seen = std::pin::pin!(seen.map_err(|error| {
                    tracing::debug!(%error, "services are not seen");
                }));
                while let Some(event) = seen.next().await {
                    use watcher::Event;
                    match event {
                        Ok(Event::Apply(one) | Event::Delete(one)) => {
                            triggers.service(&one.namespace().unwrap_or_default(), &one.name_any());
                        }
                        // What has changed while nobody looked: each that is there.
                        Ok(Event::InitApply(one)) => {
                            triggers.service(&one.namespace().unwrap_or_default(), &one.name_any());
                        }
                        Ok(Event::Init | Event::InitDone) | Err(()) => {}
                    }
                }
            });
            stores.push(store);
        }
        (Self(Arc::new(stores)), tasks)
    }

    /// Returns when all of them are known; whether they are.
    pub(crate) async fn are_known(&self) -> bool {
        let all = async {
            for store in self.0.iter() {
                if store.wait_until_ready().await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(FIRST_MAX, all).await.unwrap_or(false)
    }

    /// Whether there is one of this name.
    pub(crate) fn has(&self, namespace: &str, name: &str) -> bool {
        let named = ObjectRef::new(name).within(namespace);
        self.0.iter().any(|store| store.get(&named).is_some())
    }
}
