//! Percent-encoding of header values (CloudEvents HTTP binding §3.1.3.2; NATS binding §3.1.3.2).

use std::borrow::Cow;

/// A header value for `text`: space, `"`, `%` and all beside printable ASCII are encoded.
pub(crate) fn encode(text: &str) -> Cow<'_, str> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    // All bytes are looked at, which takes fewer steps than to stop at one.
    if !text
        .bytes()
        .fold(false, |any, byte| any | needs_encoding(byte))
    {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if needs_encoding(byte) {
            encoded.push('%');
            for digit in [byte >> 4, byte & 0x0f] {
                encoded.extend(
                    DIGITS
                        .get(usize::from(digit))
                        .map(|digit| char::from(*digit)),
                );
            }
        } else {
            encoded.push(char::from(byte));
        }
    }
    Cow::Owned(encoded)
}

fn needs_encoding(byte: u8) -> bool {
    !(0x21..=0x7e).contains(&byte) || byte == b'"' || byte == b'%'
}

/// Appends the text of a header value to `out`; `Err` says that it is not UTF-8.
///
/// A `%` that no two hexadecimal digits follow stays as it is.
pub(crate) fn decode_into(value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    const REASON: &str = "must be percent-encoded UTF-8";
    let from = out.len();
    match value {
        [b'"', quoted @ .., b'"'] => {
            // The quoted form of older senders: a backslash takes the next character as it is.
            let mut unquoted = Vec::with_capacity(quoted.len());
            let mut bytes = quoted.iter();
            while let Some(byte) = bytes.next() {
                unquoted.push(if *byte == b'\\' {
                    *bytes.next().ok_or(REASON)?
                } else {
                    *byte
                });
            }
            decode_escapes(&unquoted, out);
        }
        _ => decode_escapes(value, out),
    }
    std::str::from_utf8(out.get(from..).unwrap_or_default())
        .map(|_| ())
        .map_err(|_| REASON)
}

fn decode_escapes(value: &[u8], out: &mut Vec<u8>) {
    if !value.contains(&b'%') {
        out.extend_from_slice(value);
        return;
    }
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(*byte),
        }
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(value: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        decode_into(value, &mut out).ok()?;
        String::from_utf8(out).ok()
    }

    /// The binding's own example.
    #[test]
    fn the_example_of_the_binding_holds() {
        assert_eq!(encode("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(
            decode(b"Euro%20%E2%82%AC%20%F0%9F%98%80").as_deref(),
            Some("Euro € 😀")
        );
    }

    /// Bytes that are no text never become an attribute.
    #[test]
    fn other_than_utf_8_is_refused() {
        assert_eq!(decode(b"%C0%A0"), None);
        assert_eq!(decode(b"\xff"), None);
        assert_eq!(decode(b"%E2%82"), None);
    }

    /// Older senders quote; careless ones leave a percent sign alone.
    #[test]
    fn quoting_and_lone_percent_signs_are_read() {
        assert_eq!(decode(b"\"a \\\"b\\\\\"").as_deref(), Some("a \"b\\"));
        assert_eq!(decode(b"100%").as_deref(), Some("100%"));
        assert_eq!(decode(b"5%off%2").as_deref(), Some("5%off%2"));
        assert_eq!(decode("ü".as_bytes()).as_deref(), Some("ü"));
    }
}
