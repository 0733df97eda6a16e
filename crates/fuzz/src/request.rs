//! A request as one text: a line for each header, an empty line, the body.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Most headers of an input, as at the doors.
const HEADERS_MAX: usize = 100;

/// What an input says.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its headers; what is none was left out.
    pub headers: HeaderMap,
    /// The topic of the path: the line `:topic`.
    pub topic: Option<String>,
    /// All after the empty line.
    pub body: Bytes,
}

impl Request {
    /// Reads a text. Anything is a request.
    pub fn read(input: &[u8]) -> Self {
        let mut request = Self {
            headers: HeaderMap::new(),
            topic: None,
            body: Bytes::new(),
        };
        let mut rest = input;
        for _ in 0..HEADERS_MAX {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let Some((line, after)) =
                end.and_then(|end| Some((rest.get(..end)?, rest.get(end + 1..)?)))
            else {
                return request;
            };
            rest = after;
            if line.is_empty() {
                break;
            }
            request.header(line);
        }
        request.body = Bytes::copy_from_slice(rest);
        request
    }

    fn header(&mut self, line: &[u8]) {
        if let Some(topic) = line.strip_prefix(b":topic: ") {
            self.topic = Some(String::from_utf8_lossy(topic).into_owned());
            return;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            self.headers.append(name, value);
        }
    }
}
