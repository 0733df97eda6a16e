//! The rules of CloudEvents 1.0 for attributes (§"Type System", §"Context Attributes").
//!
//! One rule is softened: `source` is a URI reference by the specification, and real senders put
//! spaces, quotes and angle brackets into it. Those pass; broken percent-encoding does not.

use crate::{Error, Event, Value};

/// `Ok` when every attribute is a legal one. Allocates only to report.
pub fn validate(event: &Event) -> Result<(), Error> {
    required("id", &event.id)?;
    required("source", &event.source)?;
    if !is_uri_reference(&event.source) {
        return Err(Error::invalid(
            "source",
            "must be a URI reference",
            &*event.source,
        ));
    }
    required("type", &event.r#type)?;
    if let Some(value) = &event.datacontenttype {
        required("datacontenttype", value)?;
        if !is_media_type(value) {
            return Err(Error::invalid(
                "datacontenttype",
                "must be a media type as RFC 2046 defines it",
                &**value,
            ));
        }
    }
    if let Some(value) = &event.dataschema {
        required("dataschema", value)?;
        if !is_uri(value) {
            return Err(Error::invalid(
                "dataschema",
                "must be an absolute URI",
                &**value,
            ));
        }
    }
    if let Some(value) = &event.subject {
        required("subject", value)?;
    }
    if let Some(value) = &event.time
        && !is_timestamp(value)
    {
        return Err(Error::invalid(
            "time",
            "must be an RFC 3339 timestamp",
            &**value,
        ));
    }
    for (name, value) in event.extensions.iter() {
        if let Value::String(text) = value {
            legal(name.as_str(), text)?;
        }
    }
    Ok(())
}

fn required(attribute: &str, value: &str) -> Result<(), Error> {
    if value.is_empty() {
        return Err(Error::invalid(attribute, "must not be empty", value));
    }
    legal(attribute, value)
}

/// The type String: no control characters, no noncharacters.
fn legal(attribute: &str, value: &str) -> Result<(), Error> {
    // All of ASCII is decided by its bytes; only the rest is decoded.
    let plain = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if plain || value.chars().all(is_legal_char) {
        return Ok(());
    }
    Err(Error::invalid(
        attribute,
        "must not hold control characters or noncharacters",
        value,
    ))
}

fn is_legal_char(char: char) -> bool {
    let code = u32::from(char);
    !char.is_control() && !(0xfdd0..=0xfdef).contains(&code) && code & 0xfffe != 0xfffe
}

/// A URI reference, leniently: percent-encoding is whole, and it does not begin with the colon
/// that would end an empty scheme.
fn is_uri_reference(text: &str) -> bool {
    !text.starts_with(':') && has_whole_escapes(text)
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let mut chars = scheme.bytes();
    chars
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && chars.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !rest.contains(' ')
        && has_whole_escapes(rest)
}

fn has_whole_escapes(text: &str) -> bool {
    let mut parts = text.split('%');
    parts.next();
    parts.all(|part| part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2)
}

/// `type "/" subtype *( ";" parameter )` of tokens, parameter values possibly quoted.
pub(crate) fn is_media_type(text: &str) -> bool {
    let mut rest = text;
    let Some((r#type, after)) = rest.split_once('/') else {
        return false;
    };
    let subtype = after.split(';').next().unwrap_or_default();
    if !is_token(r#type) || !is_token(subtype.trim_end_matches([' ', '\t'])) {
        return false;
    }
    rest = after.get(subtype.len()..).unwrap_or_default();
    while let Some(parameter) = rest.strip_prefix(';') {
        let parameter = parameter.trim_start_matches([' ', '\t']);
        if parameter.is_empty() {
            return true; // a trailing semicolon, as common senders write it
        }
        let Some((name, value)) = parameter.split_once('=') else {
            return false;
        };
        if !is_token(name) {
            return false;
        }
        let Some(after) = after_parameter_value(value) else {
            return false;
        };
        rest = after.trim_start_matches([' ', '\t']);
    }
    rest.is_empty()
}

fn after_parameter_value(value: &str) -> Option<&str> {
    let Some(quoted) = value.strip_prefix('"') else {
        let end = value.find([';', ' ', '\t']).unwrap_or(value.len());
        let (token, rest) = value.split_at_checked(end)?;
        return is_token(token).then_some(rest);
    };
    let mut escaped = false;
    for (at, char) in quoted.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return quoted.get(at + 1..),
            _ => {}
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// RFC 3339 §5.6 `date-time`, with the ranges of §5.7. A leap second is allowed.
pub fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some((date_time, rest)) = bytes.split_at_checked(19) else {
        return false;
    };
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = date_time.get(from..to)?;
        digits.iter().all(u8::is_ascii_digit).then(|| {
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
        })
    };
    let separators = [(4, b"-"), (7, b"-"), (13, b":"), (16, b":")];
    if !separators
        .iter()
        .all(|(at, byte)| date_time.get(*at) == byte.first())
        || !matches!(date_time.get(10), Some(b'T' | b't'))
    {
        return false;
    }
    let fields = [(0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19)];
    let [
        Some(year),
        Some(month),
        Some(day),
        Some(hour),
        Some(minute),
        Some(second),
    ] = fields.map(|(from, to)| number(from, to))
    else {
        return false;
    };
    (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60
        && is_fraction_and_offset(rest)
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_fraction_and_offset(rest: &[u8]) -> bool {
    let offset = match rest.strip_prefix(b".") {
        None => rest,
        Some(fraction) => {
            let digits = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if digits == 0 {
                return false;
            }
            fraction.get(digits..).unwrap_or_default()
        }
    };
    match offset {
        [b'Z' | b'z'] => true,
        [
            b'+' | b'-',
            h1 @ b'0'..=b'2',
            h2 @ b'0'..=b'9',
            b':',
            b'0'..=b'5',
            b'0'..=b'9',
        ] => (h1 - b'0') * 10 + (h2 - b'0') <= 23,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What real senders put into `source` passes; what no parser can read does not.
    #[test]
    fn sources_of_real_senders_are_legal() {
        for source in [
            "/default/sap.s4.beh/ER9CLNT001",
            "a b",
            "a\"b",
            "system>prod",
            "#f",
            "äpp",
            "a%2fb",
            ".",
        ] {
            assert_eq!(validate(&Event::new("1", source, "t")), Ok(()), "{source}");
        }
        for source in ["", "s%ourc%e", "a%2", ":x", "a\nb", "a\u{85}b", "\u{fffe}"] {
            assert!(
                validate(&Event::new("1", source, "t")).is_err(),
                "{source:?}"
            );
        }
    }

    /// A time that is kept byte for byte has to be one.
    #[test]
    fn timestamps_are_rfc_3339() {
        for time in [
            "2018-04-05T17:31:00Z",
            "2018-04-05t17:31:00z",
            "2018-04-05T17:31:00.123456789+01:00",
            "2016-12-31T23:59:60Z",
            "2024-02-29T00:00:00-23:59",
        ] {
            assert!(is_timestamp(time), "{time}");
        }
        for time in [
            "",
            "yesterday",
            "2018-04-05",
            "2018-04-05 17:31:00Z",
            "2018-04-05T17:31Z",
            "2018-04-05T17:31:00",
            "2018-04-05T17:31:00.Z",
            "2018-04-05T17:31:00+25:00",
            "2018-04-05T17:31:00+05",
            "2018-04-05T17:31:00+0500",
            "2023-02-29T00:00:00Z",
            "2018-13-05T17:31:00Z",
            "2018-04-31T17:31:00Z",
            "2018-04-05T24:00:00Z",
            "2018-04-05T17:31:00Zx",
            "２018-04-05T17:31:00Z",
            "2018-04-05T17:31:61Z",
        ] {
            assert!(!is_timestamp(time), "{time}");
        }
    }

    /// `datacontenttype` is RFC 2046's, parameters and quoting included.
    #[test]
    fn media_types_are_rfc_2046() {
        for media_type in [
            "application/json",
            "text/plain; charset=utf-8",
            "application/vnd.x+json;a=\"b;\\\"c\"",
            "multipart/form-data ; boundary=x",
            "text/xml;",
        ] {
            assert!(is_media_type(media_type), "{media_type}");
        }
        for media_type in [
            "xyz",
            "",
            "/",
            "a/",
            "a b/c",
            "text/plain; charset",
            "text/plain; a=\"b",
            "a/b;c=d e",
        ] {
            assert!(!is_media_type(media_type), "{media_type}");
        }
    }

    /// `dataschema` is an absolute URI.
    #[test]
    fn schemas_are_absolute() {
        assert!(is_uri("https://cloudevents.io/dataschema"));
        assert!(is_uri("urn:x:y"));
        for schema in ["", "/relative", "1a:b", "https://a b", "http://%zz"] {
            assert!(!is_uri(schema), "{schema}");
        }
    }
}
