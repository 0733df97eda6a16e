//! The members of an event's JSON object, as raw JSON text that is borrowed from the body.
//!
//! What they mean is decided in `decode`. Nothing here recurses into a member, so depth is bounded
//! by the body alone.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{Error, validate::EXTENSIONS_MAX};

/// One event's members. Each comes once.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) specversion: Option<&'a RawValue>,
    pub(super) id: Option<&'a RawValue>,
    pub(super) source: Option<&'a RawValue>,
    pub(super) r#type: Option<&'a RawValue>,
    pub(super) datacontenttype: Option<&'a RawValue>,
    pub(super) dataschema: Option<&'a RawValue>,
    pub(super) subject: Option<&'a RawValue>,
    pub(super) time: Option<&'a RawValue>,
    pub(super) data: Option<&'a RawValue>,
    pub(super) data_base64: Option<&'a RawValue>,
    /// All the others, in the order of the body.
    pub(super) extensions: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Envelope<'a> {
    fn slot(&mut self, name: &str) -> Option<&mut Option<&'a RawValue>> {
        match name {
            "specversion" => Some(&mut self.specversion),
            "id" => Some(&mut self.id),
            "source" => Some(&mut self.source),
            "type" => Some(&mut self.r#type),
            "datacontenttype" => Some(&mut self.datacontenttype),
            "dataschema" => Some(&mut self.dataschema),
            "subject" => Some(&mut self.subject),
            "time" => Some(&mut self.time),
            "data" => Some(&mut self.data),
            "data_base64" => Some(&mut self.data_base64),
            _ => None,
        }
    }

    fn insert(&mut self, name: Cow<'a, str>, value: &'a RawValue) -> Result<(), Error> {
        if let Some(slot) = self.slot(&name) {
            return match slot.replace(value) {
                Some(_) => Err(Error::duplicate(&name)),
                None => Ok(()),
            };
        }
        // Quadratic, and cheaper than a set for the few that there are. The bound counts dropped
        // and null ones as well.
        if self.extensions.iter().any(|(have, _)| *have == name) {
            return Err(Error::duplicate(&name));
        }
        if self.extensions.len() == EXTENSIONS_MAX {
            return Err(Error::TooManyAttributes {
                extensions_max: EXTENSIONS_MAX,
            });
        }
        self.extensions.push((name, value));
        Ok(())
    }
}

/// Reads an envelope. An error of ours is left in `refused`, since serde has no place for it.
pub(super) struct Seed<'r> {
    pub(super) refused: &'r mut Option<Error>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Envelope<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(name) = members.next_key_seed(Text)? {
            let value = members.next_value()?;
            if let Err(error) = envelope.insert(name, value) {
                *self.refused = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(envelope)
    }
}

/// A member's name, borrowed unless it has escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Whether the body is an object with the required attributes; reads no further than it must.
pub(super) fn has_required(body: &[u8]) -> bool {
    let mut found = 0;
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    // Stopping early is an error to serde, so what was found counts, and not the result.
    let stopped = deserializer
        .deserialize_map(Required { found: &mut found })
        .is_err();
    debug_assert!(
        stopped || found != Required::ALL,
        "the visitor stops when it has all four"
    );
    found == Required::ALL
}

struct Required<'f> {
    found: &'f mut u8,
}

impl Required<'_> {
    const ALL: u8 = 0b1111;
}

impl<'de> Visitor<'de> for Required<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key_seed(Text)? {
            let IgnoredAny = members.next_value()?;
            *self.found |= match &*name {
                "specversion" => 0b0001,
                "id" => 0b0010,
                "source" => 0b0100,
                "type" => 0b1000,
                _ => 0,
            };
            if *self.found == Self::ALL {
                return Err(A::Error::custom("found"));
            }
        }
        Ok(())
    }
}
