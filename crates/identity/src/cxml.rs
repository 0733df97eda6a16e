//! The `SharedSecret` of a cXML document: `/cXML/Header/Sender/Credential`.
//!
//! The document is read as a stream until its header ends. Entities other than the five of XML are
//! refused, and so is a document type with definitions of its own: nothing a sender writes makes
//! this grow or fetch.

use quick_xml::{Reader, events::Event};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Elements inside of each other.
const DEPTH_MAX: usize = 64;

/// Bytes of an identity or of a secret.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Credentials of one sender.
const CREDENTIALS_MAX: usize = 16;

const CREDENTIAL: [&str; 4] = ["cXML", "Header", "Sender", "Credential"];

/// Hashes of what has to stand in the document; the secret itself is not kept.
#[derive(Clone)]
pub(crate) struct SharedSecret {
    identity: Option<[u8; 32]>,
    secret: [u8; 32],
}

impl SharedSecret {
    /// With the identity, where it has to be a certain one.
    pub(crate) fn new(identity: Option<&str>, secret: &[u8]) -> Self {
        Self {
            identity: identity.map(|identity| hash(identity.as_bytes())),
            secret: hash(secret),
        }
    }

    /// Whether one credential of the document's sender has the identity and the secret.
    pub(crate) fn fits(&self, document: &[u8]) -> bool {
        let mut fits = false;
        for found in credentials(document).unwrap_or_default() {
            let identity = self.identity.is_none_or(|expected| {
                found
                    .identity
                    .as_deref()
                    .is_some_and(|text| hash(text.as_bytes()).ct_eq(&expected).into())
            });
            let secret = found
                .secret
                .as_deref()
                .is_some_and(|text| hash(text.as_bytes()).ct_eq(&self.secret).into());
            fits |= identity && secret;
        }
        fits
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

#[derive(Default)]
struct Credential {
    identity: Option<Zeroizing<String>>,
    secret: Option<Zeroizing<String>>,
}

/// The credentials of the sender; none where the document is not well-formed so far.
fn credentials(document: &[u8]) -> Option<Vec<Credential>> {
    let text = std::str::from_utf8(document).ok()?;
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut found: Vec<Credential> = Vec::new();
    let mut text = Zeroizing::new(String::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                if path.len() >= DEPTH_MAX {
                    return None;
                }
                path.push(tag.name().as_ref().to_owned());
                text.clear();
                if path == CREDENTIAL {
                    found.push(Credential::default());
                }
                if found.len() > CREDENTIALS_MAX {
                    return None;
                }
            }
            Event::End(_) => {
                keep(&path, &mut text, found.last_mut())?;
                path.pop()?;
                if path == ["cXML"] && !found.is_empty() {
                    return Some(found);
                }
            }
            Event::Text(part) => text.push_str(&part),
            Event::CData(part) => text.push_str(&part),
            Event::GeneralRef(name) => match name.resolve_char_ref().ok()? {
                Some(character) => text.push(character),
                None => text.push_str(quick_xml::escape::resolve_xml_entity(&name)?),
            },
            Event::DocType(content) if content.contains('[') => return None,
            Event::Eof => return None,
            Event::DocType(_)
            | Event::Empty(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_) => {}
        }
        if is_read(&path) && text.len() > TEXT_BYTES_MAX {
            return None;
        }
        if !is_read(&path) {
            text.clear();
        }
    }
}

/// Whether the path is that of an identity or of a secret.
fn is_read(path: &[String]) -> bool {
    matches!(path.split_last(), Some((last, parents))
        if parents == CREDENTIAL && (last == "Identity" || last == "SharedSecret"))
}

/// Keeps the text of an element that ends; none where the credential has it already.
fn keep(
    path: &[String],
    text: &mut Zeroizing<String>,
    credential: Option<&mut Credential>,
) -> Option<()> {
    let (true, Some(last), Some(credential)) = (is_read(path), path.last(), credential) else {
        return Some(());
    };
    let place = if last == "Identity" {
        &mut credential.identity
    } else {
        &mut credential.secret
    };
    let trimmed = Zeroizing::new(text.trim().to_owned());
    place.replace(trimmed).is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(doctype: &str, sender: &str) -> String {
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>{doctype}<cXML payloadID="1"><Header><From><Credential><Identity>me</Identity><SharedSecret>from &amp; here</SharedSecret></Credential></From><Sender>{sender}<UserAgent/></Sender></Header><Request/></cXML>"#
        )
    }

    const GOOD: &str = "<Credential domain=\"x\"><Identity> me </Identity><SharedSecret>a&amp;<![CDATA[b]]>&#99;</SharedSecret></Credential>";

    fn fits(document: &str) -> bool {
        SharedSecret::new(Some("me"), b"a&bc").fits(document.as_bytes())
    }

    /// The usual document, with the usual document type.
    #[test]
    fn the_senders_secret_is_found_in_all_its_spellings() {
        let doctype =
            r#"<!DOCTYPE cXML SYSTEM "http://xml.cxml.org/schemas/cXML/1.2.014/cXML.dtd">"#;
        assert!(fits(&document(doctype, GOOD)));
        let second = format!("<Credential><Identity>you</Identity></Credential>{GOOD}");
        assert!(fits(&document("", &second)));
    }

    /// Only the sender's own credential counts, and both parts of the same one.
    #[test]
    fn other_places_and_mixed_credentials_do_not_count() {
        for sender in [
            "",
            "<Credential><Identity>me</Identity><SharedSecret>no</SharedSecret></Credential>",
            "<Credential><Identity>you</Identity><SharedSecret>a&amp;bc</SharedSecret></Credential>",
            "<Credential><SharedSecret>a&amp;bc</SharedSecret></Credential><Credential><Identity>me</Identity></Credential>",
            "<x><Credential><Identity>me</Identity><SharedSecret>a&amp;bc</SharedSecret></Credential></x>",
            "<Credential><Identity>me</Identity><SharedSecret>no</SharedSecret><SharedSecret>a&amp;bc</SharedSecret></Credential>",
        ] {
            assert!(!fits(&document("", sender)), "{sender}");
        }
        assert!(!SharedSecret::new(Some("me"), b"from & here").fits(document("", "").as_bytes()));
    }

    /// Entities and depth are how XML is made to grow.
    #[test]
    fn entities_and_depth_are_refused() {
        let doctype = r#"<!DOCTYPE cXML [<!ENTITY s "a&bc">]>"#;
        assert!(!fits(&document(doctype, GOOD)));
        assert!(!fits(&document("", &format!("<x>&s;</x>{GOOD}"))));
        let deep = format!("{}{}", "<x>".repeat(100), "</x>".repeat(100));
        assert!(!fits(&document("", &format!("{deep}{GOOD}"))));
        assert!(!fits("<cXML><Header>") && !fits("") && !fits("<"));
        assert!(!SharedSecret::new(None, b"x").fits(b"\xff\xfe"));
    }
}
