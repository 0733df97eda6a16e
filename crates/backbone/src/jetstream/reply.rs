//! The reply subject of a delivery, which says where the event stands.

use std::time::{Duration, SystemTime};

/// What a reply subject says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) sequence: u64,
    pub(super) attempt: u32,
    /// Which of its consumer's deliveries this is.
    pub(super) delivery: u64,
    pub(super) stored_at: SystemTime,
    /// How many more there are of the consumer's kind, behind this one.
    pub(super) pending: u64,
}

/// Reads `$JS.ACK.<stream>.<consumer>.<attempt>.<sequence>.<delivery>.<nanoseconds>.<pending>`;
/// newer servers put `<domain>.<account>` before the stream and may add tokens at the end.
pub(super) fn parse(reply: &str) -> Option<Place> {
    let rest = reply.strip_prefix("$JS.ACK.")?;
    let skipped = match rest.split('.').count() {
        7 => 2,
        9.. => 4,
        _ => return None,
    };
    let mut tokens = rest.split('.').skip(skipped);
    let attempt: u64 = tokens.next()?.parse().ok()?;
    let sequence = tokens.next()?.parse().ok()?;
    let delivery = tokens.next()?.parse().ok()?;
    let nanoseconds = tokens.next()?.parse().ok()?;
    Some(Place {
        sequence,
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        delivery,
        stored_at: SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds))?,
        pending: tokens.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms of the subject say the same.
    #[test]
    fn old_and_new_forms_are_read() {
        let place = Place {
            sequence: 42,
            attempt: 3,
            delivery: 50,
            stored_at: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789),
            pending: 9,
        };
        for reply in [
            "$JS.ACK.EVENTS.consumer.3.42.50.1700000000123456789.9",
            "$JS.ACK._.hash.EVENTS.consumer.3.42.50.1700000000123456789.9",
            "$JS.ACK.hub.hash.EVENTS.consumer.3.42.50.1700000000123456789.9.token",
            "$JS.ACK.hub.hash.EVENTS.consumer.3.42.50.1700000000123456789.9.token.more",
        ] {
            assert_eq!(parse(reply), Some(place), "{reply}");
        }
    }

    /// A reply that is none of ours is not guessed at.
    #[test]
    fn other_subjects_are_refused() {
        for reply in [
            "",
            "_INBOX.x",
            "$JS.ACK.",
            "$JS.ACK.EVENTS.consumer.3.42.50.1700000000123456789",
            "$JS.ACK._.EVENTS.consumer.3.42.50.1700000000123456789.9",
            "$JS.ACK.EVENTS.consumer.x.42.50.1700000000123456789.9",
            "$JS.ACK.EVENTS.consumer.3.-1.50.1700000000123456789.9",
            "$JS.ACK.EVENTS.consumer.3.42.x.1700000000123456789.9",
            "$JS.ACK.EVENTS.consumer.3.42.50.1700000000123456789.x",
        ] {
            assert_eq!(parse(reply), None, "{reply}");
        }
    }
}
