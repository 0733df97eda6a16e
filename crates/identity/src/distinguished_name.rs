//! Common names in the text form of distinguished names, RFC 2253.

/// The subject's only common name; none where it has several or is not well-formed.
///
/// Works on bytes: proxies forward names with characters beyond ASCII as they are, or escaped
/// byte by byte (`\C3\BC`).
pub(crate) fn common_name(subject: &[u8]) -> Option<String> {
    let mut found = None;
    let mut rest = subject;
    loop {
        let (kind, after) = split_once(rest, b'=')?;
        let (value, next) = value(after)?;
        if kind.trim_ascii().eq_ignore_ascii_case(b"CN") && found.replace(value).is_some() {
            return None;
        }
        match next {
            Some(next) => rest = next,
            None => break,
        }
    }
    // What is no UTF-8 comes from certificates older than it, in Latin-1.
    found.map(|bytes| match String::from_utf8(bytes) {
        Ok(name) => name,
        Err(bytes) => bytes.into_bytes().into_iter().map(char::from).collect(),
    })
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|byte| *byte == at)?;
    Some((bytes.get(..place)?, bytes.get(place + 1..)?))
}

/// One value without its escapes, and what comes after its separator.
fn value(bytes: &[u8]) -> Option<(Vec<u8>, Option<&[u8]>)> {
    let start = bytes.iter().take_while(|byte| **byte == b' ').count();
    let mut value = Vec::new();
    // How much of the value stays when unescaped spaces at its end are removed.
    let mut kept = 0;
    let mut place = start;
    while let Some(byte) = bytes.get(place) {
        place += 1;
        match byte {
            b',' | b'+' | b';' => {
                value.truncate(kept);
                return Some((value, Some(bytes.get(place..)?)));
            }
            b'\\' => {
                let (escaped, length) = escaped(bytes.get(place..)?)?;
                value.push(escaped);
                place += length;
                kept = value.len();
            }
            b'"' => return None,
            b' ' => value.push(b' '),
            byte => {
                value.push(*byte);
                kept = value.len();
            }
        }
    }
    value.truncate(kept);
    Some((value, None))
}

/// What follows a backslash: two hexadecimal digits, or the character itself.
fn escaped(bytes: &[u8]) -> Option<(u8, usize)> {
    let first = *bytes.first()?;
    if let (Some(high), Some(low)) = (digit(first), bytes.get(1).copied().and_then(digit)) {
        return Some((high << 4 | low, 2));
    }
    Some((first, 1))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same name has several spellings; a client must be found by all of them.
    #[test]
    fn every_spelling_of_a_name_is_that_name() {
        for spelling in [
            b"CN=M\xC3\xBCller,O=SAP".as_slice(),
            b"O=SAP,CN=M\\C3\\BCller",
            b"O=SAP, cn = M\xFCller ",
            b"OU=a+CN=M\\c3\\bcller,C=DE",
        ] {
            assert_eq!(common_name(spelling).as_deref(), Some("Müller"));
        }
    }

    /// A separator inside of a name must not begin a second, chosen name.
    #[test]
    fn an_escaped_separator_begins_no_other_name() {
        assert_eq!(
            common_name(br"O=x\,CN=admin,CN=real").as_deref(),
            Some("real")
        );
        assert_eq!(
            common_name(br#"CN=a\"b\\\+c\ ,C=DE"#).as_deref(),
            Some(r#"a"b\+c "#)
        );
    }

    /// With two common names nobody can say which was meant.
    #[test]
    fn two_names_and_broken_names_are_none() {
        for subject in ["CN=a,CN=b", "CN=a\\", "", "CN", "O=x", "CN=\"a\"", "CN=a,,"] {
            assert_eq!(common_name(subject.as_bytes()), None, "{subject}");
        }
    }
}
