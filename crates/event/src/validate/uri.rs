//! URIs and URI references, as leniently as real senders need.
//!
//! Spaces, quotes, `<>|` and characters beyond ASCII are let through, though RFC 3986 has them
//! escaped: SAP systems send such sources, and the bytes are theirs. Nothing is resolved or
//! normalised.

/// A URI reference.
pub(super) fn reference(text: &str) -> Result<(), &'static str> {
    if text.starts_with(':') {
        return Err("a URI reference must not begin with a colon");
    }
    escapes(text)
}

/// An absolute URI.
pub(super) fn absolute(text: &str) -> Result<(), &'static str> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let mut bytes = scheme.bytes();
    let legal = bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if !legal {
        return Err("it must be an absolute URI, with a scheme");
    }
    escapes(text)
}

fn escapes(text: &str) -> Result<(), &'static str> {
    let legal = text.split('%').skip(1).all(|after| {
        matches!(after.as_bytes(), [high, low, ..]
            if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    });
    legal
        .then_some(())
        .ok_or("a percent sign must be followed by two hexadecimal digits")
}
