//! The text of a document: its encoding, and the characters that it may hold.

use bytes::Bytes;
use bytestring::ByteString;
use encoding_rs::{Encoding, UTF_8};
use http::HeaderValue;

use super::{Forbidden, wrong};
use crate::Error;

/// Where an XML declaration has to end.
const DECLARATION_BYTES_MAX: usize = 200;

/// The text as UTF-8, without a byte order mark. A mark says the encoding, then the content type,
/// then the XML declaration (RFC 7303 §3).
pub(super) fn decode(
    body: &Bytes,
    content_type: Option<&HeaderValue>,
) -> Result<ByteString, Error> {
    let (encoding, mark) = match Encoding::for_bom(body) {
        Some(found) => found,
        None => (named(body, content_type)?.unwrap_or(UTF_8), 0),
    };
    let body = body.slice(mark.min(body.len())..);
    if encoding == UTF_8 {
        return ByteString::try_from(body).map_err(|_| wrong("it is not UTF-8"));
    }
    encoding
        .decode_without_bom_handling_and_without_replacement(&body)
        .map(|text| ByteString::from(text.into_owned()))
        .ok_or_else(|| wrong("it is not in the encoding that it names"))
}

fn named(
    body: &[u8],
    content_type: Option<&HeaderValue>,
) -> Result<Option<&'static Encoding>, Error> {
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let charset = content_type.and_then(|value| after(value, "charset="));
    let head = body.get(..body.len().min(DECLARATION_BYTES_MAX));
    let head = String::from_utf8_lossy(head.unwrap_or_default());
    let declared = head
        .strip_prefix("<?xml")
        .and_then(|head| head.split("?>").next())
        .and_then(|declaration| after(declaration, "encoding="));
    let Some(label) = charset.or(declared) else {
        return Ok(None);
    };
    match Encoding::for_label(label.as_bytes()) {
        // Whose declaration can be read byte by byte is not in UTF-16, whatever it says; ABAP and
        // .NET leave it so when they encode anew.
        Some(encoding) if charset.is_none() && !encoding.is_ascii_compatible() => Ok(Some(UTF_8)),
        Some(encoding) => Ok(Some(encoding)),
        None => Err(wrong("its encoding is not known")),
    }
}

/// The value behind a name, quoted or not.
fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let at = text.to_ascii_lowercase().find(name)? + name.len();
    let value = text.get(at..)?.trim_start();
    let quote = value.chars().next()?;
    if quote == '"' || quote == '\'' {
        return value.get(1..)?.split(quote).next();
    }
    value.split([';', ' ', '?']).next()
}

/// The text without characters that XML 1.0 forbids (§2.2), and whether there were any.
pub(super) fn without_forbidden(
    text: ByteString,
    forbidden: Forbidden,
) -> Result<(ByteString, bool), Error> {
    let plain = text
        .bytes()
        .all(|byte| byte >= 0x20 && byte != 0xef || matches!(byte, b'\t' | b'\n' | b'\r'));
    let plain = plain || text.chars().all(is_allowed);
    match forbidden {
        Forbidden::Refuse if plain => Ok((text, false)),
        Forbidden::Refuse => Err(wrong("a character that XML does not allow")),
        Forbidden::Replace if plain && !text.contains("&#") => Ok((text, false)),
        Forbidden::Replace => {
            let allowed = |char| if is_allowed(char) { char } else { '#' };
            let mended: String = without_references(&text).chars().map(allowed).collect();
            let replaced = mended != *text;
            Ok((mended.into(), replaced))
        }
    }
}

/// The same for characters that are written as references.
fn without_references(text: &str) -> String {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("&#") {
        mended.push_str(before);
        // As far as a number goes, so that no text is looked at twice.
        let end = after.find(|char: char| !char.is_ascii_alphanumeric());
        let (number, behind) = after.split_at(end.unwrap_or(after.len()));
        rest = match behind.strip_prefix(';') {
            Some(behind) if is_forbidden(number) => {
                mended.push('#');
                behind
            }
            Some(_) | None => {
                mended.push_str("&#");
                after
            }
        };
    }
    mended.push_str(rest);
    mended
}

/// Whether a number is that of a character that XML forbids, or of none at all.
fn is_forbidden(number: &str) -> bool {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    let code = u32::from_str_radix(digits, radix).ok();
    is_number && !code.and_then(char::from_u32).is_some_and(is_allowed)
}

pub(super) fn is_allowed(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
