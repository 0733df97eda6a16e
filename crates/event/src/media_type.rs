//! Media types as RFC 2046 and RFC 9110 write them: their grammar, and the questions asked here.
//!
//! No registry of types, no negotiation.

/// The type and subtype, without parameters.
pub(crate) fn essence(media_type: &str) -> &str {
    media_type
        .split_once(';')
        .map_or(media_type, |(essence, _)| essence)
        .trim_ascii()
}

/// Whether data of this media type is JSON text.
pub(crate) fn is_json(media_type: &str) -> bool {
    let essence = essence(media_type).as_bytes();
    let suffix = essence.last_chunk::<5>();
    essence.eq_ignore_ascii_case(b"application/json")
        || essence.eq_ignore_ascii_case(b"text/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
}

/// `type/subtype` and parameters. Parameters may be empty (`a/b;`), as RFC 9110 has it.
pub(crate) fn check(media_type: &str) -> Result<(), &'static str> {
    const REASON: &str = "it must be a media type as type/subtype, with parameters as name=value";
    let checked = token(media_type)
        .and_then(|(_, rest)| rest.strip_prefix('/'))
        .and_then(token)
        .map(|(_, rest)| rest);
    let mut rest = checked.ok_or(REASON)?;
    while !rest.is_empty() {
        rest = parameter(rest).ok_or(REASON)?.1;
    }
    Ok(())
}

/// The value of a parameter as it is written, without its quotes. Stops at what is no parameter.
pub(crate) fn value<'a>(media_type: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = media_type
        .find(';')
        .and_then(|start| media_type.get(start..))?;
    while let Some((found, after)) = parameter(rest) {
        match found {
            Some((have, value)) if have.eq_ignore_ascii_case(name) => return Some(value),
            Some(_) | None => rest = after,
        }
    }
    None
}

/// One `;` with the parameter behind it, if there is one.
type Parameter<'a> = (Option<(&'a str, &'a str)>, &'a str);

fn parameter(text: &str) -> Option<Parameter<'_>> {
    let blank = [' ', '\t'];
    let text = text
        .trim_start_matches(blank)
        .strip_prefix(';')?
        .trim_start_matches(blank);
    let Some((name, rest)) = token(text) else {
        return Some((None, text));
    };
    let rest = rest.strip_prefix('=')?;
    let (value, rest) = quoted(rest).or_else(|| token(rest))?;
    Some((Some((name, value)), rest))
}

fn token(text: &str) -> Option<(&str, &str)> {
    let end = text
        .bytes()
        .position(|byte| !is_token(byte))
        .unwrap_or(text.len());
    text.split_at_checked(end)
        .filter(|(token, _)| !token.is_empty())
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((inner.get(..at)?, inner.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}
