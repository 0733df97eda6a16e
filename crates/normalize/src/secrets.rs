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
    let mut at = 0;
    let mut ends = text.match_indices("</SharedSecret").peekable();
    for (start, open) in text.match_indices("<SharedSecret") {
        let inner = start + open.len();
        while ends.next_if(|(end, _)| *end < inner).is_some() {}
        let Some((end, close)) = ends.peek() else {
            break;
        };
        if start < at || !opens(text.get(inner..).unwrap_or_default()) {
            continue;
        }
        blanked.push_str(text.get(at..start).unwrap_or_default());
        blanked.push_str(BLANK);
        repairs.add(SHARED, Kind::SecretBlanked);
        let rest = text.get(end + close.len()..).unwrap_or_default();
        at = text.len() - rest.trim_start().strip_prefix('>').unwrap_or(rest).len();
    }
    blanked.push_str(text.get(at..).unwrap_or_default());
    blanked
}

/// Whether the text behind the name of a start tag ends the name, and the tag does not end the
/// element too.
fn opens(rest: &str) -> bool {
    /// Attributes of a secret are few; what has more is blanked all the same.
    const LOOKED_AT: usize = 256;
    let mut tag = rest.bytes().take(LOOKED_AT);
    let empty = tag.position(|byte| byte == b'>').is_some_and(|end| {
        let before = end.checked_sub(1).and_then(|at| rest.as_bytes().get(at));
        before == Some(&b'/')
    });
    rest.starts_with(['>', ' ', '\t', '\r', '\n']) && !empty
}
