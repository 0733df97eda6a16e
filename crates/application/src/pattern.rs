//! Patterns of sources and types.

use std::fmt;

/// A pattern: `*` stands for any characters but `/`, `**` for any at all. `*` alone matches
/// everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// Longest pattern; every source that fits a subject is shorter.
pub(crate) const BYTES_MAX: usize = 256;

impl Pattern {
    /// The pattern, unless it is empty or too long.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= BYTES_MAX).then(|| Self(text.to_owned()))
    }

    /// Whether it lets everything through.
    pub fn matches_all(&self) -> bool {
        self.0.bytes().all(|byte| byte == b'*')
    }

    /// Whether it matches. Linear in the text for each star: it only ever goes back to the last.
    pub fn matches(&self, text: &str) -> bool {
        if self.matches_all() {
            return true;
        }
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut at, mut from) = (0, 0);
        // Where to go on when what follows the last `*`, and the last `**`, does not match.
        let mut one: Option<(usize, usize)> = None;
        let mut any: Option<(usize, usize)> = None;
        while from < text.len() {
            if pattern.get(at) == Some(&b'*') {
                if pattern.get(at + 1) == Some(&b'*') {
                    at += 2;
                    any = Some((at, from));
                    one = None;
                } else {
                    at += 1;
                    one = Some((at, from));
                }
            } else if pattern.get(at) == text.get(from) {
                at += 1;
                from += 1;
            } else if let Some((after, begun)) =
                one.filter(|(_, begun)| text.get(*begun) != Some(&b'/'))
            {
                one = Some((after, begun + 1));
                (at, from) = (after, begun + 1);
            } else if let Some((after, begun)) = any {
                any = Some((after, begun + 1));
                one = None;
                (at, from) = (after, begun + 1);
            } else {
                return false;
            }
        }
        pattern
            .get(at..)
            .unwrap_or_default()
            .iter()
            .all(|byte| *byte == b'*')
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is granted is granted exactly: a pattern that is too wide lets a system speak for
    /// another one.
    #[test]
    fn patterns_match_what_they_say() {
        let cases = [
            ("commerce", "commerce", true),
            ("commerce", "commerce2", false),
            ("/*/sap.s4/*", "/default/sap.s4/ER9", true),
            ("/*/sap.s4/*", "/default/other/sap.s4/ER9", false),
            ("/*/sap.s4/*", "/default/sap.s4/a/b", false),
            ("/**/x", "/a/b/x", true),
            ("/**/x", "/a/b/y", false),
            ("/**b/*c", "/ab/xb/yc", true),
            ("*", "/anything/at all", true),
            ("**", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "a/b/c", false),
            ("/a/*", "/a/", true),
            ("sap.s4.*", "sap.s4.beh.x.v1", true),
            ("sap.s4.*", "sap.s5.x", false),
        ];
        for (pattern, text, expected) in cases {
            let matches = Pattern::new(pattern).unwrap().matches(text);
            assert_eq!(matches, expected, "{pattern} on {text}");
        }
    }

    /// A hostile source costs no more than its length.
    #[test]
    fn many_stars_stay_cheap() {
        let pattern = Pattern::new(&"*a**".repeat(60)).unwrap();
        assert!(!pattern.matches(&format!("{}b", "/c".repeat(30_000))));
    }
}
