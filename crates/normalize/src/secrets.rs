//! Secrets that documents carry, gone before anything is kept: the shared secret of cXML and the
//! security header of SOAP.

use bytestring::ByteString;

use crate::{
    repair::{Kind, Repairs},
    xml::Node,
};

const SHARED: &str = "SharedSecret";
const BLANK: &str = "<SharedSecret/>";

/// The text of an element as a document by itself, without the secrets in it.
pub(crate) fn without(node: Node<'_>, repairs: &mut Repairs) -> ByteString {
    let mut text = String::new();
    let mut at = 0;
    for inner in std::iter::once(node).chain(node.descendants()) {
        let Some((name, blank)) = secret(&inner) else {
            continue;
        };
        let (start, end) = inner.range_in(&node);
        // One inside of another is gone with it.
        if start < at {
            continue;
        }
        text.push_str(node.outer().get(at..start).unwrap_or_default());
        text.push_str(blank);
        repairs.add(name, Kind::SecretBlanked);
        at = end;
    }
    let sent = node.outer();
    if at == 0 && !sent.contains("</SharedSecret") {
        return node.standing_alone();
    }
    text.push_str(sent.get(at..).unwrap_or_default());
    let text = without_remarks(&text, repairs);
    let start = node.declared_start_tag();
    match text.strip_prefix(node.start_tag()) {
        Some(rest) => format!("{start}{rest}").into(),
        None => text.into(),
    }
}

/// What is said of a secret, and what stands in its place.
fn secret(node: &Node<'_>) -> Option<(&'static str, &'static str)> {
    if node.local() == SHARED {
        return Some((SHARED, BLANK));
    }
    let header = node.parent().filter(|_| node.local() == "Security")?;
    let envelope = header.parent().filter(|_| header.local() == "Header")?;
    (envelope.local() == "Envelope").then_some(("Security", ""))
}

/// The same where a secret is no element: in a comment, or in character data that holds a
/// document.
fn without_remarks(text: &str, repairs: &mut Repairs) -> String {
    let mut blanked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<SharedSecret") {
        blanked.push_str(before);
        let begins = after.starts_with(['>', ' ', '\t', '\r', '\n']);
        let tag = after.split('>').next().unwrap_or_default();
        let end = after.split_once("</SharedSecret");
        match end.and_then(|(_, end)| end.split_once('>')) {
            Some((_, after)) if begins && !tag.ends_with('/') => {
                blanked.push_str(BLANK);
                repairs.add(SHARED, Kind::SecretBlanked);
                rest = after;
            }
            _ => {
                blanked.push_str("<SharedSecret");
                rest = after;
            }
        }
    }
    blanked.push_str(rest);
    blanked
}
