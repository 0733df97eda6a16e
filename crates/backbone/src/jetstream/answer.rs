//! What JetStream says to an append.

use std::borrow::Cow;

use async_nats::{Message, StatusCode};
use serde::Deserialize;

use crate::{AppendError, Stored};

/// JetStream's error codes that mean: no room.
const FULL: [u64; 4] = [
    10_002, // resource limits exceeded for account
    10_023, // insufficient resources
    10_028, // insufficient memory resources available
    10_047, // insufficient storage resources available
];

/// A store failed; the description says why, a limit among others.
const STORE_FAILED: u64 = 10_077;

/// The message, or its headers, are larger than the stream takes.
const TOO_LARGE: [u64; 2] = [10_054, 10_097];

/// The status of what may work a moment later, as HTTP has it.
const UNAVAILABLE: u64 = 503;

/// Of a message, when nobody listens on its subject.
const NO_RESPONDERS: u16 = 503;

/// What became of an append.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Stored(Stored),
    /// Larger than the stream takes; only who sent it knows how large it is.
    TooLarge,
    Failed(AppendError),
    /// It may be stored or not. On a subject that was never used before, the answer is another one.
    Unsure,
}

#[derive(Deserialize)]
struct PubAck<'a> {
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    #[serde(borrow, default)]
    error: Option<PubError<'a>>,
}

#[derive(Deserialize)]
struct PubError<'a> {
    #[serde(default)]
    code: u64,
    #[serde(default)]
    err_code: u64,
    #[serde(borrow, default)]
    description: Cow<'a, str>,
}

/// Reads an answer; `streams` are those that may have stored it.
pub(super) fn read(message: &Message, streams: &[String; 2]) -> Answer {
    of(
        message.status.as_ref().map(StatusCode::as_u16),
        &message.payload,
        streams,
    )
}

/// The same of the parts that count.
pub(super) fn of(status: Option<u16>, payload: &[u8], streams: &[String; 2]) -> Answer {
    if status == Some(NO_RESPONDERS) {
        let detail = "no stream answers on this subject".to_owned();
        return Answer::Failed(AppendError::Unreachable { detail });
    }
    read_payload(payload, streams)
}

/// Where something new is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// That of JetStream; empty where it has none.
    pub(super) domain: &'a [u8],
    pub(super) sequence: u64,
}

/// The place in `{"stream":"EVENTS","seq":12}`, as nearly all answers are, without a parser. Where
/// JetStream has a domain, it stands in the middle; older servers write spaces between the fields.
pub(super) fn place<'a>(payload: &'a [u8], streams: &[String; 2]) -> Option<Place<'a>> {
    let rest = payload.strip_prefix(br#"{"stream":""#)?;
    let of_stream = |stream: &String| rest.strip_prefix(stream.as_bytes());
    let mut rest = next_field(streams.iter().find_map(of_stream)?)?;
    let mut domain: &[u8] = &[];
    if let Some(named) = rest.strip_prefix(br#""domain":""#) {
        let end = named.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        (domain, rest) = named.split_at_checked(end)?;
        rest = next_field(rest)?;
    }
    let digits = rest.strip_prefix(br#""seq":"#)?.strip_suffix(b"}")?;
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut sequence = 0_u64;
    for digit in digits {
        let digit = char::from(*digit).to_digit(10)?;
        sequence = sequence.checked_mul(10)?.checked_add(digit.into())?;
    }
    (sequence > 0).then_some(Place { domain, sequence })
}

/// What follows a text's end.
fn next_field(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.strip_prefix(br#"","#)?;
    Some(rest.strip_prefix(b" ").unwrap_or(rest))
}

fn read_payload(payload: &[u8], streams: &[String; 2]) -> Answer {
    let ack: PubAck<'_> = match serde_json::from_slice(payload) {
        Ok(ack) => ack,
        Err(error) => return refused(0, format!("not an acknowledgement: {error}")),
    };
    if let Some(error) = ack.error {
        return failed(&error);
    }
    if !streams.iter().any(|stream| *stream == ack.stream) {
        return refused(0, format!("the stream {:?} took it", ack.stream));
    }
    if ack.seq == 0 {
        return refused(0, "an acknowledgement without a sequence".to_owned());
    }
    Answer::Stored(Stored {
        sequence: ack.seq,
        duplicate: ack.duplicate,
    })
}

fn failed(error: &PubError<'_>) -> Answer {
    let code = error.err_code;
    let detail = error.description.clone().into_owned();
    if FULL.contains(&code) || (code == STORE_FAILED && names_a_limit(&detail)) {
        return Answer::Failed(AppendError::Full { detail });
    }
    if TOO_LARGE.contains(&code) {
        return Answer::TooLarge;
    }
    if error.code == UNAVAILABLE {
        return Answer::Failed(AppendError::Unreachable { detail });
    }
    refused(code, detail)
}

/// "maximum bytes exceeded", "maximum messages exceeded", "no space left on device".
fn names_a_limit(detail: &str) -> bool {
    ["maximum", "no space", "resource"]
        .iter()
        .any(|word| detail.contains(word))
}

fn refused(code: u64, detail: String) -> Answer {
    Answer::Failed(AppendError::Refused { code, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &str) -> Answer {
        of(None, payload.as_bytes(), &streams())
    }

    fn streams() -> [String; 2] {
        ["EVENTS".to_owned(), "DEAD".to_owned()]
    }

    /// What servers say to nearly every event needs no parser, and means the same as it would with
    /// one.
    #[test]
    fn the_usual_answer_needs_no_parser() {
        let streams = streams();
        for (payload, domain) in [
            (r#"{"stream":"EVENTS","seq":12}"#, ""),
            (r#"{"stream":"EVENTS", "seq":12}"#, ""),
            (r#"{"stream":"EVENTS","domain":"hub","seq":12}"#, "hub"),
            (r#"{"stream":"EVENTS", "domain":"hub", "seq":12}"#, "hub"),
        ] {
            let place = place(payload.as_bytes(), &streams).unwrap();
            assert_eq!(place.sequence, 12);
            assert_eq!(place.domain, domain.as_bytes());
            let parsed = read_payload(payload.as_bytes(), &streams);
            let is_new = |stored: Stored| stored.sequence == 12 && !stored.duplicate;
            assert!(matches!(parsed, Answer::Stored(stored) if is_new(stored)));
        }
    }

    /// An event is only stored when one of our streams says so, with a sequence.
    #[test]
    fn only_a_whole_acknowledgement_means_stored() {
        let answer = read(r#"{"stream":"EVENTS", "seq":12}"#);
        assert!(
            matches!(
                answer,
                Answer::Stored(Stored {
                    sequence: 12,
                    duplicate: false
                })
            ),
            "{answer:?}"
        );
        let answer = read(r#"{"stream":"DEAD","domain":"hub","seq":3,"duplicate": true}"#);
        assert!(
            matches!(
                answer,
                Answer::Stored(Stored {
                    sequence: 3,
                    duplicate: true
                })
            ),
            "{answer:?}"
        );
        for payload in [
            "",
            "+OK",
            "{}",
            "[]",
            r#"{"stream":"OTHER","seq":1}"#,
            r#"{"stream":"EVENTS"}"#,
            r#"{"stream":"EVENTS","seq":0}"#,
            r#"{"stream":"EVENTS","seq":-1}"#,
            r#"{"stream":"EVENTS", "seq":}"#,
            r#"{"stream":"EVENTS", "seq":0}"#,
            r#"{"stream":"EVENTS", "seq":1x}"#,
            r#"{"stream":"EVENTS", "seq":18446744073709551616}"#,
            r#"{"stream":"EVENTSX", "seq":1}"#,
            r#"{"stream":"EVENTS","domain":"hub"}"#,
            r#"{"stream":"EVENTS","domain":"hub","seq":0}"#,
            r#"{"stream":"EVENTS","domain":"hub"#,
        ] {
            let answer = read(payload);
            assert!(
                matches!(answer, Answer::Failed(AppendError::Refused { .. })),
                "{payload}: {answer:?}"
            );
            let place = place(payload.as_bytes(), &streams());
            assert_eq!(place, None, "{payload}");
        }
    }

    /// What fills up is told from what is refused and from what may work later.
    #[test]
    fn errors_are_told_apart() {
        let error = |code: u64, err_code: u64, text: &str| {
            read(&format!(
                r#"{{"error":{{"code":{code},"err_code":{err_code},"description":"{text}"}},"stream":"EVENTS","seq":0}}"#
            ))
        };
        for (code, err_code, text) in [
            (503, 10_077, "maximum bytes exceeded"),
            (503, 10_077, "maximum messages exceeded"),
            (503, 10_077, "write: no space left on device"),
            (503, 10_023, "insufficient resources"),
            (500, 10_047, "insufficient storage resources available"),
        ] {
            let answer = error(code, err_code, text);
            assert!(
                matches!(answer, Answer::Failed(AppendError::Full { .. })),
                "{text}: {answer:?}"
            );
        }
        assert!(matches!(
            error(400, 10_054, "message size exceeds maximum"),
            Answer::TooLarge
        ));
        assert!(matches!(
            error(400, 10_097, "header size exceeds maximum"),
            Answer::TooLarge
        ));
        let answer = error(503, 10_008, "JetStream system temporarily unavailable");
        assert!(
            matches!(answer, Answer::Failed(AppendError::Unreachable { .. })),
            "{answer:?}"
        );
        let answer = error(400, 10_071, r#"wrong last sequence: \"1\""#);
        let Answer::Failed(AppendError::Refused {
            code: 10_071,
            detail,
        }) = answer
        else {
            panic!("{answer:?}")
        };
        assert_eq!(detail, "wrong last sequence: \"1\"");
    }
}
