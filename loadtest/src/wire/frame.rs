//! What a nats-server sends, and how a message is sent to it.

use anyhow::{Context, bail};

/// One message that came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) subject: &'a [u8],
    /// Headers and payload as they came, a status among them.
    pub(crate) body: &'a [u8],
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Message(Message<'a>),
    Ping,
    /// Nothing that anybody has to know.
    Nothing,
}

/// The first frame and its bytes; none while it is not there as a whole.
pub(crate) fn next(buffer: &[u8]) -> anyhow::Result<Option<(Frame<'_>, usize)>> {
    let Some(end) = buffer.iter().position(|byte| *byte == b'\n') else {
        return Ok(None);
    };
    let line = buffer.get(..end).unwrap_or_default().trim_ascii_end();
    let behind = end + 1;
    let (word, rest) = match line.iter().position(|byte| *byte == b' ') {
        Some(at) => line.split_at(at),
        None => (line, &[][..]),
    };
    match word {
        b"MSG" | b"HMSG" => {
            let mut fields = rest
                .split(|byte| *byte == b' ')
                .filter(|one| !one.is_empty());
            let subject = fields.next().context("a message without a subject")?;
            // The last field is the length of all, whether or not there are a reply and headers.
            let length = fields.next_back().and_then(number);
            let length = usize::try_from(length.context("a message without a length")?)?;
            let Some(body) = buffer.get(behind..behind + length) else {
                return Ok(None);
            };
            let bytes = behind + length + "\r\n".len();
            if buffer.len() < bytes {
                return Ok(None);
            }
            Ok(Some((Frame::Message(Message { subject, body }), bytes)))
        }
        b"PING" => Ok(Some((Frame::Ping, behind))),
        b"-ERR" => bail!("NATS says {}", String::from_utf8_lossy(rest).trim()),
        b"PONG" | b"INFO" | b"+OK" => Ok(Some((Frame::Nothing, behind))),
        _ => bail!("NATS says {}", String::from_utf8_lossy(line)),
    }
}

/// A message without headers, to be acknowledged to `reply`.
pub(crate) fn publish(bytes: &mut Vec<u8>, subject: &[u8], reply: &[u8], payload: &[u8]) {
    bytes.extend_from_slice(b"PUB ");
    bytes.extend_from_slice(subject);
    bytes.push(b' ');
    bytes.extend_from_slice(reply);
    bytes.push(b' ');
    push_number(bytes, payload.len() as u64);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(b"\r\n");
}

/// A decimal number of digits alone.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Appends a number in decimal.
pub(crate) fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    let from = bytes.len();
    loop {
        bytes.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
        number /= 10;
        if number == 0 {
            break;
        }
    }
    bytes.get_mut(from..).unwrap_or_default().reverse();
}

/// Whether the body is JetStream's word that the message is in this stream; `begins` is what such
/// a word begins with. Anything else, an error or a status without responders, is not.
pub(crate) fn is_stored(body: &[u8], begins: &[u8]) -> bool {
    body.starts_with(begins)
}

/// What an acknowledgement of a stream begins with.
pub(crate) fn stored_in(stream: &str) -> Vec<u8> {
    format!("{{\"stream\":\"{stream}\"").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An acknowledgement is told from a refusal and from nobody at home.
    #[test]
    fn only_an_acknowledgement_counts_as_stored() {
        let begins = stored_in("EVENTS");
        assert!(is_stored(br#"{"stream":"EVENTS", "seq":17}"#, &begins));
        assert!(is_stored(
            br#"{"stream":"EVENTS","seq":17,"duplicate":true}"#,
            &begins
        ));
        assert!(!is_stored(br#"{"stream":"EVENTS2","seq":17}"#, &begins));
        assert!(!is_stored(
            br#"{"error":{"code":503},"stream":"EVENTS"}"#,
            &begins
        ));
        assert!(!is_stored(b"NATS/1.0 503\r\n\r\n", &begins));
    }

    /// Frames are told apart wherever the socket cuts them.
    #[test]
    fn a_frame_is_read_once_it_is_there() {
        let text =
            b"MSG _INBOX.a.17 1 5\r\nhello\r\nHMSG s 1 r.p 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPING\r\n";
        let first = Frame::Message(Message {
            subject: b"_INBOX.a.17",
            body: b"hello",
        });
        let bytes = "MSG _INBOX.a.17 1 5\r\nhello\r\n".len();
        for cut in 0..bytes {
            assert_eq!(next(&text[..cut]).unwrap(), None, "{cut}");
        }
        assert_eq!(next(text).unwrap(), Some((first, bytes)));
        let (second, more) = next(&text[bytes..]).unwrap().unwrap();
        let with_headers = Message {
            subject: b"s",
            body: b"NATS/1.0\r\n\r\nhi",
        };
        assert_eq!(second, Frame::Message(with_headers));
        assert_eq!(next(&text[bytes + more..]).unwrap(), Some((Frame::Ping, 6)));
    }

    /// What the server complains of ends the run.
    #[test]
    fn an_error_is_an_error() {
        assert!(next(b"-ERR 'Authorization Violation'\r\n").is_err());
        assert!(next(b"HTTP/1.1 400 Bad Request\r\n").is_err());
        assert!(next(b"MSG only-a-subject\r\n").is_err());
    }

    #[test]
    fn a_number_is_written_and_read() {
        for value in [0, 7, 10, 4_711, u64::MAX] {
            let mut bytes = b"x".to_vec();
            push_number(&mut bytes, value);
            assert_eq!(bytes, format!("x{value}").into_bytes());
            assert_eq!(number(&bytes[1..]), Some(value));
        }
        assert_eq!(number(b""), None);
        assert_eq!(number(b"1x"), None);
        assert_eq!(number(b"99999999999999999999"), None);
    }

    #[test]
    fn a_message_is_written_as_the_protocol_says() {
        let mut bytes = Vec::new();
        publish(&mut bytes, b"a.b", b"r.7", b"data");
        assert_eq!(bytes, b"PUB a.b r.7 4\r\ndata\r\n");
    }
}
