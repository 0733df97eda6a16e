//! The words of NATS that appends need: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.

use std::io::{self, Write as _};

use super::super::message::Outgoing;

pub(super) const PING: &[u8] = b"PING\r\n";
pub(super) const PONG: &[u8] = b"PONG\r\n";

/// The longest line: a server's INFO lists every server of its cluster.
const LINE_BYTES_MAX: usize = 64 << 10;

/// The largest message. An acknowledgement has about a hundred bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Op<'a> {
    Message {
        subject: &'a str,
        /// Of its headers, where they have one.
        status: Option<u16>,
        payload: &'a [u8],
    },
    Ping,
    Error(&'a str),
    /// What asks for nothing.
    Other,
}

/// Writes a message with headers.
pub(super) fn publish(subject: &str, reply: &str, message: &Outgoing, frames: &mut Vec<u8>) {
    let (headers, bytes) = (message.header_bytes(), message.bytes());
    frames.reserve(bytes + subject.len() + reply.len() + 32);
    writeln!(frames, "HPUB {subject} {reply} {headers} {bytes}\r")
        .expect("a Vec takes all that is written");
    message.write_headers(frames);
    frames.extend_from_slice(&message.payload);
    frames.extend_from_slice(b"\r\n");
}

/// The first word of `buffer` and its length; `None` until it is whole.
pub(super) fn parse(buffer: &[u8]) -> io::Result<Option<(Op<'_>, usize)>> {
    let Some((line, after)) = line(buffer)? else {
        return Ok(None);
    };
    let (word, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let headed = match word {
        "MSG" => false,
        "HMSG" => true,
        "PING" => return Ok(Some((Op::Ping, after))),
        "-ERR" => return Ok(Some((Op::Error(arguments), after))),
        "PONG" | "+OK" | "INFO" => return Ok(Some((Op::Other, after))),
        _ => return Err(strange(line)),
    };
    let mut fields = arguments.split_ascii_whitespace();
    let subject = fields.next().ok_or_else(|| strange(line))?;
    let bytes: usize = number(fields.next_back()).ok_or_else(|| strange(line))?;
    let header_bytes = match headed {
        true => number(fields.next_back()).ok_or_else(|| strange(line))?,
        false => 0,
    };
    if bytes > MESSAGE_BYTES_MAX || header_bytes > bytes {
        return Err(strange(line));
    }
    let end = after + bytes;
    let (Some(message), Some(newline)) = (buffer.get(after..end), buffer.get(end..end + 2)) else {
        return Ok(None);
    };
    if newline != b"\r\n" {
        return Err(strange(line));
    }
    let (headers, payload) = message.split_at(header_bytes);
    let status = status(headers);
    let op = Op::Message {
        subject,
        status,
        payload,
    };
    Ok(Some((op, end + 2)))
}

/// The first line without its end, and where the next one begins.
pub(super) fn line(buffer: &[u8]) -> io::Result<Option<(&str, usize)>> {
    let Some(end) = buffer.iter().position(|byte| *byte == b'\n') else {
        if buffer.len() > LINE_BYTES_MAX {
            return Err(io::Error::other("a line without an end"));
        }
        return Ok(None);
    };
    let line = buffer.get(..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = str::from_utf8(line).map_err(io::Error::other)?;
    Ok(Some((line, end + 1)))
}

fn number(text: Option<&str>) -> Option<usize> {
    text?.parse().ok()
}

/// `NATS/1.0 503` says that nobody listens.
fn status(headers: &[u8]) -> Option<u16> {
    let rest = headers.strip_prefix(b"NATS/1.0 ")?;
    let digits = rest.get(..3)?;
    str::from_utf8(digits).ok()?.parse().ok()
}

fn strange(line: &str) -> io::Error {
    let begin = line.get(..line.floor_char_boundary(100)).unwrap_or(line);
    io::Error::other(format!(
        "nats-server says what is not understood: {begin:?}"
    ))
}

#[cfg(test)]
mod tests {
    use tidegate_event::Event;

    use super::*;

    /// Every word is read when it is whole and not before, and takes its own length.
    #[test]
    fn words_are_read_when_they_are_whole() {
        let acknowledgement = br#"{"stream":"E", "seq":7}"#;
        let message = |status, payload| Op::Message {
            subject: "_INBOX.x.0001",
            status,
            payload,
        };
        let cases: [(&[u8], Op<'_>); 8] = [
            (b"PING\r\n", Op::Ping),
            (b"PONG\r\n", Op::Other),
            (b"+OK\r\n", Op::Other),
            (b"INFO {\"a\":1}\r\n", Op::Other),
            (b"-ERR 'Slow Consumer'\r\n", Op::Error("'Slow Consumer'")),
            (
                b"MSG _INBOX.x.0001 1 23\r\n{\"stream\":\"E\", \"seq\":7}\r\n",
                message(None, acknowledgement),
            ),
            (b"MSG _INBOX.x.0001 1 reply 0\r\n\r\n", message(None, b"")),
            (
                b"HMSG _INBOX.x.0001 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n",
                message(Some(503), b""),
            ),
        ];
        for (text, expected) in cases {
            for length in 0..text.len() {
                let part = text.get(..length).unwrap();
                assert_eq!(parse(part).unwrap(), None, "{part:?}");
            }
            let mut more = text.to_vec();
            more.extend_from_slice(b"PING\r\n");
            assert_eq!(parse(&more).unwrap(), Some((expected, text.len())));
        }
    }

    /// What is no NATS ends the connection, and never the process.
    #[test]
    fn what_is_not_understood_is_an_error() {
        let endless = vec![b'x'; LINE_BYTES_MAX + 1];
        let cases: [&[u8]; 8] = [
            b"HTTP/1.1 400 Bad Request\r\n",
            b"MSG\r\n",
            b"MSG a 1 x\r\n",
            b"MSG a 1 99999999999\r\n",
            b"HMSG a 1 9 4\r\nabcd\r\n",
            b"MSG a 1 1\r\nxyz",
            b"\xff\xfe\r\n",
            &endless,
        ];
        for text in cases {
            assert!(parse(text).is_err(), "{:?}", text.get(..20));
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
            drop(parse(&text));
        }
    }

    /// nats-server counts what is announced.
    #[test]
    fn a_message_is_as_long_as_it_says() {
        let mut event = Event::new("1", "/s", "t");
        event.data = Some("{}".into());
        let mut frames = Vec::new();
        publish("a.b", "_INBOX.x", &Outgoing::event(&event), &mut frames);
        let text = String::from_utf8(frames).unwrap();
        let (line, rest) = text.split_once("\r\n").unwrap();
        let (headers, bytes) = (rest.find("\r\n\r\n").unwrap() + 4, rest.len() - 2);
        assert_eq!(line, format!("HPUB a.b _INBOX.x {headers} {bytes}"));
        assert!(
            rest.starts_with("NATS/1.0\r\nce-specversion: 1.0\r\n"),
            "{rest}"
        );
        assert!(rest.ends_with("\r\n\r\n{}\r\n"), "{rest}");
    }
}
