//! Producers, which sinks of the same cluster share.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    config::FromClientConfigAndContext as _,
    producer::{FutureProducer, Producer as _},
};
use tidegate_document::kafka::Cluster;

use crate::{
    Config, Metrics,
    client::{Access, Context, Secrets, Trouble},
    metrics::Shown,
};

/// How long a rotated secret may stay unnoticed.
const FRESH_FOR: Duration = Duration::from_secs(5);

/// How long a topic is looked for that nobody knows.
const TOPIC_WITHIN: Duration = Duration::from_secs(5);

/// Those of a process. Clones are the same.
#[derive(Clone)]
pub struct Producers {
    config: Arc<Config>,
    metrics: Metrics,
    known: Arc<Mutex<HashMap<Key, Weak<Producer>>>>,
}

/// What sinks have in common that share a producer.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) cluster: Cluster,
    /// That of the documents with the secrets.
    pub(crate) folder: PathBuf,
    /// How long a record may wait for its brokers.
    pub(crate) timeout: Duration,
}

/// One producer.
pub(crate) struct Producer {
    /// There until it is dropped.
    client: Option<FutureProducer<Context>>,
    pub(crate) trouble: Arc<Trouble>,
    secrets: Secrets,
    looked: Mutex<Instant>,
}

impl fmt::Debug for Producers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producers").finish_non_exhaustive()
    }
}

impl Producers {
    /// None yet.
    pub fn new(config: &Config, metrics: &Metrics) -> Self {
        Self {
            config: Arc::new(config.clone()),
            metrics: metrics.clone(),
            known: Arc::default(),
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The producer, or a new one where there is none, or none that can go on.
    pub(crate) fn of(
        &self,
        key: &Key,
        had: Option<&Arc<Producer>>,
    ) -> Result<Arc<Producer>, String> {
        if let Some(producer) = had.filter(|producer| producer.goes_on(key)) {
            return Ok(Arc::clone(producer));
        }
        let mut known = self.known();
        let current = known.get(key).and_then(Weak::upgrade);
        if let Some(producer) = current.filter(|producer| producer.goes_on(key)) {
            return Ok(producer);
        }
        let producer = Arc::new(self.made(key)?);
        known.retain(|_, producer| producer.strong_count() > 0);
        known.insert(key.clone(), Arc::downgrade(&producer));
        Ok(producer)
    }

    /// It cannot go on.
    pub(crate) fn forget(&self, key: &Key, producer: &Arc<Producer>) {
        let mut known = self.known();
        let is_it = known
            .get(key)
            .is_some_and(|one| one.as_ptr() == Arc::as_ptr(producer));
        if is_it {
            known.remove(key);
        }
    }

    fn made(&self, key: &Key) -> Result<Producer, String> {
        let Config {
            queued_bytes_max,
            queued_records_max,
            record_bytes_max,
            linger,
            ..
        } = &*self.config;
        let access = Access::new(&key.cluster, &key.folder, &self.config)?;
        let secrets = access.secrets.clone();
        let client = access.with([
            // Nothing twice, nothing out of order, whatever is sent again on the way.
            ("enable.idempotence", "true".to_owned()),
            ("acks", "all".to_owned()),
            // Always shorter than the timeout.
            (
                "linger.ms",
                (*linger).min(key.timeout / 2).as_millis().to_string(),
            ),
            // Of a topic that is not there, an attempt tells that, and not that it took too long.
            (
                "topic.metadata.propagation.max.ms",
                TOPIC_WITHIN.min(key.timeout / 2).as_millis().to_string(),
            ),
            (
                "message.timeout.ms",
                key.timeout.as_millis().max(1).to_string(),
            ),
            (
                "queue.buffering.max.messages",
                queued_records_max.to_string(),
            ),
            (
                "queue.buffering.max.kbytes",
                (queued_bytes_max.as_u64() >> 10).max(1).to_string(),
            ),
            ("message.max.bytes", record_bytes_max.as_u64().to_string()),
            // As Java's producer has it, so that a key has one partition whoever writes.
            ("partitioner", "murmur2_random".to_owned()),
        ]);
        let name = key.cluster.brokers.join(",");
        let trouble = Arc::new(Trouble::default());
        let shown = Shown::new(&self.metrics, &name);
        let context = Context::new(&key.cluster, &key.folder, shown, Arc::clone(&trouble));
        let client = FutureProducer::from_config_and_context(&client, context);
        Ok(Producer {
            client: Some(client.map_err(|error| error.to_string())?),
            trouble,
            secrets,
            looked: Mutex::new(Instant::now()),
        })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, Weak<Producer>>> {
        // Every change is complete before anything in it can panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Producer {
    pub(crate) fn client(&self) -> &FutureProducer<Context> {
        self.client
            .as_ref()
            .expect("it is there until it is dropped")
    }

    /// Whether it can still send, with the secrets of now.
    fn goes_on(&self, key: &Key) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.elapsed() < FRESH_FOR {
            return true;
        }
        *looked = Instant::now();
        drop(looked);
        self.client().client().fatal_error().is_none()
            && self.has_secrets_of(&key.cluster, &key.folder)
    }

    fn has_secrets_of(&self, cluster: &Cluster, folder: &Path) -> bool {
        // One that cannot be read now may be on its way: what is known goes on.
        Secrets::read(cluster, folder).map_or(true, |now| now == self.secrets)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let client = self.client.take();
        // Its end waits for threads of librdkafka, which nobody who delivers should.
        let ends = thread::Builder::new().name("kafka-end".to_owned());
        ends.spawn(move || drop(client)).ok();
    }
}
