//! An event that is being read: what every binding collects before the rules are applied.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::{Error, Event, Extensions, Name, Value, error::Shown, validate::validate};

/// What to do with a name that no extension may have. A setting of each connected system, since
/// some systems cannot be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leniency {
    /// Refuse the event.
    #[default]
    Strict,
    /// Take upper-case letters for lower-case ones; refuse what is illegal then.
    Lowercase,
    /// Leave the attribute out.
    Drop,
}

/// Attributes as a binding finds them.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    specversion: Option<ByteString>,
    id: Option<ByteString>,
    source: Option<ByteString>,
    r#type: Option<ByteString>,
    datacontenttype: Option<ByteString>,
    dataschema: Option<ByteString>,
    subject: Option<ByteString>,
    time: Option<ByteString>,
    extensions: Extensions,
}

/// The data as a binding finds it.
#[derive(Debug)]
pub(crate) enum Data {
    /// There is none.
    Absent,
    /// Its own bytes.
    Bytes(Bytes),
    /// The text of a JSON value: the data itself, or a string that holds it; the content type
    /// decides.
    Json(Bytes),
}

impl Draft {
    /// Takes an attribute that is text everywhere, the core ones. `Err` gives the value back when
    /// the name is another one.
    pub(crate) fn core(&mut self, name: &str, value: ByteString) -> Result<(), CoreError> {
        let (slot, name) = match name {
            "specversion" => (&mut self.specversion, "specversion"),
            "id" => (&mut self.id, "id"),
            "source" => (&mut self.source, "source"),
            "type" => (&mut self.r#type, "type"),
            "datacontenttype" => (&mut self.datacontenttype, "datacontenttype"),
            "dataschema" => (&mut self.dataschema, "dataschema"),
            "subject" => (&mut self.subject, "subject"),
            "time" => (&mut self.time, "time"),
            _ => return Err(CoreError::Other(value)),
        };
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(CoreError::Is(Error::Duplicate {
                attribute: name.to_owned(),
            })),
        }
    }

    pub(crate) fn extension(
        &mut self,
        name: ByteString,
        value: Value,
        leniency: Leniency,
    ) -> Result<(), Error> {
        let name = match (Name::new(name.clone()), leniency) {
            (Some(name), _) => name,
            (None, Leniency::Drop) => return Ok(()),
            (None, Leniency::Lowercase) => {
                Name::new(name.to_ascii_lowercase()).ok_or_else(|| Error::Name {
                    name: Shown::new(name),
                })?
            }
            (None, Leniency::Strict) => {
                return Err(Error::Name {
                    name: Shown::new(name),
                });
            }
        };
        let attribute = name.clone();
        match self.extensions.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(Error::Duplicate {
                attribute: attribute.to_string(),
            }),
        }
    }

    pub(crate) fn has_datacontenttype(&self) -> bool {
        self.datacontenttype.is_some()
    }

    /// The event, raised to 1.0 and judged by all rules.
    pub(crate) fn finish(mut self, data: Data) -> Result<Event, Error> {
        let version = self.specversion.take().ok_or(Error::Missing {
            attribute: "specversion",
        })?;
        let data = match &*version {
            "1.0" => data,
            "0.3" => self.raise(data)?,
            other => {
                return Err(Error::Specversion {
                    value: Shown::new(other),
                });
            }
        };
        let data = match data {
            Data::Absent => None,
            Data::Bytes(bytes) => Some(bytes),
            Data::Json(text) => self.data_of(text)?,
        };
        let event = Event {
            id: self.id.ok_or(Error::Missing { attribute: "id" })?,
            source: self.source.ok_or(Error::Missing {
                attribute: "source",
            })?,
            r#type: self.r#type.ok_or(Error::Missing { attribute: "type" })?,
            datacontenttype: self.datacontenttype,
            dataschema: self.dataschema,
            subject: self.subject,
            time: self.time,
            extensions: self.extensions,
            data: data.filter(|bytes| !bytes.is_empty()),
        };
        validate(&event)?;
        Ok(event)
    }

    /// 0.3 → 1.0: `schemaurl` became `dataschema`; `datacontentencoding` went into the formats.
    fn raise(&mut self, data: Data) -> Result<Data, Error> {
        if let Some(schema) = self.extensions.remove("schemaurl") {
            self.dataschema.get_or_insert(schema.to_text());
        }
        let encoded = match self.extensions.remove("datacontentencoding") {
            None => return Ok(data),
            Some(encoding) if encoding.to_text().eq_ignore_ascii_case("base64") => match data {
                Data::Absent => return Ok(Data::Absent),
                Data::Bytes(bytes) => bytes,
                Data::Json(text) => json_string(&text)?.ok_or(Error::Data {
                    reason: "data: must be a string when datacontentencoding is base64",
                })?,
            },
            Some(encoding) => {
                let value = encoding.to_text();
                return Err(Error::invalid(
                    "datacontentencoding",
                    "must be base64",
                    &*value,
                ));
            }
        };
        base64(&encoded).map(Data::Bytes)
    }

    /// JSON format §3.1.1: what `data` means depends on the content type.
    fn data_of(&mut self, text: Bytes) -> Result<Option<Bytes>, Error> {
        match &self.datacontenttype {
            None => {
                // "Exactly equivalent", says the format; elsewhere it has to be written out.
                self.datacontenttype = Some(ByteString::from_static("application/json"));
                Ok(Some(text))
            }
            Some(media_type) if is_json(media_type) => Ok(Some(text)),
            Some(_) if &*text == b"null" => Ok(None),
            Some(_) => Ok(Some(json_string(&text)?.unwrap_or(text))),
        }
    }
}

/// Why [`Draft::core`] did not take a value.
pub(crate) enum CoreError {
    /// It is a core attribute, and wrong.
    Is(Error),
    /// It is none; here it is again.
    Other(ByteString),
}

/// Whether data of this media type is JSON text.
pub fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let ends_with = |suffix: &str| {
        essence
            .len()
            .checked_sub(suffix.len())
            .and_then(|from| essence.get(from..))
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    essence.eq_ignore_ascii_case("application/json")
        || essence.eq_ignore_ascii_case("text/json")
        || ends_with("+json")
}

/// The text of a JSON string; `None` for another JSON value.
fn json_string(text: &Bytes) -> Result<Option<Bytes>, Error> {
    match text.as_ref() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Ok(Some(text.slice_ref(inner))),
        [b'"', ..] => serde_json::from_slice::<String>(text)
            .map(|unescaped| Some(unescaped.into()))
            .map_err(|error| Error::Json {
                reason: error.to_string(),
            }),
        _ => Ok(None),
    }
}

pub(crate) fn base64(text: &[u8]) -> Result<Bytes, Error> {
    STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(|_| Error::Data {
            reason: "data_base64: must be padded base64 (RFC 4648 §4)",
        })
}
