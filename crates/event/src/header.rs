//! Attributes as headers, the way that the HTTP and NATS bindings share: names behind `ce-`,
//! values percent-encoded.
//!
//! Which headers there are, and what carries the data, is the bindings' business.

use std::borrow::Cow;

use bytes::BytesMut;
use bytestring::ByteString;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};

use crate::{Error, Leniency, Name, Value, draft::Draft};

/// What stands before an attribute's name.
pub(crate) const PREFIX: &str = "ce-";

/// What a value may not have as itself: all but U+0021 to U+007E, the double quote, the percent
/// sign. What is not ASCII is always encoded.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// A value as a header has it.
pub(crate) fn encode(value: &str) -> Cow<'_, str> {
    utf8_percent_encode(value, ENCODED).into()
}

/// The header of an extension, on the stack.
pub(crate) struct Prefixed {
    bytes: [u8; PREFIX.len() + Name::BYTES_MAX],
    len: usize,
}

impl Prefixed {
    pub(crate) fn new(name: &Name) -> Self {
        let mut bytes = [0; PREFIX.len() + Name::BYTES_MAX];
        let text = PREFIX.bytes().chain(name.as_str().bytes());
        for (byte, from) in bytes.iter_mut().zip(text) {
            *byte = from;
        }
        Self {
            bytes,
            len: PREFIX.len() + name.as_str().len(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        let bytes = self
            .bytes
            .get(..self.len)
            .expect("a name has at most BYTES_MAX bytes");
        std::str::from_utf8(bytes).expect("names and the prefix are ASCII")
    }
}

/// Reads attributes from headers. All their text stands in one buffer.
#[derive(Debug)]
pub(crate) struct Reader {
    draft: Draft,
    buffer: BytesMut,
    leniency: Leniency,
}

impl Reader {
    /// `bytes` is how long all names and values are together; more costs another buffer.
    pub(crate) fn new(bytes: usize, leniency: Leniency) -> Self {
        Self {
            draft: Draft::default(),
            buffer: BytesMut::with_capacity(bytes),
            leniency,
        }
    }

    /// Takes one header. The name has no prefix any more, and no upper-case letters.
    pub(crate) fn attribute(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        if self.draft.slot(name).is_none() {
            self.buffer.extend_from_slice(name.as_bytes());
            let legal = self
                .leniency
                .name(self.split().expect("a copy of text is text"))?;
            return match legal {
                Some(legal) => {
                    let value = self.decode(name, value)?;
                    self.draft.extension(legal, Value::String(value))
                }
                None => Ok(()),
            };
        }
        let value = self.decode(name, value)?;
        match self.draft.slot(name).and_then(|slot| slot.replace(value)) {
            Some(_) => Err(Error::duplicate(name)),
            None => Ok(()),
        }
    }

    /// Takes a value that is not encoded.
    pub(crate) fn verbatim(&mut self, name: &str, value: &[u8]) -> Result<ByteString, Error> {
        self.buffer.extend_from_slice(value);
        self.split().ok_or_else(|| not_utf8(name, value))
    }

    pub(crate) fn into_draft(self) -> Draft {
        self.draft
    }

    fn decode(&mut self, name: &str, value: &[u8]) -> Result<ByteString, Error> {
        match unquoted(value) {
            Some(value) => self.extend_decoded(&value),
            None => self.extend_decoded(value),
        }
        self.split().ok_or_else(|| not_utf8(name, value))
    }

    /// One round of decoding. A percent sign without two hexadecimal digits is itself.
    fn extend_decoded(&mut self, value: &[u8]) {
        if value.contains(&b'%') {
            self.buffer.extend(percent_decode(value));
        } else {
            self.buffer.extend_from_slice(value);
        }
    }

    fn split(&mut self) -> Option<ByteString> {
        ByteString::try_from(self.buffer.split().freeze()).ok()
    }
}

fn not_utf8(name: &str, value: &[u8]) -> Error {
    Error::invalid(name, &String::from_utf8_lossy(value), "it must be UTF-8")
}

/// The content of a value that is one quoted string as a whole, as RFC 9110 has it.
fn unquoted(value: &[u8]) -> Option<Vec<u8>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut unescaped = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => unescaped.push(*bytes.next()?),
            _ => unescaped.push(byte),
        }
    }
    Some(unescaped)
}
