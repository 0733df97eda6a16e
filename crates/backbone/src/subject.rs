//! Subjects from sources and types, reversibly: `<root>.<source>.<type tokens…>`.
//!
//! The source is one token, the type keeps its dots. What a NATS token cannot hold is
//! percent-encoded; an empty token is a bare `%`, which encoding never yields.

/// Longest subject in bytes. nats-server closes a connection whose control line exceeds 4 KiB;
/// the line also holds the reply subject and two numbers.
pub const BYTES_MAX: usize = 1_000;

/// A subject that would be longer than [`BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("their subject has {bytes} bytes, the limit is {BYTES_MAX}")]
pub struct TooLong {
    /// Its length.
    pub bytes: usize,
}

/// The subject under which an event is stored.
pub fn of(root: &str, source: &str, r#type: &str) -> Result<String, TooLong> {
    let mut subject = String::with_capacity(root.len() + source.len() + r#type.len() + 16);
    subject.push_str(root);
    subject.push('.');
    push_token(source, &mut subject);
    push_type(r#type, &mut subject);
    bounded(subject)
}

/// The filter for a type from any source.
pub fn any_source(root: &str, r#type: &str) -> Result<String, TooLong> {
    let mut subject = format!("{root}.*");
    push_type(r#type, &mut subject);
    bounded(subject)
}

/// The filter for every event.
pub fn all(root: &str) -> String {
    format!("{root}.>")
}

/// The source and the type that a subject was made from.
pub fn parse(root: &str, subject: &str) -> Option<(String, String)> {
    let mut tokens = subject.strip_prefix(root)?.strip_prefix('.')?.split('.');
    let source = decode(tokens.next()?)?;
    let r#type = tokens.map(decode).collect::<Option<Vec<_>>>()?;
    (!r#type.is_empty()).then(|| (source, r#type.join(".")))
}

/// `text` as one token of a subject.
pub fn token(text: &str) -> String {
    let mut token = String::with_capacity(text.len());
    push_token(text, &mut token);
    token
}

fn bounded(subject: String) -> Result<String, TooLong> {
    if subject.len() > BYTES_MAX { Err(TooLong { bytes: subject.len() }) } else { Ok(subject) }
}

fn push_type(r#type: &str, subject: &mut String) {
    for token in r#type.split('.') {
        subject.push('.');
        push_token(token, subject);
    }
}

fn push_token(token: &str, subject: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if token.is_empty() {
        subject.push('%');
        return;
    }
    for byte in token.bytes() {
        let plain = byte.is_ascii_graphic() && !b".*>%".contains(&byte);
        if plain {
            subject.push(char::from(byte));
        } else {
            subject.push('%');
            for digit in [byte >> 4, byte & 0x0f] {
                subject.extend(DIGITS.get(usize::from(digit)).map(|digit| char::from(*digit)));
            }
        }
    }
}

fn decode(token: &str) -> Option<String> {
    if token == "%" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut parts = token.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Cleaning made these two one subject; escaping keeps them apart.
    #[test]
    fn sources_that_differ_in_illegal_characters_do_not_meet() {
        assert_eq!(of("r", "system>prod", "a.v1").unwrap(), "r.system%3Eprod.a.v1");
        assert_eq!(of("r", "systemprod", "a.v1").unwrap(), "r.systemprod.a.v1");
        assert_eq!(of("r", "/a.b", "o..x").unwrap(), "r./a%2Eb.o.%.x");
    }

    /// One long type must not cost others their connection.
    #[test]
    fn a_long_subject_is_refused() {
        assert!(of("r", "s", &"x".repeat(BYTES_MAX - 4)).is_ok());
        assert_eq!(of("r", "s", &"x".repeat(BYTES_MAX)), Err(TooLong { bytes: BYTES_MAX + 4 }));
    }

    proptest! {
        /// Whatever the source and the type are, they can be read back, and the subject is legal.
        #[test]
        fn subjects_are_reversible_and_legal(source in ".{1,60}", r#type in "[a-zäA-Z.*>% ]{1,60}") {
            let subject = of("root.events", &source, &r#type).unwrap();
            prop_assert_eq!(parse("root.events", &subject), Some((source, r#type)));
            prop_assert!(subject.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(subject.split('.').all(|token| !token.is_empty() && !token.contains(['*', '>'])));
        }
    }
}
