//! What is registered, read again when something was written.

use std::collections::BTreeMap;

use tidegate_backbone::{ControlError, Register};

use crate::{COMPLETE, Key};

/// Reads a register.
#[derive(Debug)]
pub struct Reader<R> {
    register: R,
    /// Up to which writing it is known.
    revision: Option<u64>,
}

/// All that is registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Everything that was written up to here is in it.
    pub revision: u64,
    /// The entries, as they were written.
    pub entries: BTreeMap<Key, String>,
}

impl<R: Register> Reader<R> {
    /// Has read nothing yet.
    pub fn new(register: R) -> Self {
        Self {
            register,
            revision: None,
        }
    }

    /// What is registered, if that is something else than before. A register in which nobody has
    /// written all that there is says nothing: what ran goes on.
    pub async fn look(&mut self) -> Result<Option<Snapshot>, ControlError> {
        // Not only a higher one: the register may be another.
        if Some(self.register.revision().await?) == self.revision {
            return Ok(None);
        }
        let registered = self.register.read().await?;
        self.revision = Some(registered.revision);
        if !registered.values.contains_key(COMPLETE) {
            return Ok(None);
        }
        let entries = registered.values.into_iter();
        let entries = entries.filter_map(|(name, text)| Some((Key::of_entry(&name)?, text)));
        Ok(Some(Snapshot {
            revision: registered.revision,
            entries: entries.collect(),
        }))
    }
}
