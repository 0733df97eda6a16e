//! The register of what is to run, as all looks share it.

use std::sync::Arc;

use tidegate_backbone::{ControlError, jetstream::JetstreamRegister};
use tidegate_snapshot::{Entry, Key, WriteError, Writer};
use tokio::sync::Mutex;

/// The register. Writes follow each other.
#[derive(Clone)]
pub(crate) struct Registry(Arc<Mutex<Writer<JetstreamRegister>>>);

impl Registry {
    pub(crate) async fn open(register: JetstreamRegister) -> Result<Self, ControlError> {
        Ok(Self(Arc::new(Mutex::new(Writer::open(register).await?))))
    }

    pub(crate) async fn get(&self, key: &Key) -> Option<Entry> {
        self.0.lock().await.get(key)
    }

    pub(crate) async fn keys(&self) -> Vec<Key> {
        self.0.lock().await.keys()
    }

    pub(crate) async fn put(&self, key: &Key, entry: &Entry) -> Result<u64, WriteError> {
        self.0.lock().await.put(key, entry).await
    }

    pub(crate) async fn remove(&self, key: &Key) -> Result<u64, WriteError> {
        self.0.lock().await.remove(key).await
    }

    pub(crate) async fn complete(&self) -> Result<u64, WriteError> {
        self.0.lock().await.complete().await
    }

    pub(crate) async fn mend(&self) -> Result<Vec<String>, WriteError> {
        self.0.lock().await.mend().await
    }
}
