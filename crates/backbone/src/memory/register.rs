//! The register of the log in memory, and who is seen in it.

use std::{collections::BTreeMap, sync::Arc};

use super::{Memory, Shared};
use crate::{ControlError, Register, RegisterError, Registered};

/// What the register holds.
#[derive(Debug, Default)]
pub(super) struct Entries {
    registered: Registered,
    /// How many are seen under each name.
    present: BTreeMap<String, usize>,
}

/// Somebody is seen as long as it is held.
#[derive(Debug)]
pub struct MemoryPresence {
    shared: Arc<Shared>,
    name: String,
}

// === impl Register ===

impl Register for Memory {
    type Presence = MemoryPresence;

    async fn read(&self) -> Result<Registered, ControlError> {
        Ok(self.shared.entries().registered.clone())
    }

    async fn get(&self, name: &str) -> Result<Option<String>, ControlError> {
        let entries = self.shared.entries();
        Ok(entries.registered.values.get(name).cloned())
    }

    async fn write(
        &self,
        name: &str,
        value: Option<&str>,
        revision: u64,
    ) -> Result<u64, RegisterError> {
        RegisterError::check(name, value)?;
        let mut entries = self.shared.entries();
        let registered = &mut entries.registered;
        if registered.revision != revision {
            return Err(RegisterError::Changed { revision });
        }
        registered.revision += 1;
        match value {
            Some(value) => registered.values.insert(name.to_owned(), value.to_owned()),
            None => registered.values.remove(name),
        };
        Ok(registered.revision)
    }

    async fn appear(&self, name: &str) -> Result<MemoryPresence, ControlError> {
        RegisterError::check_presence(name)?;
        let name = name.to_owned();
        let mut entries = self.shared.entries();
        *entries.present.entry(name.clone()).or_default() += 1;
        Ok(MemoryPresence {
            shared: Arc::clone(&self.shared),
            name,
        })
    }

    async fn is_present(&self, name: &str) -> Result<bool, ControlError> {
        RegisterError::check_presence(name)?;
        Ok(self.shared.entries().present.contains_key(name))
    }
}

impl Drop for MemoryPresence {
    fn drop(&mut self) {
        let present = &mut self.shared.entries().present;
        if let Some(count) = present.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                present.remove(&self.name);
            }
        }
    }
}
