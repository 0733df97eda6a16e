//! Subjects: `<root>.<source>.<type>`, reversible.
//!
//! The source is one token, each dot-separated part of the type is one. What NATS forbids or gives
//! a meaning to is escaped, so that two sources never meet on one subject. Which subjects a
//! Subscription wants is not decided here.

use std::fmt::Write as _;

/// Most bytes of a subject. nats-server takes control lines of 4 KiB; a publish carries the
/// subject and a reply, a delivery carries both again, and 1,000 leaves room for all of them.
pub const BYTES_MAX: usize = 1_000;

/// What stands for a token without any character.
const EMPTY_TOKEN: &str = "%";

/// Source and type together make too long a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the subject has {bytes} bytes, at most {bytes_max} are possible")]
pub struct TooLong {
    /// How long it would be.
    pub bytes: usize,
    /// The limit.
    pub bytes_max: usize,
}

/// The subject of events of this source and type.
pub fn of(root: &str, source: &str, r#type: &str) -> Result<String, TooLong> {
    let mut subject = String::with_capacity(root.len() + source.len() + r#type.len() + 16);
    subject.push_str(root);
    subject.push('.');
    push_token(&mut subject, source);
    push_type(&mut subject, r#type);
    bounded(subject)
}

/// The filter for events of this type, whatever their source.
pub fn any_source(root: &str, r#type: &str) -> Result<String, TooLong> {
    let mut subject = format!("{root}.*");
    push_type(&mut subject, r#type);
    bounded(subject)
}

/// The filter for events whose type begins with these parts and has more of them; of one source,
/// or of any.
pub fn below(root: &str, source: Option<&str>, parts: &str) -> Result<String, TooLong> {
    let mut subject = format!("{root}.");
    match source {
        Some(source) => push_token(&mut subject, source),
        None => subject.push('*'),
    }
    push_type(&mut subject, parts);
    subject.push_str(".>");
    bounded(subject)
}

/// The filter for all events of this source.
pub fn any_type(root: &str, source: &str) -> Result<String, TooLong> {
    let mut subject = format!("{root}.");
    push_token(&mut subject, source);
    subject.push_str(".>");
    bounded(subject)
}

/// The filter for all events.
pub fn all(root: &str) -> String {
    format!("{root}.>")
}

/// Source and type of a subject that [`of`] made; `None` for any other.
pub fn parse(root: &str, subject: &str) -> Option<(String, String)> {
    let (source, r#type) = subject
        .strip_prefix(root)?
        .strip_prefix('.')?
        .split_once('.')?;
    let source = token(source)?;
    let r#type = r#type
        .split('.')
        .map(token)
        .collect::<Option<Vec<_>>>()?
        .join(".");
    // A dot that was escaped within the type is nothing that `of` makes.
    (of(root, &source, &r#type).as_deref() == Ok(subject)).then_some((source, r#type))
}

fn bounded(subject: String) -> Result<String, TooLong> {
    if subject.len() > BYTES_MAX {
        return Err(TooLong {
            bytes: subject.len(),
            bytes_max: BYTES_MAX,
        });
    }
    Ok(subject)
}

fn push_type(subject: &mut String, r#type: &str) {
    for part in r#type.split('.') {
        subject.push('.');
        push_token(subject, part);
    }
}

fn push_token(subject: &mut String, text: &str) {
    if text.is_empty() {
        subject.push_str(EMPTY_TOKEN);
        return;
    }
    for char in text.chars() {
        if char.is_ascii_graphic() && !matches!(char, '.' | '*' | '>' | '%') {
            subject.push(char);
            continue;
        }
        for byte in char.encode_utf8(&mut [0; 4]).bytes() {
            write!(subject, "%{byte:02X}").expect("a String takes all that is written");
        }
    }
}

fn token(escaped: &str) -> Option<String> {
    if escaped == EMPTY_TOKEN {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Whether a subject matches a NATS filter: `*` is one token, `>` at the end one or more.
pub fn matches(filter: &str, subject: &str) -> bool {
    let mut filter = Some(filter.as_bytes());
    let mut subject = Some(subject.as_bytes());
    loop {
        let (Some(wanted), Some(there)) = (filter, subject) else {
            // Both have the same number of tokens.
            return filter.is_none() && subject.is_none();
        };
        let (wanted, filters) = first_token(wanted);
        let (there, subjects) = first_token(there);
        match wanted {
            b">" => return true,
            b"*" => {}
            _ if wanted != there => return false,
            _ => {}
        }
        (filter, subject) = (filters, subjects);
    }
}

/// The first token, and what is behind it.
fn first_token(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == b'.') {
        Some(end) => {
            let (token, rest) = text.split_at(end);
            (token, rest.get(1..))
        }
        None => (text, None),
    }
}

#[cfg(test)]
mod tests;
