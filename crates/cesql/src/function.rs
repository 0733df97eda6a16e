//! The functions that every engine has (§3.5), and the casts by name.

use std::borrow::Cow;

use crate::{Error, Type, Value};

/// Most bytes of a text that a function makes. An expression may name a long attribute hundreds of
/// times; what it makes of it stays in the order of one attribute.
pub(crate) const STRING_BYTES_MAX: usize = 64 * 1024;

/// A function, with the number of arguments that it was found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Int,
    Bool,
    String,
    IsInt,
    IsBool,
    Abs,
    Length,
    Concat,
    ConcatWs,
    Lower,
    Upper,
    Trim,
    Left,
    Right,
    Substring,
}

impl Function {
    /// The function of a name that takes so many arguments.
    pub(crate) fn find(name: &str, arguments: usize) -> Option<Self> {
        Some(match (name, arguments) {
            ("INT", 1) => Self::Int,
            ("BOOL", 1) => Self::Bool,
            ("STRING", 1) => Self::String,
            ("IS_INT", 1) => Self::IsInt,
            ("IS_BOOL", 1) => Self::IsBool,
            ("ABS", 1) => Self::Abs,
            ("LENGTH", 1) => Self::Length,
            ("CONCAT", _) => Self::Concat,
            ("CONCAT_WS", 1..) => Self::ConcatWs,
            ("LOWER", 1) => Self::Lower,
            ("UPPER", 1) => Self::Upper,
            ("TRIM", 1) => Self::Trim,
            ("LEFT", 2) => Self::Left,
            ("RIGHT", 2) => Self::Right,
            ("SUBSTRING", 2 | 3) => Self::Substring,
            _ => return None,
        })
    }

    /// The type of its value.
    pub(crate) fn r#type(self) -> Type {
        match self {
            Self::Int | Self::Abs | Self::Length => Type::Integer,
            Self::Bool | Self::IsInt | Self::IsBool => Type::Boolean,
            Self::String
            | Self::Concat
            | Self::ConcatWs
            | Self::Lower
            | Self::Upper
            | Self::Trim
            | Self::Left
            | Self::Right
            | Self::Substring => Type::String,
        }
    }

    /// Its value, or the error and the value beside it.
    pub(crate) fn call<'a>(
        self,
        mut arguments: impl Iterator<Item = Value<'a>>,
    ) -> Result<Value<'a>, (Error, Value<'a>)> {
        let zero = |error| (error, self.r#type().zero());
        let mut next = || arguments.next().unwrap_or(Value::Boolean(false));
        match self {
            Self::Int => next().to_integer().map(Value::Integer).map_err(zero),
            Self::Bool => next().to_boolean().map(Value::Boolean).map_err(zero),
            Self::String => Ok(Value::String(next().into_text())),
            Self::IsInt => Ok(next().to_integer().is_ok().into()),
            Self::IsBool => Ok(next().to_boolean().is_ok().into()),
            Self::Abs => {
                let value = next().to_integer().map_err(zero)?;
                let overflow = || {
                    let reason = "the absolute value is no 32-bit integer";
                    (Error::Math { reason }, Value::Integer(i32::MAX))
                };
                value.checked_abs().map(Value::Integer).ok_or_else(overflow)
            }
            Self::Length => {
                let length = next().into_text().chars().count();
                Ok(Value::Integer(i32::try_from(length).unwrap_or(i32::MAX)))
            }
            Self::Concat => bounded("CONCAT", joined("", arguments)),
            Self::ConcatWs => {
                let delimiter = next().into_text();
                bounded("CONCAT_WS", joined(&delimiter, arguments))
            }
            Self::Lower => bounded("LOWER", Some(next().into_text().to_lowercase())),
            Self::Upper => bounded("UPPER", Some(next().into_text().to_uppercase())),
            Self::Trim => {
                let text = next().into_text();
                let start = text.len() - text.trim_start().len();
                let end = start + text.trim().len();
                Ok(Value::String(part(text, start, end)))
            }
            Self::Left => {
                let (text, count) = (next().into_text(), next().to_integer().map_err(zero)?);
                let count = counted("LEFT", count, &text)?;
                let end = place(&text, count);
                Ok(Value::String(part(text, 0, end)))
            }
            Self::Right => {
                let (text, count) = (next().into_text(), next().to_integer().map_err(zero)?);
                let count = counted("RIGHT", count, &text)?;
                let all = text.chars().count();
                let (start, end) = (place(&text, all.saturating_sub(count)), text.len());
                Ok(Value::String(part(text, start, end)))
            }
            Self::Substring => {
                let text = next().into_text();
                let position = next().to_integer().map_err(zero)?;
                let length = arguments.next().map(|length| length.to_integer());
                let length = length.transpose().map_err(zero)?;
                substring(text, position, length).map_err(zero)
            }
        }
    }
}

fn failed(function: &'static str, reason: &'static str) -> Error {
    Error::FunctionEvaluation { function, reason }
}

/// `None` where it gets too long.
fn joined<'a>(delimiter: &str, parts: impl Iterator<Item = Value<'a>>) -> Option<String> {
    let mut all = String::new();
    for (index, part) in parts.enumerate() {
        let delimiter = if index == 0 { "" } else { delimiter };
        let part = part.into_text();
        if all.len() + delimiter.len() + part.len() > STRING_BYTES_MAX {
            return None;
        }
        all.push_str(delimiter);
        all.push_str(&part);
    }
    Some(all)
}

fn bounded<'a>(
    function: &'static str,
    text: Option<String>,
) -> Result<Value<'a>, (Error, Value<'a>)> {
    let text = text.filter(|text| text.len() <= STRING_BYTES_MAX);
    let too_long = || {
        let error = failed(function, "the text has more than 64 KiB");
        (error, Type::String.zero())
    };
    text.map(Value::from).ok_or_else(too_long)
}

/// A count of characters that is not negative; otherwise the text as it is.
fn counted<'a>(
    function: &'static str,
    count: i32,
    text: &Cow<'a, str>,
) -> Result<usize, (Error, Value<'a>)> {
    usize::try_from(count).map_err(|_| {
        let error = failed(function, "the number of characters is negative");
        (error, Value::String(text.clone()))
    })
}

/// `position` counts from 1, or from the end where it is negative.
fn substring<'a>(
    text: Cow<'a, str>,
    position: i32,
    length: Option<i32>,
) -> Result<Value<'a>, Error> {
    const NAME: &str = "SUBSTRING";
    let length = length.map(usize::try_from).transpose();
    let length = length.map_err(|_| failed(NAME, "the length is negative"))?;
    let all = text.chars().count();
    let away = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    if away > all {
        return Err(failed(NAME, "the position is outside of the text"));
    }
    let first = match position {
        0 => return Ok(Type::String.zero()),
        1.. => away - 1,
        _ => all - away,
    };
    let start = place(&text, first);
    let end = length.map_or(text.len(), |length| {
        place(&text, first.saturating_add(length))
    });
    Ok(Value::String(part(text, start, end)))
}

/// Where the character of this index begins; the end of the text where there is none.
fn place(text: &str, index: usize) -> usize {
    let mut places = text.char_indices().map(|(at, _)| at);
    places.nth(index).unwrap_or(text.len())
}

fn part(text: Cow<'_, str>, start: usize, end: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(start..end).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(start..end).unwrap_or_default().to_owned()),
    }
}
