//! How deep a JSON body nests. Whoever reads an event parses its data, and most parsers recurse.

use crate::Error;

/// Deepest nesting of a body; the limit of widespread parsers.
pub(crate) const DEPTH_MAX: usize = 128;

/// `Err` for a body of nested brackets. Text of other formats that has as many of them passes
/// only if it does not look like JSON.
pub(crate) fn check(body: &[u8]) -> Result<(), Error> {
    let opens = |byte: &u8| matches!(byte, b'[' | b'{');
    if opening(body) <= DEPTH_MAX {
        return Ok(());
    }
    if !body.trim_ascii_start().first().is_some_and(opens) {
        return Ok(());
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(Error::JsonTooDeep);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Opening brackets, counted in chunks whose count fits a byte: so many bytes at once, where one by
/// one they would cost more than all else that is done to a binary event.
fn opening(body: &[u8]) -> usize {
    let of_chunk = |chunk: &[u8]| -> u8 {
        // Of all bytes only `[` and `{` become `{` with this bit.
        chunk.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum()
    };
    let chunks = body.chunks(usize::from(u8::MAX));
    chunks.map(|chunk| usize::from(of_chunk(chunk))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every bracket counts once, wherever it stands, and no other byte does.
    #[test]
    fn opening_brackets_are_counted() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        assert_eq!(opening(&all), 2);
        assert_eq!(opening(&all.repeat(9)), 18);
        assert_eq!(opening("[".repeat(1_000).as_bytes()), 1_000);
    }

    /// Brackets in strings and side by side are no depth.
    #[test]
    fn only_real_nesting_counts() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(check(nested(DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(check(nested(10_000).as_bytes()).is_err());
        let wide = format!("[{}1]", "{},".repeat(10_000));
        assert!(check(wide.as_bytes()).is_ok());
        let quoted = format!("[\"\\\"{}\"]", "[".repeat(10_000));
        assert!(check(quoted.as_bytes()).is_ok());
        assert!(check("<a>".repeat(200).as_bytes()).is_ok());
    }
}
