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

/// An event that is being read: what a binding finds, before the rules are applied.
///
/// Who knows a sender better than the specification does may mend it here; [`Draft::finish`] judges.
#[derive(Debug, Default)]
pub struct Draft {
    /// The version of the specification that the sender names.
    pub specversion: Option<ByteString>,
    /// `id`
    pub id: Option<ByteString>,
    /// `source`
    pub source: Option<ByteString>,
    /// `type`
    pub r#type: Option<ByteString>,
    /// `datacontenttype`
    pub datacontenttype: Option<ByteString>,
    /// `dataschema`
    pub dataschema: Option<ByteString>,
    /// `subject`
    pub subject: Option<ByteString>,
    /// `time`
    pub time: Option<ByteString>,
    /// Everything else that stands where attributes do, in the sender's order, names as they came;
    /// also a core attribute that is no string.
    pub extensions: Vec<(ByteString, Loose)>,
    /// The data.
    pub data: Data,
}

/// The value of something that may become an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loose {
    /// One that an attribute may have.
    Value(Value),
    /// The text of a JSON value that none may have: a number that is no 32-bit integer, an array,
    /// an object.
    Json(ByteString),
}

impl Loose {
    /// Its text.
    pub fn to_text(&self) -> ByteString {
        match self {
            Self::Value(value) => value.to_text(),
            Self::Json(text) => text.clone(),
        }
    }
}

/// The data as a binding finds it.
#[derive(Debug, Default)]
pub enum Data {
    /// There is none.
    #[default]
    Absent,
    /// Its own bytes.
    Bytes(Bytes),
    /// The text of a JSON value: the data itself, or a string that holds it; the content type
    /// decides.
    Json(Bytes),
}

impl Draft {
    /// The place of a core attribute; `None` for every other name.
    pub fn core(&mut self, name: &str) -> Option<&mut Option<ByteString>> {
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

    /// Takes the first extension of this name out.
    pub fn take(&mut self, name: &str) -> Option<Loose> {
        let at = self.extensions.iter().position(|(have, _)| have == name)?;
        Some(self.extensions.remove(at).1)
    }

    /// What a binding finds under a name.
    pub(crate) fn found(&mut self, name: &str, value: Value) -> Result<(), Error> {
        match (self.core(name), value) {
            (None, value) => self.extensions.push((name.into(), Loose::Value(value))),
            (Some(slot), Value::String(text)) => {
                if slot.replace(text).is_some() {
                    return Err(Error::Duplicate {
                        attribute: name.to_string(),
                    });
                }
            }
            // Of a type that the attribute cannot have: whoever mends may, `finish` refuses it.
            (Some(_), value @ (Value::Boolean(_) | Value::Integer(_))) => {
                self.extensions.push((name.into(), Loose::Value(value)));
            }
        }
        Ok(())
    }

    /// The event, raised to 1.0 and judged by all rules.
    pub fn finish(mut self, leniency: Leniency) -> Result<Event, Error> {
        let version = self.specversion.take().ok_or(Error::Missing {
            attribute: "specversion",
        })?;
        let data = std::mem::take(&mut self.data);
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
            extensions: extensions(self.extensions, leniency)?,
            id: self.id.ok_or(Error::Missing { attribute: "id" })?,
            source: self.source.ok_or(Error::Missing {
                attribute: "source",
            })?,
            r#type: self.r#type.ok_or(Error::Missing { attribute: "type" })?,
            datacontenttype: self.datacontenttype,
            dataschema: self.dataschema,
            subject: self.subject,
            time: self.time,
            data: data.filter(|bytes| !bytes.is_empty()),
            hop: None,
        };
        validate(&event)?;
        Ok(event)
    }

    /// 0.3 → 1.0: `schemaurl` became `dataschema`; `datacontentencoding` went into the formats.
    fn raise(&mut self, data: Data) -> Result<Data, Error> {
        if let Some(Loose::Value(schema)) = self.take("schemaurl") {
            self.dataschema.get_or_insert(schema.to_text());
        }
        let encoded = match self.take("datacontentencoding") {
            None => return Ok(data),
            Some(Loose::Value(encoding)) if encoding.to_text().eq_ignore_ascii_case("base64") => {
                match data {
                    Data::Absent => return Ok(Data::Absent),
                    Data::Bytes(bytes) => bytes,
                    Data::Json(text) => json_string(&text)?.ok_or(Error::Data {
                        reason: "data: must be a string when datacontentencoding is base64",
                    })?,
                }
            }
            Some(encoding) => {
                return Err(Error::invalid(
                    "datacontentencoding",
                    "must be base64",
                    &*encoding.to_text(),
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

fn is_core(name: &str) -> bool {
    const CORE: [&str; 8] = [
        "specversion",
        "id",
        "source",
        "type",
        "datacontenttype",
        "dataschema",
        "subject",
        "time",
    ];
    CORE.contains(&name)
}

fn extensions(found: Vec<(ByteString, Loose)>, leniency: Leniency) -> Result<Extensions, Error> {
    let mut extensions = Extensions::default();
    for (name, value) in found {
        if is_core(&name) {
            let text = value.to_text();
            return Err(Error::invalid(&name, "must be a string", &*text));
        }
        let name = match (Name::new(name.clone()), leniency) {
            (Some(name), _) => name,
            (None, Leniency::Drop) => continue,
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
        let value = match value {
            Loose::Value(value) => value,
            Loose::Json(text) => {
                let reason = "must be a string, a boolean or a 32-bit integer";
                return Err(Error::invalid(name.as_str(), reason, &*text));
            }
        };
        let attribute = name.clone();
        if extensions.insert(name, value).is_some() {
            return Err(Error::Duplicate {
                attribute: attribute.to_string(),
            });
        }
    }
    Ok(extensions)
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
