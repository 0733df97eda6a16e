//! What is learned from requests and outlives a change of the documents.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{Config, failures::Failures, issuer_keys::IssuerKeys, passwords::Passwords};

/// Keys of issuers, verified passwords, failures of addresses. One for the whole process; share
/// it with each new [`crate::Identities`].
#[derive(Debug)]
pub struct Memory {
    pub(crate) config: Config,
    pub(crate) keys: IssuerKeys,
    pub(crate) passwords: Passwords,
    pub(crate) failures: Failures,
}

impl Memory {
    /// An empty one. Fails where the machine has no certificate authorities or no randomness.
    pub fn new(config: &Config) -> io::Result<Self> {
        Ok(Self {
            config: config.clone(),
            keys: IssuerKeys::new(config, None)?,
            passwords: Passwords::new(config)?,
            failures: Failures::new(config.failures_per_minute),
        })
    }
}

/// The content of a lock; a panic while it was held leaves nothing half done in this crate.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
