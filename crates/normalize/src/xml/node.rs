//! An element of a document, looked at.

use std::borrow::Cow;

use bytestring::ByteString;
use quick_xml::{Reader, XmlVersion, events::Event};

use super::{Document, Element, character};

/// An element.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    document: &'a Document,
    index: usize,
}

impl<'a> Node<'a> {
    pub(super) fn new(document: &'a Document, index: usize) -> Self {
        Self { document, index }
    }

    fn element(&self) -> Option<&'a Element> {
        self.document.elements.get(self.index)
    }

    fn slice(&self, of: impl Fn(&Element) -> (usize, usize)) -> &'a str {
        let range = self.element().map(of);
        let (from, to) = range.unwrap_or_default();
        self.document.text.get(from..to).unwrap_or_default()
    }

    /// Its name without a prefix.
    pub(crate) fn local(&self) -> &'a str {
        self.slice(|element| element.local)
    }

    /// Its namespace; empty for none.
    pub(crate) fn namespace(&self) -> &'a str {
        let index = self.element().and_then(|element| element.namespace);
        let namespace = index.and_then(|index| self.document.namespaces.get(index));
        namespace.map_or("", String::as_str)
    }

    /// The whole element, as it was written.
    pub(crate) fn outer(&self) -> &'a str {
        self.slice(|element| (element.start, element.end))
    }

    /// The same, sharing the document's text.
    fn outer_shared(&self) -> ByteString {
        let text = &self.document.text;
        text.slice_ref(self.outer())
    }

    /// The element as a document by itself: as it was written, but for the namespaces that
    /// elements around it declare.
    pub(crate) fn standing_alone(&self) -> ByteString {
        let start = self.declared_start_tag();
        if start == self.start_tag() {
            return self.outer_shared();
        }
        let rest = self.outer().strip_prefix(self.start_tag());
        format!("{start}{}", rest.unwrap_or_default()).into()
    }

    /// Its start tag, with the declarations of namespaces that it has from the elements around it.
    pub(crate) fn declared_start_tag(&self) -> String {
        let mut declared: Vec<String> = self.declarations().map(|(name, _)| name).collect();
        let mut missing = String::new();
        let mut above = self.parent();
        while let Some(outer) = above {
            for (name, value) in outer.declarations() {
                if !declared.contains(&name) && self.uses(&name) {
                    let value = quick_xml::escape::escape(value.as_str()).into_owned();
                    missing.push_str(&format!(" {name}=\"{value}\""));
                    declared.push(name);
                }
            }
            above = outer.parent();
        }
        let tag = self.start_tag();
        let end = if tag.ends_with("/>") { 2 } else { 1 };
        let (head, end) = tag.split_at(tag.len().saturating_sub(end));
        format!("{head}{missing}{end}")
    }

    fn declarations(&self) -> impl Iterator<Item = (String, String)> + use<> {
        let attributes = self.attributes().into_iter();
        attributes.filter(|(name, _)| name == "xmlns" || name.starts_with("xmlns:"))
    }

    /// Whether the prefix of a declaration occurs; the default namespace always counts.
    fn uses(&self, declaration: &str) -> bool {
        let Some(prefix) = declaration.strip_prefix("xmlns:") else {
            return true;
        };
        self.outer().contains(&format!("{prefix}:"))
    }

    /// Its start tag, as it was written.
    pub(crate) fn start_tag(&self) -> &'a str {
        self.slice(|element| (element.start, element.open_end))
    }

    /// Its end tag, as it was written; empty where it has none.
    pub(crate) fn end_tag(&self) -> &'a str {
        self.slice(|element| (element.close_start, element.end))
    }

    /// Where it stands in the root's text.
    pub(crate) fn range_in(&self, outer: &Node<'_>) -> (usize, usize) {
        let from = outer.element().map_or(0, |element| element.start);
        self.element().map_or((0, 0), |element| {
            (
                element.start.saturating_sub(from),
                element.end.saturating_sub(from),
            )
        })
    }

    /// The element around it.
    pub(crate) fn parent(&self) -> Option<Self> {
        let index = self.element()?.parent?;
        Some(Self::new(self.document, index))
    }

    /// The elements directly inside of it.
    pub(crate) fn children(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let document = self.document;
        let end = self.element().map_or(0, |element| element.next);
        let mut at = self.index + 1;
        std::iter::from_fn(move || {
            let element = document.elements.get(at).filter(|_| at < end)?;
            let child = Node::new(document, at);
            at = element.next;
            Some(child)
        })
    }

    /// All elements inside of it, in the order of their start tags.
    pub(crate) fn descendants(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let document = self.document;
        let end = self.element().map_or(0, |element| element.next);
        (self.index + 1..end).map(move |index| Node::new(document, index))
    }

    /// The first child of a name.
    pub(crate) fn child(&self, local: &str) -> Option<Self> {
        self.children().find(|child| child.local() == local)
    }

    /// The same without white space around it: for what becomes an attribute.
    pub(crate) fn child_word(&self, local: &str) -> Option<String> {
        let text = self.child_text(local)?;
        let word = text.trim();
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// The text of the first child of a name, if it is not empty.
    pub(crate) fn child_text(&self, local: &str) -> Option<Cow<'a, str>> {
        let text = self.child(local)?.text();
        (!text.is_empty()).then_some(text)
    }

    /// All character data inside of it, references resolved.
    pub(crate) fn text(&self) -> Cow<'a, str> {
        let inner = self.slice(|element| (element.open_end, element.close_start));
        if !inner.contains(['<', '&']) {
            return Cow::Borrowed(inner);
        }
        let mut text = String::with_capacity(inner.len());
        let mut reader = Reader::from_str(inner);
        // The whole was well-formed, so each part is.
        while let Ok(event) = reader.read_event() {
            match event {
                Event::Text(part) => text.push_str(&part),
                Event::CData(part) => text.push_str(&part),
                Event::GeneralRef(reference) => {
                    text.push_str(&character(&reference).unwrap_or_default());
                }
                Event::Eof => break,
                Event::Start(_)
                | Event::End(_)
                | Event::Empty(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_) => {}
            }
        }
        Cow::Owned(text)
    }

    /// The value of an attribute, by its local name.
    pub(crate) fn attribute(&self, local: &str) -> Option<String> {
        self.attributes()
            .into_iter()
            .find(|(name, _)| {
                let own = name.rsplit(':').next();
                own == Some(local) && !name.starts_with("xmlns")
            })
            .map(|(_, value)| value)
    }

    /// All attributes, by the names as they were written.
    pub(crate) fn attributes(&self) -> Vec<(String, String)> {
        let mut reader = Reader::from_str(self.start_tag());
        let (Ok(Event::Start(tag)) | Ok(Event::Empty(tag))) = reader.read_event() else {
            return Vec::new();
        };
        tag.attributes()
            .flatten()
            .filter_map(|attribute| {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
                let name: &str = attribute.key.as_ref();
                Some((name.to_owned(), value.into_owned()))
            })
            .collect()
    }
}
