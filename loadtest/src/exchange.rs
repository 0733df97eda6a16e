//! HTTP/1.1 by hand: a request that is bytes already, and as much of the answer as has to be known.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// How much of a bad one is repeated.
const SHOWN_BYTES: usize = 600;

/// One connection, with one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            answer: Vec::with_capacity(4 << 10),
        })
    }

    /// Sends it and reads the answer, which has to be a 2xx. Its body.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        let answer = self.ask(request).await?;
        if !(200..300).contains(&answer.status) {
            let shown = self.answer.get(..self.answer.len().min(SHOWN_BYTES));
            let text = String::from_utf8_lossy(shown.unwrap_or_default());
            bail!("the run is void, an answer was not 2xx: {text}");
        }
        Ok(self.answer.get(answer.head..).unwrap_or_default())
    }

    /// The same where any answer will do: its status, and its body.
    pub(crate) async fn asked(&mut self, request: &[u8]) -> anyhow::Result<(u64, &[u8])> {
        let Answer { status, head } = self.ask(request).await?;
        Ok((status, self.answer.get(head..).unwrap_or_default()))
    }

    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the connection was closed");
            }
            if let Some(answer) = read(&self.answer)? {
                return Ok(answer);
            }
            if self.answer.len() > ANSWER_BYTES_MAX {
                bail!("an answer of more than {ANSWER_BYTES_MAX} bytes");
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    status: u64,
    /// Bytes of status line and headers.
    head: usize,
}

/// The answer, once it is there as a whole.
fn read(bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
    let Some(head) = end_of_head(bytes) else {
        return Ok(None);
    };
    let text = bytes.get(..head).unwrap_or_default();
    let status = text
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5));
    let status = status.and_then(crate::wire::frame::number);
    let status = status.context("this is no HTTP/1.1")?;
    let body = bytes.get(head..).unwrap_or_default();
    let is_whole = match field(text, "content-length") {
        _ if status == 204 || status == 304 => true,
        Some(length) => {
            let length = crate::wire::frame::number(length).context("a content-length")?;
            body.len() as u64 >= length
        }
        None if field(text, "transfer-encoding").is_some() => body.ends_with(b"0\r\n\r\n"),
        None => bail!("an answer without a length"),
    };
    Ok(is_whole.then_some(Answer { status, head }))
}

/// Where the body begins, once the head is there.
pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut windows = bytes.windows(4);
    windows
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// The value of a header.
pub(crate) fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (key, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        key.eq_ignore_ascii_case(name.as_bytes())
            .then(|| value.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Option<u64> {
        read(text.as_bytes()).unwrap().map(|answer| answer.status)
    }

    /// An answer counts when its body is there: what is left over would be the next one's.
    #[test]
    fn an_answer_is_whole_with_its_body() {
        assert_eq!(
            whole("HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n"),
            Some(204)
        );
        assert_eq!(whole("HTTP/1.1 204 No Content\r\ndate: x\r\n"), None);
        assert_eq!(whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"), None);
        assert_eq!(
            whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
            Some(200)
        );
        assert_eq!(
            whole("HTTP/1.1 503 S\r\ncontent-length:0\r\n\r\n"),
            Some(503)
        );
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n";
        assert_eq!(whole(chunked), None);
        assert_eq!(whole(&format!("{chunked}0\r\n\r\n")), Some(200));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        assert!(read(b"+OK hello\r\n\r\n").is_err());
        assert!(read(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    /// Names are told apart from others that begin so.
    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let head = b"POST / HTTP/1.1\r\nce-idx: 1\r\nCE-ID: 17 \r\n\r\n";
        assert_eq!(field(head, "ce-id"), Some(&b"17"[..]));
        assert_eq!(field(head, "ce"), None);
    }
}
