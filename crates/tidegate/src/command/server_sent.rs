//! Server-sent events, as this program's own door sends them: one line for a field.

use anyhow::{Context, bail};

/// The longest line: an event without its data, whose attributes came in headers.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Takes an answer apart as its bytes come.
#[derive(Debug, Default)]
pub(super) struct Parser {
    rest: Vec<u8>,
    event: String,
    data: String,
}

impl Parser {
    /// The events, `name` and `data`, that are whole by these bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<(String, String)>> {
        let mut whole = Vec::new();
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8(line).context("an event that is no text")?;
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                let data = std::mem::take(&mut self.data);
                if !data.is_empty() {
                    whole.push((event, data));
                }
                continue;
            }
            // A line without a name keeps the connection alive.
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "event" => value.clone_into(&mut self.event),
                "data" => self.data.push_str(value),
                _ => {}
            }
        }
        if self.rest.len() > LINE_BYTES_MAX {
            bail!("a line of more than {LINE_BYTES_MAX} bytes");
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the bytes are cut, the same events come out, and what only keeps the connection
    /// alive is none.
    #[test]
    fn bytes_may_be_cut_anywhere() {
        let text =
            b":\n\nid: 1\nevent: stored\ndata: {\"a\":1}\n\nevent: end\r\ndata:x\r\n\r\ndata: half";
        let expected = [("stored", "{\"a\":1}"), ("end", "x")];
        let expected = expected.map(|(event, data)| (event.to_owned(), data.to_owned()));
        for cut in 0..text.len() {
            let mut parser = Parser::default();
            let mut events = parser.push(&text[..cut]).unwrap();
            events.extend(parser.push(&text[cut..]).unwrap());
            assert_eq!(events, expected, "{cut}");
        }
        let endless = vec![b'x'; LINE_BYTES_MAX + 1];
        assert!(Parser::default().push(&endless).is_err());
    }
}
