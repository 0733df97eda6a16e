//! XML within limits: no entity is resolved, nothing is fetched, and the text of every element is
//! where the sender wrote it.
//!
//! A document is read once, by a parser that checks that it is well-formed; what is kept are the
//! places of its elements.

mod node;
mod text;

use bytes::Bytes;
use bytestring::ByteString;
use http::HeaderValue;
use quick_xml::{
    NsReader, XmlVersion,
    escape::resolve_xml_entity,
    events::{BytesRef, BytesStart, Event},
    name::ResolveResult,
};

pub(crate) use node::Node;

use crate::Error;

/// Elements inside of each other. IDocs and cXML stay below twenty.
const DEPTH_MAX: usize = 128;

/// Elements of a document; one of a mebibyte has about 30,000.
const ELEMENTS_MAX: usize = 100_000;

/// Attributes of an element.
const ATTRIBUTES_MAX: usize = 64;

/// Declarations of namespaces in a document.
const NAMESPACES_MAX: usize = 128;

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 256;

/// What to do with characters that XML does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// Refuse the document.
    Refuse,
    /// Put `#` in their place, as SAP's own adapters do.
    Replace,
}

/// A document.
pub(crate) struct Document {
    /// The whole text, as UTF-8.
    text: ByteString,
    /// In the order of their start tags.
    elements: Vec<Element>,
    namespaces: Vec<String>,
    /// Whether characters were replaced.
    pub(crate) replaced: bool,
}

/// An element's places in the text.
#[derive(Debug)]
struct Element {
    /// Where the start tag begins.
    start: usize,
    /// Where the start tag ends.
    open_end: usize,
    /// Where the end tag begins; the element's end where it has none.
    close_start: usize,
    end: usize,
    /// The index after the last element inside of this one.
    next: usize,
    /// Where the local name is in the start tag.
    local: (usize, usize),
    /// Which namespace; none where the name is in none.
    namespace: Option<usize>,
    parent: Option<usize>,
}

impl Document {
    /// Reads a document whole.
    pub(crate) fn read(
        body: &Bytes,
        content_type: Option<&HeaderValue>,
        forbidden: Forbidden,
    ) -> Result<Self, Error> {
        let text = text::decode(body, content_type)?;
        let (text, replaced) = text::without_forbidden(text, forbidden)?;
        let mut building = Building::default();
        building.read(&text)?;
        Ok(Self {
            elements: building.elements,
            namespaces: building.namespaces,
            text,
            replaced,
        })
    }

    /// The root element.
    pub(crate) fn root(&self) -> Node<'_> {
        Node::new(self, 0)
    }
}

#[derive(Default)]
struct Building {
    elements: Vec<Element>,
    open: Vec<usize>,
    namespaces: Vec<String>,
    declarations: usize,
}

impl Building {
    fn read(&mut self, text: &str) -> Result<(), Error> {
        let mut reader = NsReader::from_str(text);
        loop {
            let start = position(&reader);
            let event = reader.read_event().map_err(malformed)?;
            let place = (start, position(&reader));
            match event {
                Event::Start(tag) => {
                    self.open(&tag, place, namespace(&reader, &tag)?, false)?;
                }
                Event::Empty(tag) => {
                    self.open(&tag, place, namespace(&reader, &tag)?, true)?;
                }
                Event::End(_) => self.close(place),
                Event::Text(part) => self.outside(part.trim_ascii().is_empty())?,
                Event::CData(_) => self.outside(false)?,
                Event::GeneralRef(reference) => {
                    self.outside(false)?;
                    character(&reference)?;
                }
                Event::DocType(content) if content.contains('[') => {
                    return Err(Error::XmlDeclarations);
                }
                Event::DocType(_) if !self.elements.is_empty() => {
                    return Err(wrong("a DOCTYPE inside of the document"));
                }
                Event::Eof => break,
                Event::DocType(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
        if self.elements.is_empty() {
            return Err(wrong("it has no element"));
        }
        if !self.open.is_empty() {
            return Err(wrong("an element has no end"));
        }
        Ok(())
    }

    fn open(
        &mut self,
        tag: &BytesStart<'_>,
        (start, open_end): (usize, usize),
        namespace: Option<&str>,
        empty: bool,
    ) -> Result<(), Error> {
        if self.open.is_empty() && !self.elements.is_empty() {
            return Err(wrong("more than one root element"));
        }
        if self.open.len() == DEPTH_MAX {
            return Err(too_many("levels", DEPTH_MAX));
        }
        if self.elements.len() == ELEMENTS_MAX {
            return Err(too_many("elements", ELEMENTS_MAX));
        }
        self.attributes(tag)?;
        let name = tag.name();
        let (name, local) = (name.as_ref().len(), tag.local_name().as_ref().len());
        if name > NAME_BYTES_MAX {
            return Err(too_many("bytes in a name", NAME_BYTES_MAX));
        }
        let name_end = start + 1 + name;
        let index = self.elements.len();
        let namespace = namespace.map(|namespace| self.namespace(namespace));
        self.elements.push(Element {
            start,
            open_end,
            close_start: open_end,
            end: open_end,
            next: index + 1,
            local: (name_end - local, name_end),
            namespace,
            parent: self.open.last().copied(),
        });
        if !empty {
            self.open.push(index);
        }
        Ok(())
    }

    fn attributes(&mut self, tag: &BytesStart<'_>) -> Result<(), Error> {
        for (count, attribute) in tag.attributes().enumerate() {
            let attribute = attribute.map_err(malformed)?;
            if count == ATTRIBUTES_MAX {
                return Err(too_many("attributes of an element", ATTRIBUTES_MAX));
            }
            // Entities in values are as dangerous as in text.
            attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| Error::XmlDeclarations)?;
            let key: &str = attribute.key.as_ref();
            if key == "xmlns" || key.starts_with("xmlns:") {
                self.declarations += 1;
            }
            if self.declarations > NAMESPACES_MAX {
                return Err(too_many("declared namespaces", NAMESPACES_MAX));
            }
        }
        Ok(())
    }

    fn namespace(&mut self, namespace: &str) -> usize {
        let known = self.namespaces.iter().position(|have| have == namespace);
        known.unwrap_or_else(|| {
            self.namespaces.push(namespace.to_owned());
            self.namespaces.len() - 1
        })
    }

    fn close(&mut self, (start, end): (usize, usize)) {
        let next = self.elements.len();
        // The parser has checked that every end has its start.
        if let Some(index) = self.open.pop()
            && let Some(element) = self.elements.get_mut(index)
        {
            element.close_start = start;
            element.end = end;
            element.next = next;
        }
    }

    /// Outside of the root there is room for white space alone.
    fn outside(&self, blank: bool) -> Result<(), Error> {
        if self.open.is_empty() && !blank {
            return Err(wrong("text outside of the root element"));
        }
        Ok(())
    }
}

/// The namespace that an element's name is in.
fn namespace<'a>(
    reader: &'a NsReader<&[u8]>,
    tag: &BytesStart<'_>,
) -> Result<Option<&'a str>, Error> {
    match reader.resolver().resolve_element(tag.name()).0 {
        ResolveResult::Bound(namespace) => Ok(Some(namespace.0)),
        ResolveResult::Unbound => Ok(None),
        ResolveResult::Unknown(_) => Err(wrong("a prefix is not declared")),
    }
}

fn position(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// The character of a reference; only the five of XML itself and numbers are known.
fn character(reference: &BytesRef<'_>) -> Result<String, Error> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) if text::is_allowed(character) => Ok(character.to_string()),
        Ok(Some(_)) => Err(wrong("a character that XML does not allow")),
        Ok(None) => resolve_xml_entity(reference)
            .map(ToOwned::to_owned)
            .ok_or(Error::XmlDeclarations),
        Err(error) => Err(malformed(error)),
    }
}

fn malformed(error: impl Into<quick_xml::Error>) -> Error {
    let reason = match error.into() {
        quick_xml::Error::Syntax(error) => error.to_string(),
        quick_xml::Error::IllFormed(_) => "tags do not match".to_owned(),
        quick_xml::Error::InvalidAttr(_) => "an attribute is not well-formed".to_owned(),
        quick_xml::Error::Namespace(_) => "a namespace is not well-formed".to_owned(),
        quick_xml::Error::Io(_) | quick_xml::Error::Encoding(_) | quick_xml::Error::Escape(_) => {
            "it is not well-formed".to_owned()
        }
    };
    Error::Xml { reason }
}

fn wrong(reason: &str) -> Error {
    Error::Xml {
        reason: reason.to_owned(),
    }
}

fn too_many(what: &str, max: usize) -> Error {
    Error::Xml {
        reason: format!("more than {max} {what}"),
    }
}

#[cfg(test)]
mod tests;
