//! Strings as Go's JSON reads them, and bytes as its messages show them.

use std::borrow::Cow;

/// The text of a well-formed string token, quotes included in `token`.
///
/// Each byte that is no UTF-8 and each half of a surrogate pair becomes U+FFFD.
pub(crate) fn unquote(token: &[u8]) -> Cow<'_, str> {
    let inner = token
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or_default();
    match str::from_utf8(inner) {
        Ok(text) if !text.contains('\\') => Cow::Borrowed(text),
        Ok(_) | Err(_) => Cow::Owned(unescaped(inner)),
    }
}

fn unescaped(inner: &[u8]) -> String {
    let mut text = String::with_capacity(inner.len());
    for chunk in inner.utf8_chunks() {
        // An escape is ASCII, so none is split between two chunks.
        let mut rest = chunk.valid();
        while let Some((plain, escape)) = rest.split_once('\\') {
            text.push_str(plain);
            let (character, after) = escaped(escape);
            text.push(character);
            rest = after;
        }
        text.push_str(rest);
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// The character of an escape (without its backslash), and what follows it.
fn escaped(escape: &str) -> (char, &str) {
    let mut rest = escape.chars();
    let character = match rest.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return unicode(escape),
        Some(itself) => itself,
        None => char::REPLACEMENT_CHARACTER,
    };
    (character, rest.as_str())
}

/// The character of `uXXXX`, or of `uXXXX\uXXXX` if the two are a surrogate pair.
fn unicode(escape: &str) -> (char, &str) {
    let (first, rest) = unit(escape);
    if let Some(character) = first.and_then(|unit| char::from_u32(u32::from(unit))) {
        return (character, rest);
    }
    let second = rest.strip_prefix('\\').map(unit);
    if let (Some(high), Some((Some(low), after))) = (first, second)
        && let Some(Ok(character)) = char::decode_utf16([high, low]).next()
    {
        return (character, after);
    }
    (char::REPLACEMENT_CHARACTER, rest)
}

/// The code unit of `uXXXX`, if it is one, and what follows it.
fn unit(escape: &str) -> (Option<u16>, &str) {
    let Some((digits, rest)) = escape
        .strip_prefix('u')
        .and_then(|hex| hex.split_at_checked(4))
    else {
        return (None, escape);
    };
    (u16::from_str_radix(digits, 16).ok(), rest)
}

/// Whether a key names a field by Go's case folding. `name` is ASCII, in lower case.
pub(crate) fn eq_fold(key: &str, name: &str) -> bool {
    let mut names = name.chars();
    let same = key.chars().all(|character| {
        names
            .next()
            .is_some_and(|expected| folded(character) == expected)
    });
    same && names.next().is_none()
}

/// A character's ASCII lower-case form. Two characters beyond ASCII fold into it.
fn folded(character: char) -> char {
    match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    }
}

/// A byte as Go's messages quote it: as the character of that number, escaped if unprintable.
pub(crate) fn quoted(byte: u8) -> String {
    let inner = match byte {
        b'\'' => "\\'".to_owned(),
        b'\\' => "\\\\".to_owned(),
        0x07 => "\\a".to_owned(),
        0x08 => "\\b".to_owned(),
        0x09 => "\\t".to_owned(),
        0x0a => "\\n".to_owned(),
        0x0b => "\\v".to_owned(),
        0x0c => "\\f".to_owned(),
        0x0d => "\\r".to_owned(),
        0x00..0x20 | 0x7f => format!("\\x{byte:02x}"),
        // The C1 controls, the no-break space and the soft hyphen.
        0x80..=0xa0 | 0xad => format!("\\u{byte:04x}"),
        printable => char::from(printable).to_string(),
    };
    format!("'{inner}'")
}
