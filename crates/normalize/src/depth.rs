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
    if is_deeper(body, DEPTH_MAX) {
        return Err(Error::JsonTooDeep);
    }
    Ok(())
}

/// Whether brackets outside of strings nest deeper than this.
fn is_deeper(body: &[u8], depth_max: usize) -> bool {
    let mut depth = 0_usize;
    let mut rest = body;
    while let Some(at) = rest.iter().position(|byte| is_structure(*byte)) {
        let (byte, after) = (rest.get(at), rest.get(at + 1..).unwrap_or_default());
        rest = match byte {
            Some(b'"') => after_string(after),
            Some(b'[' | b'{') => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
                after
            }
            _ => {
                depth = depth.saturating_sub(1);
                after
            }
        };
    }
    false
}

fn is_structure(byte: u8) -> bool {
    matches!(byte, b'"' | b'[' | b'{' | b']' | b'}')
}

/// What follows a string. Most of a body is strings, and of those only two bytes count.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let is_end = rest.get(at) == Some(&b'"');
        // An escape has one more byte, at least, which ends nothing.
        rest = rest.get(at + 2 - usize::from(is_end)..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
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

    /// What is skipped is what a reader byte by byte would skip.
    #[test]
    fn strings_are_skipped_whole() {
        let slowly = |body: &[u8]| {
            let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
            for byte in body {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_string => escaped = true,
                    b'"' => in_string = !in_string,
                    _ if in_string => {}
                    b'[' | b'{' => depth += 1,
                    b']' | b'}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                deepest = deepest.max(depth);
            }
            deepest
        };
        let mut random = 1_u32;
        for _ in 0..20_000 {
            let mut body = Vec::new();
            while body.len() < 24 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                body.push(b"[{]}\"\"\\a"[(random >> 24) as usize % 8]);
            }
            let deepest = slowly(&body);
            for depth_max in 0..8 {
                let text = String::from_utf8_lossy(&body);
                assert_eq!(is_deeper(&body, depth_max), deepest > depth_max, "{text}");
            }
        }
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
