//! Which times the legacy door takes.
//!
//! Kyma's publisher parses with Go's RFC 3339 layout. That is narrower than RFC 3339 (no lower
//! case, no leap second) and wider (one-digit hours, a comma before the fraction, offsets of 24
//! hours and 60 minutes). What is wider could be no event's `time`, so both have to agree.

/// Whether Go and RFC 3339 both take this text for a timestamp.
pub(super) fn is_timestamp(text: &str) -> bool {
    read(text.as_bytes()).is_some()
}

fn read(text: &[u8]) -> Option<()> {
    let (year, text) = number::<4>(text, 0..=9999)?;
    let (month, text) = number::<2>(text.strip_prefix(b"-")?, 1..=12)?;
    let (_day, text) = number::<2>(text.strip_prefix(b"-")?, 1..=days(year, month))?;
    let (_hour, text) = number::<2>(text.strip_prefix(b"T")?, 0..=23)?;
    let (_minute, text) = number::<2>(text.strip_prefix(b":")?, 0..=59)?;
    let (_second, text) = number::<2>(text.strip_prefix(b":")?, 0..=59)?;
    let text = match text.strip_prefix(b".") {
        None => text,
        Some(fraction) => {
            let digits = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            fraction.get(digits..).filter(|_| digits > 0)?
        }
    };
    if text == b"Z" {
        return Some(());
    }
    let offset = text
        .strip_prefix(b"+")
        .or_else(|| text.strip_prefix(b"-"))?;
    let (_hours, text) = number::<2>(offset, 0..=23)?;
    let (_minutes, text) = number::<2>(text.strip_prefix(b":")?, 0..=59)?;
    text.is_empty().then_some(())
}

/// A number of exactly so many digits within a range, and what follows it.
fn number<const DIGITS: usize>(
    text: &[u8],
    range: std::ops::RangeInclusive<u32>,
) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<DIGITS>()?;
    let mut number = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u32::from(digit - b'0');
    }
    range.contains(&number).then_some((number, rest))
}

fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender whose times Kyma takes must not be turned away.
    #[test]
    fn timestamps_of_both_are_taken() {
        for text in [
            "2020-04-02T21:37:00Z",
            "2020-04-02T21:37:00.1Z",
            "2020-04-02T21:37:00.123456789012345678Z",
            "2026-11-20T14:01:12.500+01:00",
            "2020-02-29T23:59:59-23:59",
            "2000-02-29T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59+00:00",
        ] {
            assert!(is_timestamp(text), "{text}");
        }
    }

    /// What only one of the two takes, or neither, cannot be an event's time.
    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "yesterday",
            "2020-04-02",
            "2020-04-02T21:37:00",
            "2020-04-02T21:37Z",
            "2020-04-02 21:37:00Z",
            "2020-04-02t21:37:00Z",
            "2020-04-02T21:37:00z",
            "2020-04-02T21:37:60Z",
            "2020-04-02T9:37:00Z",
            "2020-04-02T21:37:00,5Z",
            "2020-04-02T21:37:00.Z",
            "2020-04-02T21:37:00+24:00",
            "2020-04-02T21:37:00+01:60",
            "2020-04-02T21:37:00+0100",
            "2020-04-02T21:37:00Z ",
            "2020-13-02T21:37:00Z",
            "2020-00-02T21:37:00Z",
            "2020-04-31T21:37:00Z",
            "2021-02-29T21:37:00Z",
            "1900-02-29T21:37:00Z",
            "2020-04-02T24:00:00Z",
            "+020-04-02T21:37:00Z",
            "20200-04-02T21:37:00Z",
        ] {
            assert!(!is_timestamp(text), "{text}");
        }
    }
}
