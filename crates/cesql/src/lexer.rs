//! Text to tokens.

use crate::ParseError;

/// A token, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name of letters, digits and underscores, as it was written; keywords too.
    Word(String),
    /// Digits; the sign is an operator of its own.
    Digits(String),
    /// The text of a literal.
    Text(String),
    /// An operator, a bracket or a comma.
    Symbol(&'static str),
}

/// Longest first, since one begins with another.
const SYMBOLS: [&str; 16] = [
    "!=", "<>", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", ",", "!",
];

/// All tokens of a text.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>, ParseError> {
    let mut tokens = Vec::new();
    let mut rest = source;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let start = source.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            return Ok(tokens);
        };
        let (kind, length) = match first {
            '\'' | '"' => text(source, start, rest, first)?,
            'a'..='z' | 'A'..='Z' | '0'..='9' => word(rest),
            _ => symbol(source, start, rest, first)?,
        };
        rest = rest.get(length..).unwrap_or_default();
        tokens.push(Token {
            kind,
            start,
            end: start + length,
        });
    }
}

fn word(rest: &str) -> (Kind, usize) {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let end = rest.find(|char| !is_part(char)).unwrap_or(rest.len());
    let word = rest.get(..end).unwrap_or_default();
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return (Kind::Digits(word.to_owned()), end);
    }
    (Kind::Word(word.to_owned()), end)
}

/// A quoted literal. The quote itself is escaped by a backslash or doubled; every other backslash
/// is text, since a pattern has escapes of its own.
fn text(source: &str, start: usize, rest: &str, quote: char) -> Result<(Kind, usize), ParseError> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        if char == '\\' {
            let escaped = chars.next().map(|(_, char)| char);
            if escaped != Some(quote) {
                text.push('\\');
            }
            text.extend(escaped);
        } else if char == quote {
            if chars.next_if(|(_, next)| *next == quote).is_none() {
                return Ok((Kind::Text(text), at + 1));
            }
            text.push(quote);
        } else {
            text.push(char);
        }
    }
    let reason = format!("the string has no closing {quote}");
    Err(ParseError::new(source, start, reason))
}

fn symbol(
    source: &str,
    start: usize,
    rest: &str,
    first: char,
) -> Result<(Kind, usize), ParseError> {
    let found = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
    match found {
        Some(&symbol) if symbol != "!" => Ok((Kind::Symbol(symbol), symbol.len())),
        Some(_) => Err(ParseError::new(source, start, "! is no operator, NOT is")),
        None => {
            let reason = format!("unexpected character {first:?}");
            Err(ParseError::new(source, start, reason))
        }
    }
}
