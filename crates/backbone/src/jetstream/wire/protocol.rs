//! The words of NATS that are needed: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.

use std::{io, iter};

use super::super::message::Outgoing;

pub(super) const PING: &[u8] = b"PING\r\n";
pub(super) const PONG: &[u8] = b"PONG\r\n";

/// The longest line: a server's INFO lists every server of its cluster.
const LINE_BYTES_MAX: usize = 64 << 10;

/// The largest message: nats-server's own limit for what it may be configured to take.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// What headers begin with.
const HEADERS_BEGIN: &str = "NATS/1.0";

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Op<'a> {
    Message(Message<'a>),
    Ping,
    Pong,
    Error(&'a str),
    /// What asks for nothing.
    Other,
}

/// A message that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Message<'a> {
    pub(in super::super) subject: &'a str,
    /// Whose it is.
    pub(in super::super) subscription: u64,
    /// Empty where no answer is wanted.
    pub(in super::super) reply: &'a str,
    /// As they came, with their first line; empty where there are none.
    pub(in super::super) headers: &'a [u8],
    pub(in super::super) payload: &'a [u8],
}

/// Writes a message with headers.
pub(in super::super) fn publish(
    subject: &str,
    reply: &str,
    message: &Outgoing,
    frames: &mut Vec<u8>,
) {
    let (headers, bytes) = (message.header_bytes(), message.bytes());
    frames.reserve(bytes + subject.len() + reply.len() + 32);
    for part in ["HPUB ", subject, " ", reply, " "] {
        frames.extend_from_slice(part.as_bytes());
    }
    push_number(headers, frames);
    frames.push(b' ');
    push_number(bytes, frames);
    frames.extend_from_slice(b"\r\n");
    message.write_headers(frames);
    frames.extend_from_slice(&message.payload);
    frames.extend_from_slice(b"\r\n");
}

/// Writes a message without headers; `reply` may be empty.
pub(in super::super) fn publish_plain(
    subject: &str,
    reply: &str,
    payload: &[u8],
    frames: &mut Vec<u8>,
) {
    let space = if reply.is_empty() { "" } else { " " };
    for part in ["PUB ", subject, " ", reply, space] {
        frames.extend_from_slice(part.as_bytes());
    }
    push_number(payload.len(), frames);
    frames.extend_from_slice(b"\r\n");
    frames.extend_from_slice(payload);
    frames.extend_from_slice(b"\r\n");
}

/// In decimal: the formatting of the standard library costs more than the rest of a frame.
fn push_number(number: usize, frames: &mut Vec<u8>) {
    if number >= 10 {
        push_number(number / 10, frames);
    }
    frames.extend(u8::try_from(number % 10).map(|digit| b'0' + digit));
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
        "PONG" => return Ok(Some((Op::Pong, after))),
        "-ERR" => return Ok(Some((Op::Error(arguments), after))),
        "+OK" | "INFO" => return Ok(Some((Op::Other, after))),
        _ => return Err(strange(line)),
    };
    let head = head(arguments, headed).ok_or_else(|| strange(line))?;
    let end = after + head.bytes;
    let (Some(message), Some(newline)) = (buffer.get(after..end), buffer.get(end..end + 2)) else {
        return Ok(None);
    };
    if newline != b"\r\n" {
        return Err(strange(line));
    }
    let (headers, payload) = message.split_at(head.header_bytes);
    let message = Message {
        subject: head.subject,
        subscription: head.subscription,
        reply: head.reply,
        headers,
        payload,
    };
    Ok(Some((Op::Message(message), end + 2)))
}

/// What the line of a message says.
struct Head<'a> {
    subject: &'a str,
    subscription: u64,
    reply: &'a str,
    header_bytes: usize,
    bytes: usize,
}

/// `<subject> <subscription> [reply] [bytes of headers] <bytes>`
fn head(arguments: &str, headed: bool) -> Option<Head<'_>> {
    let mut fields = arguments.split(' ').filter(|field| !field.is_empty());
    let subject = fields.next()?;
    let subscription = fields.next()?.parse().ok()?;
    let bytes = fields.next_back()?.parse().ok()?;
    let header_bytes = match headed {
        true => fields.next_back()?.parse().ok()?,
        false => 0,
    };
    let reply = fields.next().unwrap_or_default();
    let is_sound = bytes <= MESSAGE_BYTES_MAX && header_bytes <= bytes;
    is_sound.then_some(Head {
        subject,
        subscription,
        reply,
        header_bytes,
        bytes,
    })
}

/// The first line without its end, and where the next one begins.
pub(super) fn line(buffer: &[u8]) -> io::Result<Option<(&str, usize)>> {
    let Some(end) = memchr::memchr(b'\n', buffer) else {
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

/// The status in a message's headers and what is said to it: `NATS/1.0 503` says that nobody
/// listens.
pub(in super::super) fn status(headers: &[u8]) -> Option<(u16, &str)> {
    let rest = headers.strip_prefix(HEADERS_BEGIN.as_bytes())?;
    let line = rest.split(|byte| *byte == b'\r').next()?;
    let line = str::from_utf8(line).ok()?.strip_prefix(' ')?;
    let (code, description) = line.split_once(' ').unwrap_or((line, ""));
    Some((code.parse().ok()?, description))
}

/// The names and values in a message's headers.
pub(in super::super) fn headers(headers: &str) -> impl Iterator<Item = (&str, &str)> + Clone {
    let mut rest = headers;
    let mut next = move || {
        let end = memchr::memchr(b'\n', rest.as_bytes())?;
        let (line, after) = rest.split_at_checked(end + 1)?;
        rest = after;
        Some(line)
    };
    next();
    iter::from_fn(next).filter_map(|line| {
        let (name, value) = line.split_at_checked(memchr::memchr(b':', line.as_bytes())?)?;
        Some((name, value.strip_prefix(':')?.trim_ascii()))
    })
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

    const PLAIN: Message<'_> = Message {
        subject: "_INBOX.x.0001",
        subscription: 12,
        reply: "",
        headers: b"",
        payload: b"",
    };

    /// Every word is read when it is whole and not before, and takes its own length.
    #[test]
    fn words_are_read_when_they_are_whole() {
        let with_payload = Message {
            payload: br#"{"stream":"E", "seq":7}"#,
            ..PLAIN
        };
        let with_reply = Message {
            reply: "r.1",
            ..PLAIN
        };
        let of_headers = Message {
            headers: b"NATS/1.0 503\r\n\r\n",
            ..PLAIN
        };
        let with_all = Message {
            reply: "r.1",
            headers: b"NATS/1.0\r\na: b\r\n\r\n",
            payload: b"{}",
            ..PLAIN
        };
        let cases: [(&[u8], Op<'_>); 9] = [
            (b"PING\r\n", Op::Ping),
            (b"PONG\r\n", Op::Pong),
            (b"+OK\r\n", Op::Other),
            (b"INFO {\"a\":1}\r\n", Op::Other),
            (b"-ERR 'Slow Consumer'\r\n", Op::Error("'Slow Consumer'")),
            (
                b"MSG _INBOX.x.0001 12 23\r\n{\"stream\":\"E\", \"seq\":7}\r\n",
                Op::Message(with_payload),
            ),
            (
                b"MSG _INBOX.x.0001 12 r.1 0\r\n\r\n",
                Op::Message(with_reply),
            ),
            (
                b"HMSG _INBOX.x.0001 12 16 16\r\nNATS/1.0 503\r\n\r\n\r\n",
                Op::Message(of_headers),
            ),
            (
                b"HMSG _INBOX.x.0001 12 r.1 18 20\r\nNATS/1.0\r\na: b\r\n\r\n{}\r\n",
                Op::Message(with_all),
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
        let cases: [&[u8]; 9] = [
            b"HTTP/1.1 400 Bad Request\r\n",
            b"MSG\r\n",
            b"MSG a 1 x\r\n",
            b"MSG a x 1\r\n",
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
            status(&text).unwrap_or_default();
            headers(&String::from_utf8_lossy(&text)).for_each(drop);
        }
    }

    /// What headers say, in whatever spacing.
    #[test]
    fn headers_are_read() {
        let idle = b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 7\r\n\r\n";
        assert_eq!(status(idle), Some((100, "Idle Heartbeat")));
        assert_eq!(status(b"NATS/1.0 503\r\n\r\n"), Some((503, "")));
        assert_eq!(status(b"NATS/1.0\r\nce-id: 1\r\n\r\n"), None);
        assert_eq!(status(b""), None);
        let text = "NATS/1.0 100 Idle: yes\r\nce-id: a:b \r\nEmpty:\r\nnothing\r\nx:y\r\n\r\n";
        let read: Vec<_> = headers(text).collect();
        assert_eq!(read, [("ce-id", "a:b"), ("Empty", ""), ("x", "y")]);
        assert_eq!(headers("").count(), 0);
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
        let plain = |reply| {
            let mut frames = Vec::new();
            publish_plain("a.b", reply, b"+ACK", &mut frames);
            String::from_utf8(frames).unwrap()
        };
        assert_eq!(plain(""), "PUB a.b 4\r\n+ACK\r\n");
        assert_eq!(plain("r.1"), "PUB a.b r.1 4\r\n+ACK\r\n");
        for number in [0, 9, 10, 101, usize::MAX] {
            let mut digits = Vec::new();
            push_number(number, &mut digits);
            assert_eq!(String::from_utf8(digits).unwrap(), number.to_string());
        }
    }
}
