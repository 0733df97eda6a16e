//! The event: required attributes, optional ones, extensions, data.
//!
//! Building one checks nothing; [`crate::validate`] and the codecs do.

use bytes::Bytes;
use bytestring::ByteString;

use crate::{Name, TraceContext, Value};

/// A CloudEvents 1.0 event.
///
/// Text is shared with the buffer that it was parsed from, so a clone copies no payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `id`: unique within `source`.
    pub id: ByteString,
    /// `source`: a URI reference, kept as the sender wrote it.
    pub source: ByteString,
    /// `type`, as the sender named it.
    pub r#type: ByteString,
    /// `datacontenttype`: the media type of `data`.
    pub datacontenttype: Option<ByteString>,
    /// `dataschema`: an absolute URI.
    pub dataschema: Option<ByteString>,
    /// `subject`.
    pub subject: Option<ByteString>,
    /// `time`: an RFC 3339 timestamp, kept byte for byte.
    pub time: Option<ByteString>,
    /// Extension attributes, by name.
    pub extensions: Extensions,
    /// The data's own bytes. Empty data is `None`: HTTP cannot tell the two apart.
    pub data: Option<Bytes>,
    /// No attribute: under which span the last hop handed it on, where the transport's own
    /// `traceparent` says so. The extension of this name is the sender's, and stays as it is.
    pub hop: Option<TraceContext>,
}

impl Event {
    /// An event of the required attributes alone.
    pub fn new(
        id: impl Into<ByteString>,
        source: impl Into<ByteString>,
        r#type: impl Into<ByteString>,
    ) -> Self {
        Self {
            id: id.into(),
            source: source.into(),
            r#type: r#type.into(),
            datacontenttype: None,
            dataschema: None,
            subject: None,
            time: None,
            extensions: Extensions::default(),
            data: None,
            hop: None,
        }
    }

    /// The data's length in bytes.
    pub fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, Bytes::len)
    }
}

/// Extension attributes, sorted by name, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(Vec<(Name, Value)>);

impl Extensions {
    /// The value of an extension.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name)
            .ok()
            .and_then(|at| self.0.get(at))
            .map(|(_, value)| value)
    }

    /// Sets an extension and gives back the value that it replaces.
    pub fn insert(&mut self, name: Name, value: Value) -> Option<Value> {
        match self.position(name.as_str()) {
            Ok(at) => self
                .0
                .get_mut(at)
                .map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                self.0.insert(at, (name, value));
                None
            }
        }
    }

    /// Takes an extension away.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.position(name).ok().map(|at| self.0.remove(at).1)
    }

    /// The extensions in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Name, &Value)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(have, _)| have.as_str().cmp(name))
    }
}
