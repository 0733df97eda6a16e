//! Timestamps by the letter of RFC 3339.
//!
//! They are checked, not converted: a timestamp leaves as it came.

const MINUTES_PER_DAY: u32 = 24 * 60;

/// A date and a time with seconds and an offset. A leap second must be one of UTC's last minute of
/// a day.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    parse(text.as_bytes()).ok_or("it must be a timestamp as RFC 3339 has it")
}

fn parse(text: &[u8]) -> Option<()> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let (date, time) = date_time.split_first_chunk::<10>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else {
        return None;
    };
    let [b'T' | b't', h1, h2, b':', n1, n2, b':', s1, s2] = *time else {
        return None;
    };
    let year = number(y1, y2)? * 100 + number(y3, y4)?;
    let month = number(m1, m2)?;
    let day = number(d1, d2)?;
    let (hour, minute, second) = (number(h1, h2)?, number(n1, n2)?, number(s1, s2)?);
    let offset = offset(fraction(rest)?)?;
    let utc = (hour * 60 + minute + MINUTES_PER_DAY - offset) % MINUTES_PER_DAY;
    let second_max = if utc == MINUTES_PER_DAY - 1 { 60 } else { 59 };
    let legal = (1..=days(year, month)?).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= second_max;
    legal.then_some(())
}

/// What follows the fraction of a second, if there is one.
fn fraction(text: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = text.strip_prefix(b".") else {
        return Some(text);
    };
    let digits = fraction
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits == 0 {
        None
    } else {
        fraction.get(digits..)
    }
}

/// Minutes ahead of UTC, modulo a day.
fn offset(text: &[u8]) -> Option<u32> {
    match *text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', n1, n2] => {
            let (hours, minutes) = (number(h1, h2)?, number(n1, n2)?);
            let offset = hours * 60 + minutes;
            let legal = hours <= 23 && minutes <= 59;
            legal.then_some(if sign == b'+' {
                offset
            } else {
                MINUTES_PER_DAY - offset
            })
        }
        _ => None,
    }
}

fn days(year: u32, month: u32) -> Option<u32> {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            Some(29)
        }
        2 => Some(28),
        _ => None,
    }
}

fn number(tens: u8, ones: u8) -> Option<u32> {
    let digit = |byte: u8| char::from(byte).to_digit(10);
    Some(digit(tens)? * 10 + digit(ones)?)
}
