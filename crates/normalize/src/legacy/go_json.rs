//! Where a JSON value ends, or what Go's scanner says of it. Iterative: depth costs no stack.

/// Go's limit.
const DEPTH_MAX: usize = 10_000;

/// The end of the first JSON value of `text`, or Go's message.
pub(super) fn value_end(text: &[u8]) -> Result<usize, String> {
    let mut scanner = Scanner {
        text,
        at: 0,
        open: Vec::new(),
    };
    scanner.value()?;
    Ok(scanner.at)
}

/// What Go calls a JSON value of this text.
pub(super) fn kind(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        _ => "number",
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// The brackets that are open.
    open: Vec<u8>,
}

impl Scanner<'_> {
    /// One value with all that it holds.
    fn value(&mut self) -> Result<(), String> {
        loop {
            // A value begins here.
            let byte = self.next_solid()?;
            match byte {
                b'{' | b'[' => {
                    self.open.push(byte);
                    if self.open.len() > DEPTH_MAX {
                        return Err("exceeded max depth".to_owned());
                    }
                    if self.is_empty_container(byte)? {
                        self.open.pop();
                    } else if byte == b'{' {
                        self.name()?;
                        continue;
                    } else {
                        continue;
                    }
                }
                b'"' => self.string()?,
                b't' => self.literal(b"rue", "true")?,
                b'f' => self.literal(b"alse", "false")?,
                b'n' => self.literal(b"ull", "null")?,
                b'-' | b'0'..=b'9' => self.number(byte)?,
                other => return Err(self.unexpected(other, "looking for beginning of value")),
            }
            // A value has ended here; so may those around it.
            if self.after_value()? {
                return Ok(());
            }
        }
    }

    /// After a value: `true` when it was the outermost one; otherwise another begins.
    fn after_value(&mut self) -> Result<bool, String> {
        loop {
            let Some(open) = self.open.last().copied() else {
                return Ok(true);
            };
            let byte = self.next_solid()?;
            match (open, byte) {
                (b'{', b'}') | (b'[', b']') => {
                    self.open.pop();
                }
                (b'{', b',') => {
                    let quote = self.next_solid()?;
                    if quote != b'"' {
                        return Err(
                            self.unexpected(quote, "looking for beginning of object key string")
                        );
                    }
                    self.rest_of_name()?;
                    return Ok(false);
                }
                (_, b',') => return Ok(false),
                (b'{', other) => return Err(self.unexpected(other, "after object key:value pair")),
                (_, other) => return Err(self.unexpected(other, "after array element")),
            }
        }
    }

    fn is_empty_container(&mut self, open: u8) -> Result<bool, String> {
        let close = if open == b'{' { b'}' } else { b']' };
        let byte = self.next_solid()?;
        if byte == close {
            return Ok(true);
        }
        self.at -= 1;
        Ok(false)
    }

    fn name(&mut self) -> Result<(), String> {
        match self.next_solid()? {
            b'"' => self.rest_of_name(),
            other => Err(self.unexpected(other, "looking for beginning of object key string")),
        }
    }

    fn rest_of_name(&mut self) -> Result<(), String> {
        self.string()?;
        match self.next_solid()? {
            b':' => Ok(()),
            other => Err(self.unexpected(other, "after object key")),
        }
    }

    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                control @ 0..=0x1f => return Err(self.unexpected(control, "in string literal")),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.next()? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    let byte = self.next()?;
                    if !byte.is_ascii_hexdigit() {
                        return Err(self.unexpected(byte, "in \\u hexadecimal character escape"));
                    }
                }
                Ok(())
            }
            other => Err(self.unexpected(other, "in string escape code")),
        }
    }

    fn literal(&mut self, rest: &[u8], name: &str) -> Result<(), String> {
        for wanted in rest {
            let byte = self.next()?;
            if byte != *wanted {
                let wanted = char::from(*wanted);
                return Err(
                    self.unexpected(byte, &format!("in literal {name} (expecting '{wanted}')"))
                );
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), String> {
        let first = if first == b'-' {
            let byte = self.next()?;
            if !byte.is_ascii_digit() {
                return Err(self.unexpected(byte, "in numeric literal"));
            }
            byte
        } else {
            first
        };
        if first != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.at_least_one_digit("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.at_least_one_digit("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn at_least_one_digit(&mut self, place: &str) -> Result<(), String> {
        let byte = self.next()?;
        if !byte.is_ascii_digit() {
            return Err(self.unexpected(byte, place));
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = self.peek().ok_or("unexpected EOF")?;
        self.at += 1;
        Ok(byte)
    }

    fn next_solid(&mut self) -> Result<u8, String> {
        loop {
            match self.next() {
                Ok(b' ' | b'\t' | b'\r' | b'\n') => {}
                // Go tells a text of white space from one that is cut short.
                Err(_) if self.open.is_empty() => return Err("EOF".to_owned()),
                other => return other,
            }
        }
    }

    fn unexpected(&self, byte: u8, place: &str) -> String {
        // Go shows the byte as a character of its own, quoted.
        let shown = match byte {
            b'\'' => "'\\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            b'\\' => "'\\\\'".to_owned(),
            0x07 => "'\\a'".to_owned(),
            0x08 => "'\\b'".to_owned(),
            0x0c => "'\\f'".to_owned(),
            b'\n' => "'\\n'".to_owned(),
            b'\r' => "'\\r'".to_owned(),
            b'\t' => "'\\t'".to_owned(),
            0x0b => "'\\v'".to_owned(),
            0..=0x1f | 0x7f => format!("'\\x{byte:02x}'"),
            0x80..=0xa0 | 0xad => format!("'\\u{:04x}'", byte),
            _ => format!("'{}'", char::from(byte)),
        };
        format!("invalid character {shown} {place}")
    }
}
