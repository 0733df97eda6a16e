//! The registers of the log in memory, and who is seen in them.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::mpsc;

use super::Shared;
use crate::{
    ControlError, Presence, Register, RegisterError, Registered, Shard, register::ENTRY_BYTES_MAX,
};

/// Most that is said and not heard.
const SAID_MAX: usize = 16;

/// What a register holds.
#[derive(Debug, Default)]
pub(super) struct Entries {
    registered: Registered,
    /// Who is seen under each name: its number, and how it hears.
    present: BTreeMap<String, Vec<(u64, mpsc::Sender<u32>)>>,
    appeared: u64,
}

impl Entries {
    pub(super) fn is_empty(&self) -> bool {
        self.registered.values.is_empty()
    }
}

/// One register of a log in memory. Clones are the same.
#[derive(Clone, Debug)]
pub struct MemoryRegister {
    shared: Arc<Shared>,
    shard: Shard,
}

/// Somebody is seen as long as it is held.
#[derive(Debug)]
pub struct MemoryPresence {
    register: MemoryRegister,
    name: String,
    number: u64,
    heard: mpsc::Receiver<u32>,
}

impl MemoryRegister {
    pub(super) fn new(shared: Arc<Shared>, shard: Shard) -> Self {
        Self { shared, shard }
    }

    fn with<T>(&self, ask: impl FnOnce(&mut Entries) -> T) -> T {
        ask(self.shared.registers().entry(self.shard).or_default())
    }
}

// === impl Register ===

impl Register for MemoryRegister {
    type Presence = MemoryPresence;

    async fn read(&self) -> Result<Registered, ControlError> {
        Ok(self.with(|entries| entries.registered.clone()))
    }

    async fn revision(&self) -> Result<u64, ControlError> {
        Ok(self.with(|entries| entries.registered.revision))
    }

    async fn get(&self, name: &str) -> Result<Option<String>, ControlError> {
        Ok(self.with(|entries| entries.registered.values.get(name).cloned()))
    }

    async fn write(
        &self,
        name: &str,
        value: Option<&str>,
        revision: u64,
    ) -> Result<u64, RegisterError> {
        RegisterError::check(name, value, ENTRY_BYTES_MAX)?;
        self.with(|Entries { registered, .. }| {
            if registered.revision != revision {
                return Err(RegisterError::Changed { revision });
            }
            registered.revision += 1;
            match value {
                Some(value) => registered.values.insert(name.to_owned(), value.to_owned()),
                None => registered.values.remove(name),
            };
            Ok(registered.revision)
        })
    }

    async fn appear(&self, name: &str) -> Result<MemoryPresence, ControlError> {
        RegisterError::check_presence(name)?;
        let name = name.to_owned();
        let (says, heard) = mpsc::channel(SAID_MAX);
        let number = self.with(|entries| {
            entries.appeared += 1;
            let present = entries.present.entry(name.clone()).or_default();
            present.push((entries.appeared, says));
            entries.appeared
        });
        Ok(MemoryPresence {
            register: self.clone(),
            name,
            number,
            heard,
        })
    }

    async fn look(&self, name: &str, says: Option<u32>) -> Result<bool, ControlError> {
        RegisterError::check_presence(name)?;
        Ok(self.with(|entries| {
            let present = entries.present.get(name);
            for (_, hears) in present.into_iter().flatten() {
                if let Some(says) = says {
                    // Who has not heard the last ones does not need this one.
                    hears.try_send(says).ok();
                }
            }
            present.is_some()
        }))
    }
}

// === impl MemoryPresence ===

impl Presence for MemoryPresence {
    async fn heard(&mut self) -> u32 {
        match self.heard.recv().await {
            Some(said) => said,
            None => std::future::pending().await,
        }
    }
}

impl Drop for MemoryPresence {
    fn drop(&mut self) {
        self.register.with(|entries| {
            let Some(present) = entries.present.get_mut(&self.name) else {
                return;
            };
            present.retain(|(number, _)| *number != self.number);
            if present.is_empty() {
                entries.present.remove(&self.name);
            }
        });
    }
}
