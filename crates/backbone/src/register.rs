//! The port's second part: what is known of consumers beside the log.

use std::{collections::BTreeMap, fmt, future::Future};

use crate::ControlError;

/// Longest name and value, in bytes, where a thousand of them are read at once.
pub(crate) const ENTRY_BYTES_MAX: usize = 8 << 10;

/// Longest name and value of a register that holds documents: a Subscription of Kyma's with a
/// thousand types of the usual length. Half of what a nats-server takes unless it is told otherwise.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 512 << 10;

/// Longest name, in bytes. It is part of a subject, and a nats-server hangs up on a line that is
/// longer than 4 KiB.
const NAME_BYTES_MAX: usize = 2 << 10;

/// A part of all that is registered, with a writer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard {
    /// Which one, from 0.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_of_{}", self.number, self.of)
    }
}

impl Shard {
    /// The only one.
    pub const WHOLE: Self = Self { number: 0, of: 1 };

    /// A name of what belongs to a shard; where there is only one, it is the name.
    pub fn name(self, name: &str) -> String {
        match self {
            Self::WHOLE => name.to_owned(),
            Self { .. } => format!("{name}_{self}"),
        }
    }

    /// Whose [name](Self::name) it is.
    pub fn of_name(name: &str, text: &str) -> Option<Self> {
        if name == text {
            return Some(Self::WHOLE);
        }
        let shard = text.strip_prefix(name)?.strip_prefix('_')?;
        let (number, of) = shard.split_once("_of_")?;
        let shard = Self {
            number: number.parse().ok()?,
            of: of.parse().ok()?,
        };
        (shard.number < shard.of && shard.name(name) == text).then_some(shard)
    }
}

/// That somebody is seen, until it is dropped.
pub trait Presence: Send + Sync + 'static {
    /// What somebody who looked has said.
    fn heard(&mut self) -> impl Future<Output = u32> + Send;
}

/// Values under names, durable. Whoever writes has read all that was written before: of several
/// processes that take themselves for the one that may write, one does.
pub trait Register: Clone + Send + Sync + 'static {
    /// That somebody is seen, until it is dropped.
    type Presence: Presence;

    /// All of it.
    fn read(&self) -> impl Future<Output = Result<Registered, ControlError>> + Send;

    /// The revision of the last writing, for whoever has read and looks whether there is more.
    fn revision(&self) -> impl Future<Output = Result<u64, ControlError>> + Send;

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
    fn is_present(&self, name: &str) -> impl Future<Output = Result<bool, ControlError>> + Send {
        self.look(name, None)
    }

    /// The same, and whoever is seen [hears](Presence::heard) what is said, if it listens.
    fn look(
        &self,
        name: &str,
        says: Option<u32>,
    ) -> impl Future<Output = Result<bool, ControlError>> + Send;
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
    /// Whether a name and a value, of so many bytes at most, can be written at all: the name is a
    /// token of a subject.
    pub(crate) fn check(name: &str, value: Option<&str>, bytes_max: usize) -> Result<(), Self> {
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
            () if name.len() + value.map_or(0, str::len) > bytes_max => {
                refused(&format!("it is longer than {} KiB", bytes_max >> 10))
            }
            () => Ok(()),
        }
    }

    /// Whether somebody can be seen under this name at all.
    pub(crate) fn check_presence(name: &str) -> Result<(), ControlError> {
        Self::check(name, None, ENTRY_BYTES_MAX).map_err(|error| ControlError {
            action: format!("looking for who is present as {name:?}"),
            detail: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_shard() {
        for of in 1..40 {
            for number in 0..of {
                let shard = Shard { number, of };
                let name = shard.name("A_B");
                assert_eq!(Shard::of_name("A_B", &name), Some(shard), "{name}");
                assert_eq!(Shard::of_name("A", &name), None, "{name}");
            }
        }
        for text in [
            "A_1",
            "A_2_of_2",
            "A_01_of_2",
            "A_+1_of_2",
            "A_0_of_1",
            "A_",
            "B",
            "",
        ] {
            assert_eq!(Shard::of_name("A", text), None, "{text}");
        }
    }
}
