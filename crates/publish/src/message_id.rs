//! Under which identity an event is deduplicated.

use sha2::{Digest, Sha256};
use tidegate_backbone::MessageId;

/// Bytes of the hash that are kept: enough that no two events share them by chance, and half of
/// what the server would keep for each id in its window.
const HASH_BYTES: usize = 16;

/// The message id: the first 16 bytes of `sha256(application LF source LF id)`, in hexadecimal.
///
/// Ids are chosen by senders, so the application and the source are part of it: neither can
/// suppress another's events. None of the three can hold a line feed.
pub fn message_id(application: &str, source: &str, id: &str) -> MessageId {
    let mut hash = Sha256::new();
    for part in [application, "\n", source, "\n", id] {
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize();
    MessageId(hex(hash.get(..HASH_BYTES).unwrap_or(&hash)))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
    let mut hex = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        hex.extend_from_slice(&[digit(byte >> 4), digit(byte & 0x0f)]);
    }
    String::from_utf8(hex).expect("hexadecimal digits are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender that keeps its id is deduplicated by every version of Tidegate alike.
    #[test]
    fn the_id_is_the_documented_hash() {
        // printf 'commerce\n/shop\n42' | sha256sum | cut -c -32
        assert_eq!(
            message_id("commerce", "/shop", "42").0,
            "e17c33ae387f9fdb1272ce903b97044a"
        );
    }

    /// One connected system cannot swallow another's events by choosing its ids.
    #[test]
    fn application_source_and_id_each_tell_events_apart() {
        let ids = [
            message_id("a", "s", "1"),
            message_id("b", "s", "1"),
            message_id("a", "t", "1"),
            message_id("a", "s", "2"),
            message_id("", "s", "1"),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[at + 1..].contains(id), "{id:?} stands twice");
        }
    }
}
