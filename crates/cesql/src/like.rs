//! Patterns of LIKE (§3.4.3), compiled once, matched in time linear in the value.
//!
//! What stands between two `%` is searched from left to right, and its first place is the right
//! one: nothing is ever tried again. Text is found by the standard library's two-way search, text
//! with `_` in it by shifting a word of bits.

/// Characters of a part with `_` between two `%`: the bits of a word.
const WORD_CHARS: usize = 128;

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pattern {
    /// What a value begins with; the whole value where there is no `%`.
    start: Part,
    /// What follows, somewhere, in this order.
    middle: Vec<Part>,
    /// What a value ends with; `None` where there is no `%`.
    end: Option<Part>,
}

/// What stands between two `%`.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// Just text.
    Text(String),
    /// Characters; `None` is any one.
    Mixed(Vec<Option<char>>),
}

impl Pattern {
    /// Compiles a pattern. `Err` where a part is too long to search for.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut part = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(char) = chars.next() {
            let escaped = match char {
                '\\' => chars.next_if(|next| matches!(next, '%' | '_')),
                _ => None,
            };
            match (escaped, char) {
                (Some(escaped), _) => part.push(Some(escaped)),
                (None, '%') => parts.push(std::mem::take(&mut part)),
                (None, '_') => part.push(None),
                (None, char) => part.push(Some(char)),
            }
        }
        parts.push(part);
        let mut parts = parts.into_iter().map(Part::new);
        let start = parts.next().unwrap_or(Part::Text(String::new()));
        let mut middle: Vec<Part> = parts.collect();
        let end = middle.pop();
        middle.retain(|part| !part.is_empty());
        let too_long = |part: &Part| matches!(part, Part::Mixed(chars) if chars.len() > WORD_CHARS);
        if middle.iter().any(too_long) {
            return Err(format!(
                "a part with _ between two % has more than {WORD_CHARS} characters"
            ));
        }
        Ok(Self { start, middle, end })
    }

    /// The text that every value begins with, and whether that is all of it.
    pub(crate) fn beginning(&self) -> Option<(&str, bool)> {
        match &self.start {
            Part::Text(text) if !text.is_empty() => Some((text, self.end.is_none())),
            Part::Text(_) | Part::Mixed(_) => None,
        }
    }

    /// Whether the whole value is of this form.
    pub(crate) fn matches(&self, value: &str) -> bool {
        let Some(mut rest) = self.start.strip_prefix(value) else {
            return false;
        };
        let Some(end) = &self.end else {
            return rest.is_empty();
        };
        for part in &self.middle {
            let Some(after) = part.strip_through(rest) else {
                return false;
            };
            rest = after;
        }
        end.is_suffix_of(rest)
    }
}

impl Part {
    fn new(chars: Vec<Option<char>>) -> Self {
        match chars.iter().copied().collect() {
            Some(text) => Self::Text(text),
            None => Self::Mixed(chars),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }

    /// What follows it at the beginning of a value.
    fn strip_prefix<'a>(&self, value: &'a str) -> Option<&'a str> {
        match self {
            Self::Text(text) => value.strip_prefix(text.as_str()),
            Self::Mixed(chars) => {
                let mut sent = value.chars();
                let fits = chars
                    .iter()
                    .all(|wanted| sent.next().is_some_and(|char| fits(*wanted, char)));
                fits.then_some(sent.as_str())
            }
        }
    }

    fn is_suffix_of(&self, value: &str) -> bool {
        match self {
            Self::Text(text) => value.ends_with(text.as_str()),
            Self::Mixed(chars) => {
                let mut sent = value.chars().rev();
                let mut chars = chars.iter().rev();
                chars.all(|wanted| sent.next().is_some_and(|char| fits(*wanted, char)))
            }
        }
    }

    /// What follows its first place.
    fn strip_through<'a>(&self, value: &'a str) -> Option<&'a str> {
        match self {
            Self::Text(text) => value.split_once(text.as_str()).map(|(_, after)| after),
            Self::Mixed(chars) => shift_and(chars, value),
        }
    }
}

fn fits(wanted: Option<char>, char: char) -> bool {
    wanted.is_none_or(|wanted| wanted == char)
}

/// Bit `i` of the word says that the last `i + 1` characters are the first of the part.
fn shift_and<'a>(part: &[Option<char>], value: &'a str) -> Option<&'a str> {
    let last = 1_u128 << (part.len() - 1);
    let mut word = 0_u128;
    let mut rest = value.chars();
    while let Some(char) = rest.next() {
        let mut mask = 0;
        for (bit, wanted) in part.iter().enumerate() {
            mask |= u128::from(fits(*wanted, char)) << bit;
        }
        word = (word << 1 | 1) & mask;
        if word & last != 0 {
            return Some(rest.as_str());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, value: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(value)
    }

    /// Parts are taken at their first place, the end at the end.
    #[test]
    fn parts_stand_in_their_order() {
        for (pattern, value, expected) in [
            ("", "", true),
            ("", "a", false),
            ("%", "", true),
            ("%%", "abc", true),
            ("a%", "abc", true),
            ("%c", "abc", true),
            ("a%c", "ac", true),
            ("aa%aa", "aaa", false),
            ("%ab%ab%", "aab ab", true),
            ("%ab%ab%", "abb", false),
            ("%_b_%", "abc", true),
            ("%_b_%", "bc", false),
            ("_%_", "a", false),
            ("_%_", "ab", true),
            ("%a_c%e", "abcabe", true),
            ("%ü_%", "grün", true),
            ("%\\%%", "5 % off", true),
            ("%\\_%", "5 off", false),
            ("a\\b", "a\\b", true),
            ("\\\\%", "\\%", true),
            ("\\\\%", "\\x", false),
        ] {
            assert_eq!(
                matches(pattern, value),
                expected,
                "{value:?} LIKE {pattern:?}"
            );
        }
    }

    /// A part that no word holds is refused rather than searched slowly; text has no such limit.
    #[test]
    fn long_parts_are_refused_only_with_wildcards() {
        let long = "a".repeat(WORD_CHARS);
        assert!(Pattern::new(&format!("%{long}_%")).is_err());
        assert!(matches(&format!("{long}_%"), &format!("{long}bc")));
        assert!(matches(&format!("%{long}a%"), &format!("b{long}ac")));
    }
}
