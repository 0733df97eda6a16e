//! Ids for events whose sender gives none: the same event sent again gets the same id.
//!
//! Only for formats with something that tells two occurrences apart, such as a time. Without
//! that, two changes of one order would be byte for byte the same, and one would be lost.

mod canonical;

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What the namespace of derived ids is itself derived from.
const NAMESPACE: &[u8] = b"urn:event-ingress:id:v1";

/// What identifies an occurrence.
pub(crate) struct Identity<'a> {
    pub(crate) format: &'a str,
    pub(crate) source: &'a str,
    pub(crate) r#type: &'a str,
    /// Empty unless the subject was derived.
    pub(crate) subject: &'a str,
    /// Empty if there is none.
    pub(crate) time: &'a str,
    /// The data, a JSON text.
    pub(crate) json: &'a [u8],
}

/// The id: a UUID of version 5 over the parts and the hash of the data's canonical form.
///
/// Data that has no canonical form (numbers that lose digits as doubles, a member twice, text
/// that is no Unicode, very deep nesting) is hashed as the bytes that it is: equal data written
/// differently then has two ids, but different data never has one.
pub(crate) fn derived(identity: &Identity<'_>) -> String {
    let payload = canonical::form(identity.json).map_or(Cow::Borrowed(identity.json), Cow::Owned);
    let hash = base16(&Sha256::digest(&payload));
    let name = [
        identity.format,
        identity.source,
        identity.r#type,
        identity.subject,
        identity.time,
        &hash,
    ]
    .join("\n");
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, NAMESPACE);
    Uuid::new_v5(&namespace, name.as_bytes()).to_string()
}

fn base16(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
