//! Names and values of extension attributes, with the rules of CloudEvents 1.0 §"Context
//! Attributes" and §"Type System".

use std::fmt;

use bytestring::ByteString;

/// A legal extension name: lower-case ASCII letters and digits, none of the reserved names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(ByteString);

/// Names that are no extensions: the core attributes, and the JSON format's data members.
const RESERVED: [&str; 10] = [
    "data",
    "data_base64",
    "datacontenttype",
    "dataschema",
    "id",
    "source",
    "specversion",
    "subject",
    "time",
    "type",
];

impl Name {
    /// Most bytes of a name. CloudEvents advises 20 and the longest seen has 32; the bound keeps a
    /// name far below what any header may have.
    pub const BYTES_MAX: usize = 128;

    /// The name, if it is a legal one for an extension.
    pub fn new(name: impl Into<ByteString>) -> Option<Self> {
        let name = name.into();
        let legal = !name.is_empty()
            && name.len() <= Self::BYTES_MAX
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && !RESERVED.contains(&&*name);
        legal.then_some(Self(name))
    }

    /// A name that is known to be legal.
    ///
    /// # Panics
    /// When it is not.
    pub fn from_static(name: &'static str) -> Self {
        Self::new(ByteString::from_static(name)).expect("a legal extension name")
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The value of an extension. Binary, URI and Timestamp travel as text in every format here, so
/// text is what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A 32-bit signed integer.
    Integer(i32),
    /// Text without control characters.
    String(ByteString),
}

impl Value {
    /// The canonical text form, as headers carry it.
    pub fn to_text(&self) -> ByteString {
        match self {
            Self::Boolean(true) => ByteString::from_static("true"),
            Self::Boolean(false) => ByteString::from_static("false"),
            Self::Integer(number) => ByteString::from(number.to_string()),
            Self::String(text) => text.clone(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<ByteString> for Value {
    fn from(text: ByteString) -> Self {
        Self::String(text)
    }
}
