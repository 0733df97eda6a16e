//! Times as systems send them, as RFC 3339. A time is never invented.

use bytestring::ByteString;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use tidegate_event::is_timestamp;

use crate::repair::{Kind, Repairs};

/// Epoch numbers below this are seconds, others milliseconds (the year 5138 in seconds, March
/// 1973 in milliseconds).
const SECONDS_END: i64 = 100_000_000_000;

/// The attribute `time` from a text or a number. `None` where nothing can be made of it: that
/// costs the attribute, not the event.
pub(crate) fn time(sent: &str, repairs: &mut Repairs) -> Option<ByteString> {
    if is_timestamp(sent) {
        return Some(sent.into());
    }
    let text = sent.trim();
    if let Some(time) = of_epoch(text) {
        repairs.add("time", Kind::TimeRewritten);
        return Some(time.into());
    }
    let mended = text.replacen(' ', "T", 1);
    if is_timestamp(&mended) {
        repairs.add("time", Kind::TimeRewritten);
        return Some(mended.into());
    }
    let in_utc = format!("{mended}Z");
    if is_timestamp(&in_utc) {
        repairs.add("time", Kind::AssumedUtc);
        return Some(in_utc.into());
    }
    repairs.add("time", Kind::TimeUnreadable);
    None
}

/// Seconds or milliseconds since 1970; milliseconds keep three digits.
fn of_epoch(text: &str) -> Option<String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = digits.then(|| text.parse().ok()).flatten()?;
    if is_calendar(text) {
        return None;
    }
    if number < SECONDS_END {
        let time = Timestamp::from_second(number).ok()?;
        Some(format!("{time:.0}"))
    } else {
        let time = Timestamp::from_millisecond(number).ok()?;
        Some(format!("{time:.3}"))
    }
}

/// Whether digits are `YYYYMMDD` or ABAP's `YYYYMMDDHHMMSS` of these centuries. For a number of
/// seconds or milliseconds they would be of 1970 or the 27th century.
fn is_calendar(digits: &str) -> bool {
    let century = digits.starts_with("19") || digits.starts_with("20") || digits.starts_with("21");
    let time = match digits.len() {
        8 => "000000",
        14 => "",
        _ => return false,
    };
    century && local(digits, time, &TimeZone::UTC).is_some()
}

/// A local date and time (`YYYYMMDD`, `HHMMSS`) in a zone, as UTC. A time that a clock change
/// skips or repeats is the earlier one.
pub(crate) fn local(date: &str, time: &str, zone: &TimeZone) -> Option<ByteString> {
    let digits = format!("{date}{time}");
    let whole = digits.len() == 14 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let at = whole.then(|| DateTime::strptime("%Y%m%d%H%M%S", &digits));
    let at = at?.ok()?;
    let at = zone.to_ambiguous_timestamp(at).earlier().ok()?;
    Some(format!("{at:.0}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is legal stays byte for byte; what is nearly legal is mended; nothing is invented.
    #[test]
    fn times_are_mended_or_left_out() {
        let cases = [
            (
                "2026-11-13T13:59:32.934399888Z",
                Some("2026-11-13T13:59:32.934399888Z"),
                None,
            ),
            (
                "2026-11-20T09:36:40-08:00",
                Some("2026-11-20T09:36:40-08:00"),
                None,
            ),
            (
                "2026-11-12T13:00:37",
                Some("2026-11-12T13:00:37Z"),
                Some(Kind::AssumedUtc),
            ),
            (
                "2026-11-12 13:00:37",
                Some("2026-11-12T13:00:37Z"),
                Some(Kind::AssumedUtc),
            ),
            (
                "2026-11-12 13:00:37+01:00",
                Some("2026-11-12T13:00:37+01:00"),
                Some(Kind::TimeRewritten),
            ),
            (
                "1795443000",
                Some("2026-11-23T14:10:00Z"),
                Some(Kind::TimeRewritten),
            ),
            (
                "1795440912345",
                Some("2026-11-23T13:35:12.345Z"),
                Some(Kind::TimeRewritten),
            ),
            (
                "99999999999",
                Some("5138-11-16T09:46:39Z"),
                Some(Kind::TimeRewritten),
            ),
            (
                "100000000000",
                Some("1973-03-03T09:46:40.000Z"),
                Some(Kind::TimeRewritten),
            ),
            ("2026-13-01T00:00:00Z", None, Some(Kind::TimeUnreadable)),
            ("yesterday", None, Some(Kind::TimeUnreadable)),
            ("99999999999999999999", None, Some(Kind::TimeUnreadable)),
            ("-5", None, Some(Kind::TimeUnreadable)),
        ];
        for (sent, expected, kind) in cases {
            let mut repairs = Repairs::default();
            assert_eq!(time(sent, &mut repairs).as_deref(), expected, "{sent}");
            assert_eq!(
                repairs.found.first().map(|repair| repair.kind),
                kind,
                "{sent}"
            );
        }
    }

    /// Digits of a calendar are no epoch, and what only looks like a time is none: no other time is
    /// invented for it.
    #[test]
    fn other_forms_are_no_times() {
        let cases = [
            ("0", Some("1970-01-01T00:00:00Z")),
            ("20261399", Some("1970-08-23T12:09:59Z")),
            (" 2026-11-20t10:00:00.5 ", Some("2026-11-20t10:00:00.5Z")),
            ("2026-12-31T23:59:60Z", Some("2026-12-31T23:59:60Z")),
            ("20261120", None),
            ("20261120141502", None),
            ("2026-11-20", None),
            ("2026-11-20T24:00:00Z", None),
            ("2026-11-20T10:00", None),
            ("2026-11-20T10:00:00+0100", None),
            ("2026-11-20 10:00:00 Z", None),
            ("/Date(1795443000000)/", None),
            ("1795443000.5", None),
            ("1.795443e9", None),
            ("", None),
        ];
        for (sent, expected) in cases {
            let found = time(sent, &mut Repairs::default());
            assert_eq!(found.as_deref(), expected, "{sent}");
        }
    }

    /// SAP's local times depend on the zone, summer time included.
    #[test]
    fn local_times_become_utc() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let of = |date, time| local(date, time, &berlin);
        assert_eq!(
            of("20261120", "141502").as_deref(),
            Some("2026-11-20T13:15:02Z")
        );
        assert_eq!(
            of("20260720", "141502").as_deref(),
            Some("2026-07-20T12:15:02Z")
        );
        assert_eq!(of("20261320", "141502"), None);
        assert_eq!(of("", ""), None);
    }
}
