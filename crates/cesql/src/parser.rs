//! Tokens to a tree, by the precedence of the specification's grammar: calls, `NOT` and `-`,
//! `LIKE`, `EXISTS` and `IN`, `*` `/` `%`, `+` `-`, comparisons, and `AND` `OR` `XOR` last, which
//! are of one level and group to the right.

use std::ops::Range;

use crate::{
    ParseError, Value,
    fold::fold,
    function::Function,
    lexer::{Kind as TokenKind, Token, tokens},
    like::Pattern,
    tree::{Arithmetic, Comparison, Kind, Logic, Node},
};

/// Longest text of an expression, in bytes; the longest that people write have some hundreds.
pub(crate) const LENGTH_MAX: usize = 8 * 1024;

/// Expressions inside of each other. Reading and evaluating take a few frames of stack for each,
/// far from what the smallest threads have.
pub(crate) const DEPTH_MAX: usize = 100;

const KEYWORDS: [&str; 9] = [
    "AND", "OR", "XOR", "NOT", "LIKE", "EXISTS", "IN", "TRUE", "FALSE",
];

/// The tree of a text.
pub(crate) fn parse(source: &str) -> Result<Node, ParseError> {
    if source.len() > LENGTH_MAX {
        let reason = format!(
            "the expression has {} bytes, the limit is {LENGTH_MAX}",
            source.len()
        );
        return Err(ParseError::new(source, 0, reason));
    }
    let mut parser = Parser {
        source,
        tokens: tokens(source)?,
        at: 0,
        depth: 0,
    };
    let node = parser.expression()?;
    match parser.tokens.get(parser.at) {
        None => Ok(node),
        Some(_) => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    at: usize,
    /// Brackets and prefixes around the present token.
    depth: usize,
}

type Parsed = Result<Node, ParseError>;

impl Parser<'_> {
    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.too_deep());
        }
        let mut operands = vec![self.comparison()?];
        let mut operators = Vec::new();
        while let Some(operator) = self.logic() {
            operators.push(operator);
            operands.push(self.comparison()?);
        }
        self.depth -= 1;
        self.grouped(operands, &operators)
    }

    /// Groups to the right; neighbours of one operator become one.
    fn grouped(&self, mut operands: Vec<Node>, operators: &[Logic]) -> Parsed {
        let mut last = operands.pop().map(|last| vec![last]).unwrap_or_default();
        let mut of = None;
        for &operator in operators.iter().rev() {
            if of.is_some_and(|of| of != operator) {
                last = vec![self.logical(of, last)?];
            }
            of = Some(operator);
            last.extend(operands.pop());
        }
        self.logical(of, last)
    }

    /// `last` stands in reverse.
    fn logical(&self, operator: Option<Logic>, mut last: Vec<Node>) -> Parsed {
        last.reverse();
        match (operator, last.pop()) {
            (None, Some(only)) => Ok(only),
            (operator, only) => {
                last.extend(only);
                let span = span_of(&last);
                self.node(Kind::Logic(operator.unwrap_or(Logic::And), last), span)
            }
        }
    }

    fn comparison(&mut self) -> Parsed {
        const SYMBOLS: [(&str, Comparison); 7] = [
            ("=", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<>", Comparison::NotEqual),
            ("<", Comparison::Less),
            ("<=", Comparison::LessOrEqual),
            (">", Comparison::Greater),
            (">=", Comparison::GreaterOrEqual),
        ];
        let mut left = self.sum()?;
        while let Some(operator) = self.one_of(&SYMBOLS) {
            let two = Box::new([left, self.sum()?]);
            let span = span_of(&*two);
            left = self.node(Kind::Compare(operator, two), span)?;
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed {
        const SYMBOLS: [(&str, Arithmetic); 2] =
            [("+", Arithmetic::Add), ("-", Arithmetic::Subtract)];
        let mut left = self.product()?;
        while let Some(operator) = self.one_of(&SYMBOLS) {
            let two = Box::new([left, self.product()?]);
            let span = span_of(&*two);
            left = self.node(Kind::Calculate(operator, two), span)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed {
        const SYMBOLS: [(&str, Arithmetic); 3] = [
            ("*", Arithmetic::Multiply),
            ("/", Arithmetic::Divide),
            ("%", Arithmetic::Remainder),
        ];
        let mut left = self.tested()?;
        while let Some(operator) = self.one_of(&SYMBOLS) {
            let two = Box::new([left, self.tested()?]);
            let span = span_of(&*two);
            left = self.node(Kind::Calculate(operator, two), span)?;
        }
        Ok(left)
    }

    /// A value with `LIKE` and `IN` behind it.
    fn tested(&mut self) -> Parsed {
        let mut of = self.prefixed()?;
        loop {
            let negated = self.is_keyword(0, "NOT");
            let ahead = usize::from(negated);
            if self.is_keyword(ahead, "LIKE") {
                self.at += ahead + 1;
                of = self.like(of, negated)?;
            } else if self.is_keyword(ahead, "IN") {
                self.at += ahead + 1;
                let (set, end) = self.list("a value")?;
                if set.is_empty() {
                    return Err(ParseError::new(self.source, end, "the set of IN is empty"));
                }
                let span = of.span.start..end;
                let of_ = Box::new(of);
                of = self.node(
                    Kind::In {
                        negated,
                        of: of_,
                        set,
                    },
                    span,
                )?;
            } else {
                return Ok(of);
            }
        }
    }

    fn like(&mut self, of: Node, negated: bool) -> Parsed {
        let Some(token) = self.tokens.get(self.at) else {
            return Err(self.unexpected("a string as the pattern of LIKE"));
        };
        let TokenKind::Text(text) = &token.kind else {
            return Err(self.unexpected("a string as the pattern of LIKE"));
        };
        let pattern = Pattern::new(text)
            .map_err(|reason| ParseError::new(self.source, token.start, reason))?;
        let span = of.span.start..token.end;
        self.at += 1;
        let of = Box::new(of);
        self.node(
            Kind::Like {
                negated,
                of,
                pattern,
            },
            span,
        )
    }

    fn prefixed(&mut self) -> Parsed {
        let start = self.place();
        let is_not = self.is_keyword(0, "NOT");
        let is_minus = self.is_symbol(0, "-");
        let is_sign = is_minus || self.is_symbol(0, "+");
        if is_sign && let Some(TokenKind::Digits(digits)) = self.kind(1) {
            let sign = if is_minus { "-" } else { "" };
            let text = format!("{sign}{digits}");
            self.at += 2;
            return self.integer(&text, start);
        }
        if !is_not && !is_minus {
            return self.atom();
        }
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.too_deep());
        }
        let of = self.prefixed()?;
        self.depth -= 1;
        let span = start..of.span.end;
        let of = Box::new(of);
        let kind = if is_not {
            Kind::Not(of)
        } else {
            Kind::Minus(of)
        };
        self.node(kind, span)
    }

    fn atom(&mut self) -> Parsed {
        const EXPECTED: &str = "a value";
        let Some(token) = self.tokens.get(self.at).cloned() else {
            return Err(self.unexpected(EXPECTED));
        };
        let span = token.start..token.end;
        match token.kind {
            TokenKind::Text(text) => {
                self.at += 1;
                self.node(Kind::Literal(text.into()), span)
            }
            TokenKind::Digits(digits) => {
                self.at += 1;
                self.integer(&digits, token.start)
            }
            TokenKind::Symbol("(") => {
                self.at += 1;
                let mut inner = self.expression()?;
                let end = self.close("an operator or )")?;
                inner.span = token.start..end;
                Ok(inner)
            }
            TokenKind::Symbol(_) => Err(self.unexpected(EXPECTED)),
            TokenKind::Word(word) => self.word(&word, span),
        }
    }

    fn word(&mut self, word: &str, span: Range<usize>) -> Parsed {
        let upper = word.to_ascii_uppercase();
        if let Some(literal) = match upper.as_str() {
            "TRUE" => Some(true),
            "FALSE" => Some(false),
            _ => None,
        } {
            self.at += 1;
            return self.node(Kind::Literal(literal.into()), span);
        }
        if upper == "EXISTS" {
            self.at += 1;
            let Some(TokenKind::Word(name)) = self.kind(0).cloned() else {
                return Err(self.unexpected("the name of an attribute"));
            };
            let end = self.tokens.get(self.at).map_or(span.end, |token| token.end);
            let name = self.attribute_name(&name)?;
            self.at += 1;
            return self.node(Kind::Exists(name), span.start..end);
        }
        if KEYWORDS.contains(&upper.as_str()) {
            return Err(self.unexpected("a value"));
        }
        if self.is_symbol(1, "(") {
            let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
            if has_digit || word.starts_with('_') {
                let reason = format!("{word} is no name of a function: it has letters and _ only");
                return Err(ParseError::new(self.source, span.start, reason));
            }
            self.at += 1;
            let (arguments, end) = self.list("an argument")?;
            let span = span.start..end;
            return match Function::find(&upper, arguments.len()) {
                Some(function) => self.node(Kind::Call(function, arguments), span),
                None => self.node(Kind::Unknown(upper.into(), arguments), span),
            };
        }
        let name = self.attribute_name(word)?;
        self.at += 1;
        self.node(Kind::Attribute(name), span)
    }

    /// Names are lower case in events, and in any case here.
    fn attribute_name(&self, word: &str) -> Result<Box<str>, ParseError> {
        let keyword = KEYWORDS.contains(&word.to_ascii_uppercase().as_str());
        if keyword || word.contains('_') {
            let reason =
                format!("{word} is no name of an attribute: it has letters and digits only");
            return Err(ParseError::new(self.source, self.place(), reason));
        }
        Ok(word.to_ascii_lowercase().into())
    }

    /// What stands in brackets, and where they end.
    fn list(&mut self, expected: &'static str) -> Result<(Vec<Node>, usize), ParseError> {
        if !self.is_symbol(0, "(") {
            return Err(self.unexpected("("));
        }
        self.at += 1;
        let mut list = Vec::new();
        if self.is_symbol(0, ")") {
            return Ok((list, self.close(expected)?));
        }
        loop {
            list.push(self.expression()?);
            if !self.is_symbol(0, ",") {
                return Ok((list, self.close(", or )")?));
            }
            self.at += 1;
        }
    }

    /// The end of a closing bracket.
    fn close(&mut self, expected: &'static str) -> Result<usize, ParseError> {
        if !self.is_symbol(0, ")") {
            return Err(self.unexpected(expected));
        }
        let end = self.tokens.get(self.at).map_or(0, |token| token.end);
        self.at += 1;
        Ok(end)
    }

    fn integer(&mut self, text: &str, start: usize) -> Parsed {
        let value: i32 = text.parse().map_err(|_| {
            let reason = format!("{text} is no 32-bit integer");
            ParseError::new(self.source, start, reason)
        })?;
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let end = before.map_or(start, |token| token.end);
        self.node(Kind::Literal(Value::Integer(value)), start..end)
    }

    fn node(&self, kind: Kind, span: Range<usize>) -> Parsed {
        let node = fold(Node::new(kind, span));
        if node.depth > DEPTH_MAX {
            return Err(self.too_deep());
        }
        Ok(node)
    }

    fn logic(&mut self) -> Option<Logic> {
        let operators = [("AND", Logic::And), ("OR", Logic::Or), ("XOR", Logic::Xor)];
        let (_, found) = operators
            .into_iter()
            .find(|(keyword, _)| self.is_keyword(0, keyword))?;
        self.at += 1;
        Some(found)
    }

    fn one_of<T: Copy>(&mut self, symbols: &[(&str, T)]) -> Option<T> {
        let (_, found) = symbols
            .iter()
            .find(|(symbol, _)| self.is_symbol(0, symbol))?;
        self.at += 1;
        Some(*found)
    }

    fn kind(&self, ahead: usize) -> Option<&TokenKind> {
        self.tokens.get(self.at + ahead).map(|token| &token.kind)
    }

    fn is_keyword(&self, ahead: usize, keyword: &str) -> bool {
        matches!(self.kind(ahead), Some(TokenKind::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    fn is_symbol(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.kind(ahead), Some(TokenKind::Symbol(have)) if *have == symbol)
    }

    /// Where the present token begins.
    fn place(&self) -> usize {
        let token = self.tokens.get(self.at);
        token.map_or(self.source.len(), |token| token.start)
    }

    fn unexpected(&self, expected: &str) -> ParseError {
        let found = self.tokens.get(self.at);
        let found = found.and_then(|token| self.source.get(token.start..token.end));
        let found: String = found.unwrap_or("the end").chars().take(40).collect();
        let reason = format!("expected {expected}, found {found}");
        ParseError::new(self.source, self.place(), reason)
    }

    fn too_deep(&self) -> ParseError {
        let reason = format!("more than {DEPTH_MAX} expressions inside of each other");
        ParseError::new(self.source, self.place(), reason)
    }
}

/// From the first to the last.
fn span_of(nodes: &[Node]) -> Range<usize> {
    let start = nodes.first().map_or(0, |node| node.span.start);
    let end = nodes.last().map_or(0, |node| node.span.end);
    start..end
}
