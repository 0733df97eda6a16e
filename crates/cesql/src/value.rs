//! Values, their types, and how one type becomes another (§3.1, §3.7).

use std::{borrow::Cow, fmt};

use crate::Error;

/// So much of a value is repeated by an error.
const SHOWN_CHARS_MAX: usize = 40;

/// A value of an attribute, of a literal, or of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `true` or `false`.
    Boolean(bool),
    /// A signed 32-bit integer.
    Integer(i32),
    /// Text.
    String(Cow<'a, str>),
}

/// A value's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// [`Value::Boolean`]
    Boolean,
    /// [`Value::Integer`]
    Integer,
    /// [`Value::String`]
    String,
}

impl<'a> Value<'a> {
    /// Its type.
    pub fn r#type(&self) -> Type {
        match self {
            Self::Boolean(_) => Type::Boolean,
            Self::Integer(_) => Type::Integer,
            Self::String(_) => Type::String,
        }
    }

    /// The same value, with text of its own.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Boolean(value) => Value::Boolean(value),
            Self::Integer(value) => Value::Integer(value),
            Self::String(text) => Value::String(Cow::Owned(text.into_owned())),
        }
    }

    /// The same value, borrowed.
    pub fn as_borrowed(&self) -> Value<'_> {
        match self {
            Self::Boolean(value) => Value::Boolean(*value),
            Self::Integer(value) => Value::Integer(*value),
            Self::String(text) => Value::String(Cow::Borrowed(text)),
        }
    }

    /// As a boolean: text in any case, and every integer but zero.
    pub(crate) fn to_boolean(&self) -> Result<bool, Error> {
        match self {
            Self::Boolean(value) => Ok(*value),
            Self::Integer(value) => Ok(*value != 0),
            Self::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Self::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Self::String(_) => Err(self.is_no(Type::Boolean)),
        }
    }

    /// As an integer: decimal text with or without a sign.
    pub(crate) fn to_integer(&self) -> Result<i32, Error> {
        match self {
            Self::Boolean(value) => Ok(i32::from(*value)),
            Self::Integer(value) => Ok(*value),
            Self::String(text) => text.parse().map_err(|_| self.is_no(Type::Integer)),
        }
    }

    /// As text.
    pub(crate) fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::Integer(value) => Cow::Owned(value.to_string()),
            Self::String(text) => text,
        }
    }

    /// As a value of this type.
    pub(crate) fn cast(self, wanted: Type) -> Result<Self, Error> {
        match wanted {
            Type::Boolean => self.to_boolean().map(Self::Boolean),
            Type::Integer => self.to_integer().map(Self::Integer),
            Type::String => Ok(Self::String(self.into_text())),
        }
    }

    fn is_no(&self, wanted: Type) -> Error {
        let text = self.as_borrowed().into_text();
        Error::Cast {
            value: text.chars().take(SHOWN_CHARS_MAX).collect(),
            wanted,
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_borrowed().into_text())
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i32> for Value<'_> {
    fn from(value: i32) -> Self {
        Self::Integer(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::String(Cow::Owned(text))
    }
}

impl Type {
    /// What stands for a value that there is none of.
    pub fn zero(self) -> Value<'static> {
        match self {
            Self::Boolean => Value::Boolean(false),
            Self::Integer => Value::Integer(0),
            Self::String => Value::String(Cow::Borrowed("")),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Integer => "32-bit integer",
            Self::String => "string",
        })
    }
}
