//! Pauses by command: kept in a register beside the log, so that every process knows them, also
//! after a restart, and laid over what documents say.
//!
//! What a paused Subscription does is not known here: it is the one that `pause: true` in its
//! document makes.

mod door;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_backbone::{ControlError, Register, RegisterError};
use tidegate_subscription::Subscription;

pub(super) use self::door::{Ask, Done};
pub(crate) use self::door::{PauseDoor, Pausing, Refused};

/// What the register is called.
pub(super) const REGISTER: &str = "PAUSES";

/// Pauses there may be. As many files may be in the folder; all of them are below 10 MiB.
const PAUSES_MAX: usize = 10_000;

/// Characters of a reason: a line or two of a terminal for each Subscription in a list.
const REASON_CHARS_MAX: usize = 300;

/// Tries to write behind what others write. Each that fails is one of theirs that was done, and
/// those who write are people.
const TRIES_MAX: usize = 10;

/// What is told of a failure.
const ACTION: &str = "registering a pause";

/// A pause by command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pause {
    /// `namespace/name` of the Subscription.
    pub(crate) subscription: String,
    /// The name of the token that it was asked with; `null` where the door wants none.
    pub(crate) who: Option<String>,
    /// When it was asked.
    pub(crate) since: String,
    /// Why, in the words of whoever asked.
    pub(crate) reason: Option<String>,
}

impl Pause {
    /// For people, behind "paused by".
    pub(crate) fn words(&self) -> String {
        let Self {
            who, since, reason, ..
        } = self;
        let who = who.as_ref().map(|who| format!(" of {who}"));
        let reason = reason.as_ref().map(|reason| format!(": {reason}"));
        let (who, reason) = (who.unwrap_or_default(), reason.unwrap_or_default());
        format!("command{who} since {since}{reason}")
    }
}

/// What pauses a Subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Paused {
    /// Its document says `pause: true`.
    pub(crate) by_document: bool,
    /// The command, if there was one.
    pub(crate) by_command: Option<Pause>,
}

impl Paused {
    /// For people.
    pub(crate) fn words(&self) -> String {
        let command = self.by_command.as_ref().map(Pause::words);
        match (self.by_document, command) {
            (true, Some(command)) => {
                format!("paused by its document (pause: true), and by {command}")
            }
            (false, Some(command)) => format!("paused by {command}"),
            (_, None) => "paused by its document (pause: true)".to_owned(),
        }
    }

    /// What to do where its document pauses it.
    fn way_out(&self) -> &'static str {
        match self.by_command {
            Some(_) => "take pause: true out of its document, and resume it then",
            None => "take pause: true out of its document",
        }
    }
}

/// The pauses that this process knows, and where they are kept.
pub(super) struct Pauses<R> {
    register: R,
    /// Up to which writing they are known.
    revision: u64,
    /// By Subscription, with the name under which it is registered.
    known: BTreeMap<String, (String, Pause)>,
}

impl<R: Register> Pauses<R> {
    /// Those that there are.
    pub(super) async fn of(register: R) -> Result<Self, ControlError> {
        let mut pauses = Self {
            register,
            revision: 0,
            known: BTreeMap::new(),
        };
        pauses.read().await?;
        Ok(pauses)
    }

    /// Looks whether somebody else has written; whether there is anything new.
    pub(super) async fn look(&mut self) -> Result<bool, ControlError> {
        // Not only a higher one: the bucket may be another.
        if self.register.revision().await? == self.revision {
            return Ok(false);
        }
        self.read().await
    }

    /// Whether there is anything new.
    async fn read(&mut self) -> Result<bool, ControlError> {
        let registered = self.register.read().await?;
        let mut known = BTreeMap::new();
        for (name, value) in registered.values {
            match serde_json::from_str::<Pause>(&value) {
                Ok(pause) => drop(known.insert(pause.subscription.clone(), (name, pause))),
                Err(error) => {
                    tracing::error!(name, %error, "a registered pause is not understood, and does nothing");
                }
            }
        }
        self.revision = registered.revision;
        let is_new = known != self.known;
        self.known = known;
        Ok(is_new)
    }

    /// A Subscription as it is to run, and what pauses it.
    pub(super) fn over(&self, document: &Arc<Subscription>) -> (Arc<Subscription>, Option<Paused>) {
        let by_command = self.by_command(&document.id()).cloned();
        let by_document = document.pause;
        let mut subscription = Arc::clone(document);
        if by_command.is_some() && !by_document {
            Arc::make_mut(&mut subscription).pause = true;
        }
        let paused = subscription.pause.then_some(Paused {
            by_document,
            by_command,
        });
        (subscription, paused)
    }

    /// That of a Subscription, if there is one.
    pub(super) fn by_command(&self, subscription: &str) -> Option<&Pause> {
        self.known.get(subscription).map(|(_, pause)| pause)
    }

    /// Those whose Subscription these are not.
    pub(super) fn without<'a>(
        &'a self,
        is_known: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Pause> + 'a {
        let pauses = self.known.values().map(|(_, pause)| pause);
        pauses.filter(move |pause| !is_known(&pause.subscription))
    }

    /// Pauses a Subscription that has this consumer. `Ok` means that it is durable: whether it is
    /// new, and the one that holds, which is the first.
    pub(super) async fn pause(
        &mut self,
        consumer: &str,
        pause: Pause,
    ) -> Result<(bool, Pause), Refused> {
        let value = serde_json::to_string(&pause).map_err(|error| failed(&error.to_string()))?;
        for _ in 0..TRIES_MAX {
            self.read().await?;
            if let Some((_, first)) = self.known.get(&pause.subscription) {
                return Ok((false, first.clone()));
            }
            if self.known.len() >= PAUSES_MAX {
                return Err(Refused::TooMany(PAUSES_MAX));
            }
            if self.write(consumer, Some(&value)).await? {
                let entry = (consumer.to_owned(), pause.clone());
                self.known.insert(pause.subscription.clone(), entry);
                return Ok((true, pause));
            }
        }
        Err(failed("others write all the time; try again").into())
    }

    /// Takes the pause of a Subscription away, if there is one: it. `Ok` means that it is durable.
    pub(super) async fn resume(&mut self, subscription: &str) -> Result<Option<Pause>, Refused> {
        for _ in 0..TRIES_MAX {
            self.read().await?;
            let Some((name, pause)) = self.known.get(subscription).cloned() else {
                return Ok(None);
            };
            if self.write(&name, None).await? {
                self.known.remove(subscription);
                return Ok(Some(pause));
            }
        }
        Err(failed("others write all the time; try again").into())
    }

    /// Whether it is written; otherwise somebody else was faster.
    async fn write(&mut self, name: &str, value: Option<&str>) -> Result<bool, ControlError> {
        match self.register.write(name, value, self.revision).await {
            Ok(revision) => {
                self.revision = revision;
                Ok(true)
            }
            Err(RegisterError::Changed { .. }) => Ok(false),
            Err(error @ RegisterError::Refused { .. }) => Err(failed(&error.to_string())),
            Err(error @ RegisterError::Unreachable { .. }) => Err(failed(&format!(
                "{error}; whether it is done is not known: ask again"
            ))),
        }
    }
}

fn failed(detail: &str) -> ControlError {
    ControlError {
        action: ACTION.to_owned(),
        detail: detail.to_owned(),
    }
}
