//! Writes what is to run. One process does: whoever writes has read all that was written before.

use std::collections::BTreeMap;

use tidegate_backbone::{ControlError, Register, RegisterError};

use crate::{COMPLETE, Entry, Key};

/// Tries to write behind what others write. Only another controller does, for the moment in which
/// one takes over from the other.
const TRIES_MAX: usize = 10;

/// Writes into a register.
#[derive(Debug)]
pub struct Writer<R> {
    register: R,
    revision: u64,
    /// What is registered: the text, and the writing from which on it is.
    registered: BTreeMap<String, (String, u64)>,
}

/// Why something is not registered.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It never will be.
    #[error("{0}")]
    Refused(String),
    /// The log does not answer; it may be registered or not.
    #[error(transparent)]
    Unreachable(#[from] ControlError),
}

impl<R: Register> Writer<R> {
    /// Reads what is registered.
    pub async fn open(register: R) -> Result<Self, ControlError> {
        let mut writer = Self {
            register,
            revision: 0,
            registered: BTreeMap::new(),
        };
        writer.read().await?;
        Ok(writer)
    }

    async fn read(&mut self) -> Result<(), ControlError> {
        let read = self.register.read().await?;
        self.revision = read.revision;
        let values = read.values.into_iter();
        let known = std::mem::take(&mut self.registered);
        self.registered = values
            .map(|(name, text)| {
                let since = known.get(&name).filter(|(known, _)| *known == text);
                let since = since.map_or(read.revision, |(_, since)| *since);
                (name, (text, since))
            })
            .collect();
        Ok(())
    }

    /// What is registered of a resource.
    pub fn get(&self, key: &Key) -> Option<Entry> {
        let (text, _) = self.registered.get(&key.entry())?;
        Entry::parse(text).ok()
    }

    /// The resources that are registered.
    pub fn keys(&self) -> Vec<Key> {
        let names = self.registered.keys();
        names.filter_map(|name| Key::of_entry(name)).collect()
    }

    /// Registers a resource. Returned is the revision from which on it is so; nothing is written
    /// where it is so already.
    pub async fn put(&mut self, key: &Key, entry: &Entry) -> Result<u64, WriteError> {
        let text = serde_json::to_string(entry);
        let text = text.map_err(|error| WriteError::Refused(error.to_string()))?;
        self.write(&key.entry(), Some(text)).await
    }

    /// Takes a resource out.
    pub async fn remove(&mut self, key: &Key) -> Result<u64, WriteError> {
        self.write(&key.entry(), None).await
    }

    /// Says that all that there is has been written.
    pub async fn complete(&mut self) -> Result<u64, WriteError> {
        self.write(COMPLETE, Some("{}".to_owned())).await
    }

    /// Writes again what somebody else has changed; which entries that were.
    pub async fn mend(&mut self) -> Result<Vec<String>, WriteError> {
        if self.register.revision().await? == self.revision {
            return Ok(Vec::new());
        }
        let wanted = self.registered.clone();
        self.read().await?;
        let mut mended = Vec::new();
        let now: Vec<String> = self.registered.keys().cloned().collect();
        for (name, (text, _)) in &wanted {
            if self.registered.get(name).is_none_or(|(now, _)| now != text) {
                self.write(name, Some(text.clone())).await?;
                mended.push(name.clone());
            }
        }
        for name in now {
            if !wanted.contains_key(&name) {
                self.write(&name, None).await?;
                mended.push(name);
            }
        }
        Ok(mended)
    }

    async fn write(&mut self, name: &str, text: Option<String>) -> Result<u64, WriteError> {
        for _ in 0..TRIES_MAX {
            match (self.registered.get(name), &text) {
                (Some((known, since)), Some(text)) if known == text => return Ok(*since),
                // That it is gone is known to whoever has read as much as this one.
                (None, None) => return Ok(self.revision),
                _ => {}
            }
            let written = self
                .register
                .write(name, text.as_deref(), self.revision)
                .await;
            match written {
                Ok(revision) => {
                    self.revision = revision;
                    match text {
                        Some(text) => {
                            let entry = (text, revision);
                            drop(self.registered.insert(name.to_owned(), entry));
                        }
                        None => drop(self.registered.remove(name)),
                    }
                    return Ok(revision);
                }
                Err(RegisterError::Changed { .. }) => self.read().await?,
                Err(error @ RegisterError::Refused { .. }) => {
                    return Err(WriteError::Refused(error.to_string()));
                }
                Err(error @ RegisterError::Unreachable { .. }) => {
                    return Err(failed(&error.to_string()).into());
                }
            }
        }
        Err(failed("others write all the time").into())
    }
}

fn failed(detail: &str) -> ControlError {
    ControlError {
        action: "registering a resource".to_owned(),
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests;
