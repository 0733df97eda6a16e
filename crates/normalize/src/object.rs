//! A JSON object as formats look at it: raw members, found by name. A name that stands twice is
//! refused, since readers differ in which of the two they take.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use tidegate_event::{Loose, Value};

use crate::Error;

/// Most members of an object that is looked into; the bodies of known systems have tens.
const MEMBERS_MAX: usize = 10_000;

/// Most members that may become attributes; as many as an event in JSON may have.
const ATTRIBUTES_MAX: usize = 128;

/// An object's members, in order.
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// The object that a body is.
    pub(crate) fn of_body(body: &'a [u8]) -> Result<Self, Error> {
        if matches!(body.trim_ascii_start().first(), Some(first) if *first != b'{') {
            // The parser would repeat what it finds instead.
            return Err(not("an object"));
        }
        serde_json::from_slice(body).map_err(|error| Error::Json {
            reason: error.to_string(),
        })
    }

    /// The object that a value is; `None` for any other value.
    pub(crate) fn of_value(value: &'a RawValue) -> Result<Option<Self>, Error> {
        if !value.get().starts_with('{') {
            return Ok(None);
        }
        Self::of_body(value.get().as_bytes()).map(Some)
    }

    /// A member that is not null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.0.iter().find(|(have, _)| have == name)?;
        (value.get() != "null").then_some(*value)
    }

    /// A member as text that is not empty: a string, or a number as it stands.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.get(name)?)
    }

    /// The same, where it has to be there.
    pub(crate) fn required(&self, name: &'static str) -> Result<Cow<'a, str>, Error> {
        self.text(name).ok_or(Error::Member { name })
    }

    /// A member that is an object; an empty one where there is none.
    pub(crate) fn object(&self, name: &str) -> Result<Self, Error> {
        let object = self.get(name).map(Self::of_value).transpose()?.flatten();
        Ok(object.unwrap_or(Self(Vec::new())))
    }

    /// Whether its members can all be attributes.
    pub(crate) fn may_be_attributes(&self) -> bool {
        self.0.len() <= ATTRIBUTES_MAX
    }

    /// All members.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }
}

/// A string that is not empty, or a number or boolean as it stands.
pub(crate) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let raw = value.get();
    let text = match raw.as_bytes().first()? {
        b'"' => serde_json::from_str::<Text<'_>>(raw).ok()?.0,
        b'[' | b'{' | b'n' => return None,
        _ => Cow::Borrowed(raw),
    };
    (!text.is_empty()).then_some(text)
}

/// The items of an array.
pub(crate) fn items(array: &RawValue) -> Result<Vec<&RawValue>, Error> {
    if !array.get().starts_with('[') {
        return Err(not("an array"));
    }
    serde_json::from_str(array.get()).map_err(|error| Error::Json {
        reason: error.to_string(),
    })
}

fn not(what: &str) -> Error {
    Error::Json {
        reason: format!("expected {what}"),
    }
}

/// A value as something that may become an extension.
pub(crate) fn loose(value: &RawValue) -> Loose {
    match value.get() {
        "true" => Loose::Value(Value::Boolean(true)),
        "false" => Loose::Value(Value::Boolean(false)),
        raw if raw.starts_with('"') => {
            let text = text(value).unwrap_or_default();
            Loose::Value((&*text).into())
        }
        raw => match raw.parse() {
            Ok(number) => Loose::Value(Value::Integer(number)),
            Err(_) => Loose::Json(raw.into()),
        },
    }
}

/// Whether it is neither an array nor an object.
pub(crate) fn is_scalar(value: &Loose) -> bool {
    match value {
        Loose::Value(_) => true,
        Loose::Json(text) => !text.starts_with(['[', '{']),
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        /// Up to here comparing all names is faster than hashing them.
        const FEW: usize = 24;
        let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(12);
        let mut names = HashSet::new();
        while let Some((Text(name), value)) = map.next_entry()? {
            if members.len() == MEMBERS_MAX {
                return Err(A::Error::custom(format_args!(
                    "more than {MEMBERS_MAX} members"
                )));
            }
            let twice = if members.len() < FEW {
                members.iter().any(|(have, _)| *have == name)
            } else {
                if names.is_empty() {
                    names.extend(members.iter().map(|(name, _)| name.clone()));
                }
                !names.insert(name.clone())
            };
            if twice {
                return Err(A::Error::custom("a member stands twice"));
            }
            members.push((name, value));
        }
        Ok(Object(members))
    }
}

/// Text, borrowed when it holds no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two members of one name nobody can say which one counts.
    #[test]
    fn a_member_that_stands_twice_is_refused() {
        for few in [0, 100] {
            let others: String = (0..few).map(|at| format!("\"m{at}\":1,")).collect();
            let twice = format!("{{{others}\"a\":1,\"\\u0061\":2}}");
            assert!(Object::of_body(twice.as_bytes()).is_err(), "{few}");
            let once = format!("{{{others}\"a\":1,\"A\":2}}");
            assert!(Object::of_body(once.as_bytes()).is_ok(), "{few}");
        }
    }

    /// A member is found as text whether it is a string or a number.
    #[test]
    fn members_are_read_as_text() {
        let body = br#"{"a":"x","b":42834,"c":null,"d":"","e":[1],"f":"\u00fc"}"#;
        let object = Object::of_body(body).unwrap();
        assert_eq!(object.text("a").as_deref(), Some("x"));
        assert_eq!(object.text("b").as_deref(), Some("42834"));
        assert_eq!(object.text("f").as_deref(), Some("\u{fc}"));
        for none in ["c", "d", "e", "g"] {
            assert_eq!(object.text(none), None, "{none}");
        }
    }
}
