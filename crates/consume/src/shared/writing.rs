//! Registering members: as the one in charge, and by nobody else.

use tidegate_backbone::{ControlError, Log, Register, RegisterError};
use tokio::time::sleep;

use super::{
    entry::{At, Entry, OWNER, Owner},
    hub::{Inner, PAUSE, Unwritten},
};

impl<L: Log, R: Register> Inner<L, R> {
    /// What is registered of a member now, whoever is in charge.
    pub(super) async fn registered(&self, name: &str) -> Result<Option<Entry>, ControlError> {
        let value = self.register.get(name).await?;
        value.map(|value| Entry::read(name, &value)).transpose()
    }

    /// Whether its events come with those of the others, by whoever is in charge.
    pub(super) async fn is_shared(&self, name: &str) -> bool {
        let registered = self.registered(name).await;
        let entry = registered.ok().flatten();
        entry.is_some_and(|entry| matches!(entry.at, At::Shared(_)))
    }

    /// Registers a member, or that it is none. `Ok` means that it is durable.
    pub(super) async fn write(&self, name: &str, entry: Option<&Entry>) -> Result<(), Unwritten> {
        let value = match entry {
            Some(entry) => Some(entry.text().ok_or(Unwritten::Refused)?),
            None => None,
        };
        self.write_value(name, value.as_deref()).await
    }

    pub(super) async fn write_value(
        &self,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), Unwritten> {
        let mut writer = self.writer.lock().await;
        loop {
            let Some(owner) = writer.owner.clone() else {
                return Err(Unwritten::Over);
            };
            match self.register.write(name, value, writer.revision).await {
                Ok(revision) => {
                    writer.revision = revision;
                    return Ok(());
                }
                Err(error @ RegisterError::Refused { .. }) => {
                    tracing::error!(%error, "the register does not take it");
                    return Err(Unwritten::Refused);
                }
                // An earlier writing of this process may have been late.
                Err(
                    error @ (RegisterError::Changed { .. } | RegisterError::Unreachable { .. }),
                ) => {
                    tracing::debug!(%error, "the register is read again");
                }
            }
            match self.register.read().await {
                Ok(registered) if Owner::read(registered.values.get(OWNER)) == owner => {
                    writer.revision = registered.revision;
                }
                Ok(_) => {
                    writer.owner = None;
                    return Err(Unwritten::Over);
                }
                Err(error) => {
                    tracing::debug!(%error, "the register is not read yet");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}
