//! An id for an event whose sender gives none, the same for a repeated request.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tidegate_event::is_json;
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
        Payload::Other(json, Some(media_type)) if is_json(media_type) => {
            Sha256::digest(canonical(json))
        }
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

/// Whether a double keeps every number of a JSON text, so that it is told from all others.
fn numbers_are_exact(json: &[u8]) -> bool {
    let (mut in_string, mut escaped, mut number) = (false, false, 0);
    for (at, byte) in json.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'0'..=b'9' | b'-' => {
                number += 1;
                continue;
            }
            b'.' | b'e' | b'E' | b'+' if number > 0 => {
                number += 1;
                continue;
            }
            _ => {}
        }
        let text = json.get(at - number..at).unwrap_or_default();
        if !is_exact(text) {
            return false;
        }
        number = 0;
    }
    is_exact(json.get(json.len() - number..).unwrap_or_default())
}

/// Whether the shortest text of the nearest double is the same decimal number.
fn is_exact(number: &[u8]) -> bool {
    /// So many digits survive a double, whichever they are.
    const DIGITS: usize = 15;
    if number.len() <= DIGITS && !number.contains(&b'e') && !number.contains(&b'E') {
        return true;
    }
    let sent = std::str::from_utf8(number).ok().and_then(decimal);
    let kept = std::str::from_utf8(number).ok();
    let kept = kept.and_then(|number| number.parse::<f64>().ok());
    let kept = kept.and_then(|number| decimal(&format!("{number:e}")));
    sent.is_some() && sent == kept
}

/// The digits of a number without zeros around them, and the power of ten that they count.
fn decimal(number: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some((String::new(), 0));
    }
    let zeros = digits.len() - significant.len();
    let exponent: i64 = exponent.parse().ok()?;
    let shift = i64::try_from(zeros).ok()? - i64::try_from(fraction.len()).ok()?;
    Some((significant.to_owned(), exponent.checked_add(shift)?))
}
