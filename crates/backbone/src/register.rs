//! The port's second part: what is known of consumers beside the log.

use std::{collections::BTreeMap, future::Future};

use crate::ControlError;

/// Longest name and value, in bytes.
pub(crate) const ENTRY_BYTES_MAX: usize = 8 << 10;

/// Longest name, in bytes. It is part of a subject, and a nats-server hangs up on a line that is
/// longer than 4 KiB.
const NAME_BYTES_MAX: usize = 2 << 10;

/// Values under names, durable. Whoever writes has read all that was written before: of several
/// processes that take themselves for the one that may write, one does.
pub trait Register: Clone + Send + Sync + 'static {
    /// That somebody is seen, until it is dropped.
    type Presence: Send + Sync + 'static;

    /// All of it.
    fn read(&self) -> impl Future<Output = Result<Registered, ControlError>> + Send;

    /// The value of one name, as it is now.
    fn get(&self, name: &str) -> impl Future<Output = Result<Option<String>, ControlError>> + Send;

    /// Writes a value, or takes it away, if nothing was written behind this revision. Returned is the
    /// revision of this writing.
    fn write(
        &self,
        name: &str,
        value: Option<&str>,
        revision: u64,
    ) -> impl Future<Output = Result<u64, RegisterError>> + Send;

    /// Who holds what is returned is seen under this name, for as long as its connection stands.
    fn appear(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Self::Presence, ControlError>> + Send;

    /// Whether somebody is seen under this name. One that is there and does not answer is seen.
    fn is_present(&self, name: &str) -> impl Future<Output = Result<bool, ControlError>> + Send;
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// Everything that was written up to this revision is there; of what was written behind it some
    /// may be.
    pub revision: u64,
    /// By name.
    pub values: BTreeMap<String, String>,
}

/// Why something is not known to be written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegisterError {
    /// It was not written: somebody else has.
    #[error("somebody else has written behind revision {revision}")]
    Changed {
        /// The revision that it was to follow.
        revision: u64,
    },
    /// It was not written, and would not be another time.
    #[error("{name:?} cannot be registered: {detail}")]
    Refused {
        /// The name.
        name: String,
        /// Why not.
        detail: String,
    },
    /// It may be written or not; only reading tells.
    #[error("the register is unreachable: {detail}")]
    Unreachable {
        /// What is known.
        detail: String,
    },
}

impl RegisterError {
    /// Whether a name and a value can be written at all: the name is a token of a subject.
    pub(crate) fn check(name: &str, value: Option<&str>) -> Result<(), Self> {
        let refused = |detail: &str| {
            Err(Self::Refused {
                name: name.to_owned(),
                detail: detail.to_owned(),
            })
        };
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=');
        match () {
            () if name.is_empty() || !name.bytes().all(is_plain) => {
                refused("a name has letters, digits, -, _ and =")
            }
            () if name.len() > NAME_BYTES_MAX => refused("a name has at most 2 KiB"),
            () if name.len() + value.map_or(0, str::len) > ENTRY_BYTES_MAX => {
                refused("it is longer than 8 KiB")
            }
            () => Ok(()),
        }
    }

    /// Whether somebody can be seen under this name at all.
    pub(crate) fn check_presence(name: &str) -> Result<(), ControlError> {
        Self::check(name, None).map_err(|error| ControlError {
            action: format!("looking for who is present as {name:?}"),
            detail: error.to_string(),
        })
    }
}
