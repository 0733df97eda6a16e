//! A Kafka record as one text: a line for each header, an empty line, the value.

use bytes::Bytes;

/// Most headers of an input, as at the doors.
const HEADERS_MAX: usize = 100;

/// What an input says.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    headers: Vec<(&'a str, Option<&'a [u8]>)>,
    /// All after the empty line; without one there is none.
    pub value: Option<Bytes>,
}

impl<'a> Record<'a> {
    /// Reads a text. Anything is a record: what is no name is left out, and a line without a colon
    /// is a header without a value.
    pub fn read(input: &'a [u8]) -> Self {
        let mut headers = Vec::new();
        let mut rest = input;
        while headers.len() < HEADERS_MAX {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let after = end.and_then(|end| rest.get(end + 1..));
            if line.is_empty() {
                let value = after.map(Bytes::copy_from_slice);
                return Self { headers, value };
            }
            let mut parts = line.splitn(2, |byte| *byte == b':');
            let name = std::str::from_utf8(parts.next().unwrap_or_default());
            let value = parts.next();
            if let Ok(name) = name {
                // A space belongs to the line, so that samples read well; the others to the value.
                let value = value.map(|value| value.strip_prefix(b" ").unwrap_or(value));
                headers.push((name, value));
            }
            rest = after.unwrap_or_default();
        }
        let value = Some(Bytes::copy_from_slice(rest));
        Self { headers, value }
    }

    /// Its headers.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + Clone {
        self.headers.iter().copied()
    }
}
