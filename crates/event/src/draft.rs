//! An event while it is read: attributes as they come in, of any known version of CloudEvents.
//!
//! Where they come from, and how data is carried, is the bindings' business.

use bytes::Bytes;
use bytestring::ByteString;

use crate::{EXTENSIONS_MAX, Error, Event, Extensions, Name, Value, error::cut, validate};

/// The version that every event has here.
pub(crate) const SPECVERSION: &str = "1.0";

/// The older version that is raised.
const SPECVERSION_RAISED: &str = "0.3";

/// The attributes read so far.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) specversion: Option<ByteString>,
    pub(crate) id: Option<ByteString>,
    pub(crate) source: Option<ByteString>,
    pub(crate) r#type: Option<ByteString>,
    pub(crate) datacontenttype: Option<ByteString>,
    pub(crate) dataschema: Option<ByteString>,
    pub(crate) subject: Option<ByteString>,
    pub(crate) time: Option<ByteString>,
    extensions: Extensions,
}

/// How a version before 1.0 says that data is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As itself.
    Identity,
    /// As base64 text.
    Base64,
}

impl Draft {
    /// The place of a core attribute.
    pub(crate) fn slot(&mut self, name: &str) -> Option<&mut Option<ByteString>> {
        match name {
            "specversion" => Some(&mut self.specversion),
            "id" => Some(&mut self.id),
            "source" => Some(&mut self.source),
            "type" => Some(&mut self.r#type),
            "datacontenttype" => Some(&mut self.datacontenttype),
            "dataschema" => Some(&mut self.dataschema),
            "subject" => Some(&mut self.subject),
            "time" => Some(&mut self.time),
            _ => None,
        }
    }

    /// Takes an extension.
    pub(crate) fn extension(&mut self, name: Name, value: Value) -> Result<(), Error> {
        if self.extensions.get(name.as_str()).is_some() {
            return Err(Error::duplicate(name.as_str()));
        }
        if self.extensions.len() == EXTENSIONS_MAX {
            return Err(Error::TooManyAttributes {
                extensions_max: EXTENSIONS_MAX,
            });
        }
        self.extensions.insert(name, value);
        Ok(())
    }

    /// Raises the attributes to those of 1.0, and says how the data is carried.
    pub(crate) fn raise(&mut self) -> Result<Encoding, Error> {
        let version = self.specversion.as_deref().ok_or(Error::MissingAttribute {
            name: "specversion",
        })?;
        if version == SPECVERSION {
            return Ok(Encoding::Identity);
        }
        if version != SPECVERSION_RAISED {
            return Err(Error::UnknownSpecversion {
                value: cut(version),
            });
        }
        if let Some(schema) = self.extensions.remove("schemaurl")
            && self.dataschema.replace(schema.to_text()).is_some()
        {
            return Err(Error::duplicate("schemaurl"));
        }
        let Some(encoding) = self.extensions.remove("datacontentencoding") else {
            return Ok(Encoding::Identity);
        };
        let encoding = encoding.to_text();
        match encoding.to_ascii_lowercase().as_str() {
            "base64" => Ok(Encoding::Base64),
            // RFC 2045's names for octets as they are.
            "7bit" | "8bit" | "binary" => Ok(Encoding::Identity),
            _ => Err(Error::invalid(
                "datacontentencoding",
                &encoding,
                "it must be base64",
            )),
        }
    }

    /// The event, if it is a legal one. Raised before.
    pub(crate) fn finish(self, data: Option<Bytes>) -> Result<Event, Error> {
        let required =
            |value: Option<ByteString>, name| value.ok_or(Error::MissingAttribute { name });
        let event = Event {
            id: required(self.id, "id")?,
            source: required(self.source, "source")?,
            r#type: required(self.r#type, "type")?,
            datacontenttype: self.datacontenttype,
            dataschema: self.dataschema,
            subject: self.subject,
            time: self.time,
            extensions: self.extensions,
            data: data.filter(|data| !data.is_empty()),
        };
        validate(&event)?;
        Ok(event)
    }
}

/// Data that is carried as base64: the standard alphabet, with padding.
pub(crate) fn base64(text: &[u8]) -> Result<Bytes, Error> {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    BASE64_STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(|_| Error::InvalidData {
            reason: "it is not base64 of the standard alphabet with padding",
        })
}
