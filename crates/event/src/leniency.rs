//! What becomes of an extension whose name CloudEvents forbids.
//!
//! A setting of the connected system, never of the event: values are always held to the rules.

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::{Error, Name, error::cut};

/// How extension names that CloudEvents forbids are handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leniency {
    /// The event is refused.
    #[default]
    Strict,
    /// Upper-case letters become lower-case; what is still illegal is refused.
    Lowercase,
    /// The extension is dropped, also one that only has upper-case letters.
    Drop,
}

impl Leniency {
    /// The extension's name; `None` drops it.
    pub(crate) fn name(self, name: ByteString) -> Result<Option<Name>, Error> {
        if let Some(legal) = Name::new(name.clone()) {
            return Ok(Some(legal));
        }
        let refused = || Error::InvalidName { name: cut(&name) };
        match self {
            Self::Strict => Err(refused()),
            Self::Lowercase => Name::new(name.to_ascii_lowercase())
                .map(Some)
                .ok_or_else(refused),
            Self::Drop => Ok(None),
        }
    }
}
