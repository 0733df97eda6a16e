//! An id for an event whose sender gives none, the same for a repeated request.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::made::Payload;

/// `UUIDv5(NAMESPACE_URL, "urn:event-ingress:id:v1")`.
fn namespace() -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:event-ingress:id:v1")
}

/// What tells two occurrences apart.
pub(crate) struct Occurrence<'a> {
    pub(crate) format: &'a str,
    pub(crate) source: &'a str,
    pub(crate) r#type: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) time: &'a str,
}

/// An id for what nothing tells from another: two real changes of one order may be equal to the
/// byte, and both count.
pub(crate) fn fresh_id() -> String {
    Uuid::now_v7().to_string()
}

/// UUIDv5 of the occurrence and the hash of its data; JSON is hashed in the canonical form of
/// RFC 8785.
pub(crate) fn derived_id(occurrence: &Occurrence<'_>, payload: &Payload) -> String {
    let digest = match payload {
        Payload::Json(json) => Sha256::digest(canonical(json)),
        Payload::Xml(xml) => Sha256::digest(xml.as_bytes()),
        Payload::Other(bytes, _) => Sha256::digest(bytes),
    };
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let Occurrence {
        format,
        source,
        r#type,
        subject,
        time,
    } = occurrence;
    let name = format!(
        "{format}\n{source}\n{type}\n{subject}\n{time}\n{hash}",
        r#type = r#type
    );
    Uuid::new_v5(&namespace(), name.as_bytes()).to_string()
}

/// The canonical form, or the text as it is where that form would lose digits: two payloads that
/// differ must not get one id.
fn canonical(json: &[u8]) -> Cow<'_, [u8]> {
    let canonical = serde_json::from_slice::<Value>(json)
        .ok()
        .filter(|_| numbers_are_exact(json))
        .and_then(|value| serde_json_canonicalizer::to_vec(&value).ok());
    canonical.map_or(Cow::Borrowed(json), Cow::Owned)
}

/// Whether every number of a JSON text has so few digits that a double tells it from all others.
fn numbers_are_exact(json: &[u8]) -> bool {
    const DIGITS_MAX: usize = 15;
    let (mut in_string, mut escaped, mut digits) = (false, false, 0);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'0'..=b'9' => {
                digits += 1;
                if digits > DIGITS_MAX {
                    return false;
                }
            }
            b'.' | b'e' | b'E' | b'+' | b'-' => {}
            _ => digits = 0,
        }
    }
    true
}
