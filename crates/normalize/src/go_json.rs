//! JSON as Go's `encoding/json` reads it, where Kyma's contract shows it through.
//!
//! Finds the first value of a text and the members of its top-level object, without a tree and
//! without recursion, and words a syntax error as Go does. Does not decode numbers, and does not
//! ask for UTF-8: Go doesn't either.

mod text;

use std::fmt;

pub(crate) use text::{eq_fold, quoted, unquote};

/// Arrays and objects within each other, at most: Go's own limit, part of what its clients see.
const DEPTH_MAX: usize = 10_000;

/// How many bytes of a string are looked at in one step. 32 is a vector register's worth.
const STEP_BYTES: usize = 32;

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// The kind of a well-formed value, by its first byte.
    pub(crate) fn of(value: &[u8]) -> Self {
        match value.first() {
            None | Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'"') => Self::String,
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object,
            Some(_) => Self::Number,
        }
    }

    /// What Go calls it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "bool",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

/// Why a text has no JSON value at its beginning, in Go's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    /// White space only.
    Nothing,
    /// The text ends within the value.
    UnexpectedEnd,
    /// A byte that cannot stand there.
    InvalidCharacter { byte: u8, place: &'static str },
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("EOF"),
            Self::UnexpectedEnd => f.write_str("unexpected EOF"),
            Self::InvalidCharacter { byte, place } => {
                write!(f, "invalid character {} {place}", quoted(*byte))
            }
        }
    }
}

/// The first value of a text. `member` is called with each key (quoted, as written) and value of
/// a top-level object, in order; what it saw counts only when the scan succeeds.
pub(crate) fn scan<'a>(
    text: &'a [u8],
    member: impl FnMut(&'a [u8], &'a [u8]),
) -> Result<&'a [u8], SyntaxError> {
    let mut scanner = Scanner::new(text, member);
    scanner.skip_space();
    if scanner.peek().is_none() {
        return Err(SyntaxError::Nothing);
    }
    let from = scanner.at;
    while !(scanner.begin()? && scanner.finish()?) {}
    Ok(scanner.since(from))
}

/// Whether a text is one JSON value with nothing but white space around it.
pub(crate) fn is_value(text: &[u8]) -> bool {
    let mut scanner = Scanner::new(text, |_, _| {});
    loop {
        match scanner.begin() {
            Ok(false) => {}
            Ok(true) => match scanner.finish() {
                Ok(false) => {}
                Ok(true) => break,
                Err(_) => return false,
            },
            Err(_) => return false,
        }
    }
    scanner.skip_space();
    scanner.peek().is_none()
}

/// What the scanner stands in.
#[derive(Clone, Copy)]
enum Container {
    Array,
    Object,
}

struct Scanner<'a, F> {
    text: &'a [u8],
    at: usize,
    open: Vec<Container>,
    /// The key of the top-level object's member that is being read, and where its value begins.
    key: &'a [u8],
    value_from: usize,
    member: F,
}

impl<'a, F: FnMut(&'a [u8], &'a [u8])> Scanner<'a, F> {
    fn new(text: &'a [u8], member: F) -> Self {
        Self {
            text,
            at: 0,
            open: Vec::new(),
            key: &[],
            value_from: 0,
            member,
        }
    }

    /// Reads a value up to its end (true), or up to where the first value within it begins.
    fn begin(&mut self) -> Result<bool, SyntaxError> {
        self.skip_space();
        if self.open.len() == 1 {
            self.value_from = self.at;
        }
        match self.next()? {
            b'{' => {
                self.enter(b'{', Container::Object)?;
                if self.closes(b'}') {
                    return Ok(true);
                }
                self.key()?;
                Ok(false)
            }
            b'[' => {
                self.enter(b'[', Container::Array)?;
                Ok(self.closes(b']'))
            }
            b'"' => self.string(),
            b't' => self.literal("true", b"rue"),
            b'f' => self.literal("false", b"alse"),
            b'n' => self.literal("null", b"ull"),
            b'-' => match self.next()? {
                b'0' => self.fraction(),
                b'1'..=b'9' => self.integer(),
                byte => invalid(byte, "in numeric literal"),
            },
            b'0' => self.fraction(),
            b'1'..=b'9' => self.integer(),
            byte => invalid(byte, "looking for beginning of value"),
        }
    }

    /// After a value: closes what ends here. True when nothing is open any more, false when
    /// another value begins.
    fn finish(&mut self) -> Result<bool, SyntaxError> {
        while let Some(container) = self.open.last().copied() {
            if let (Container::Object, 1) = (container, self.open.len()) {
                let value = self.since(self.value_from);
                (self.member)(self.key, value);
            }
            self.skip_space();
            match (container, self.next()?) {
                (Container::Object, b',') => {
                    self.key()?;
                    return Ok(false);
                }
                (Container::Array, b',') => return Ok(false),
                (Container::Object, b'}') | (Container::Array, b']') => {
                    self.open.pop();
                }
                (Container::Object, byte) => return invalid(byte, "after object key:value pair"),
                (Container::Array, byte) => return invalid(byte, "after array element"),
            }
        }
        Ok(true)
    }

    fn enter(&mut self, byte: u8, container: Container) -> Result<(), SyntaxError> {
        if self.open.len() == DEPTH_MAX {
            invalid(byte, "exceeded max depth")?;
        }
        self.open.push(container);
        self.skip_space();
        Ok(())
    }

    /// Whether what was just entered is empty; then it is left.
    fn closes(&mut self, end: u8) -> bool {
        let empty = self.peek() == Some(end);
        if empty {
            self.at += 1;
            self.open.pop();
        }
        empty
    }

    fn key(&mut self) -> Result<(), SyntaxError> {
        self.skip_space();
        let from = self.at;
        match self.next()? {
            b'"' => self.string()?,
            byte => invalid(byte, "looking for beginning of object key string")?,
        };
        if self.open.len() == 1 {
            self.key = self.since(from);
        }
        self.skip_space();
        match self.next()? {
            b':' => Ok(()),
            byte => invalid(byte, "after object key").map(drop),
        }
    }

    fn string(&mut self) -> Result<bool, SyntaxError> {
        loop {
            self.at += self.text.get(self.at..).map_or(0, plain_len);
            match self.next()? {
                b'"' => return Ok(true),
                b'\\' => self.escape()?,
                byte => invalid(byte, "in string literal")?,
            };
        }
    }

    fn escape(&mut self) -> Result<bool, SyntaxError> {
        match self.next()? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(true),
            b'u' => {
                for _ in 0..4 {
                    let byte = self.next()?;
                    if !byte.is_ascii_hexdigit() {
                        return invalid(byte, "in \\u hexadecimal character escape");
                    }
                }
                Ok(true)
            }
            byte => invalid(byte, "in string escape code"),
        }
    }

    fn literal(&mut self, name: &'static str, rest: &[u8]) -> Result<bool, SyntaxError> {
        for expected in rest {
            let byte = self.next()?;
            if byte != *expected {
                return invalid(byte, expecting(name, *expected));
            }
        }
        Ok(true)
    }

    fn integer(&mut self) -> Result<bool, SyntaxError> {
        self.skip_digits();
        self.fraction()
    }

    fn fraction(&mut self) -> Result<bool, SyntaxError> {
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(true)
    }

    fn digits(&mut self, place: &'static str) -> Result<bool, SyntaxError> {
        let byte = self.next()?;
        if !byte.is_ascii_digit() {
            return invalid(byte, place);
        }
        self.skip_digits();
        Ok(true)
    }

    fn skip_digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, SyntaxError> {
        let byte = self.peek().ok_or(SyntaxError::UnexpectedEnd)?;
        self.at += 1;
        Ok(byte)
    }

    fn since(&self, from: usize) -> &'a [u8] {
        self.text.get(from..self.at).unwrap_or_default()
    }
}

fn invalid(byte: u8, place: &'static str) -> Result<bool, SyntaxError> {
    Err(SyntaxError::InvalidCharacter { byte, place })
}

fn expecting(name: &str, byte: u8) -> &'static str {
    match (name, byte) {
        ("true", b'r') => "in literal true (expecting 'r')",
        ("true", b'u') => "in literal true (expecting 'u')",
        ("true", _) => "in literal true (expecting 'e')",
        ("false", b'a') => "in literal false (expecting 'a')",
        ("false", b'l') => "in literal false (expecting 'l')",
        ("false", b's') => "in literal false (expecting 's')",
        ("false", _) => "in literal false (expecting 'e')",
        (_, b'u') => "in literal null (expecting 'u')",
        (_, _) => "in literal null (expecting 'l')",
    }
}

/// How many bytes at the beginning are a string's own: no quote, backslash or control character.
fn plain_len(text: &[u8]) -> usize {
    // Most strings end within the first step; only long ones are worth the vector code.
    let (first, rest) = text.split_at_checked(STEP_BYTES).unwrap_or((text, &[]));
    if let Some(at) = first.iter().position(|byte| is_special(*byte)) {
        return at;
    }
    let steps = rest
        .chunks_exact(STEP_BYTES)
        // No early exit within a step: this is what the compiler makes vector code of.
        .take_while(|step| !step.iter().fold(false, |any, byte| any | is_special(*byte)))
        .count();
    let plain = first.len() + steps * STEP_BYTES;
    let rest = text.get(plain..).unwrap_or_default();
    plain + rest.iter().take_while(|byte| !is_special(**byte)).count()
}

fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < b' '
}

#[cfg(test)]
mod tests;
