//! The answers of the legacy door, byte for byte.

use std::fmt;

use serde::Serialize;

/// A member of the legacy document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `event-type`.
    EventType,
    /// `event-type-version`.
    EventTypeVersion,
    /// `event-time`.
    EventTime,
    /// `event-id`.
    EventId,
    /// `data`.
    Data,
}

impl Field {
    pub(super) const ALL: [Self; 5] = [
        Self::EventType,
        Self::EventTypeVersion,
        Self::EventTime,
        Self::EventId,
        Self::Data,
    ];

    /// The member's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventType => "event-type",
            Self::EventTypeVersion => "event-type-version",
            Self::EventTime => "event-time",
            Self::EventId => "event-id",
            Self::Data => "data",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a legacy request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No JSON, JSON of another shape, or values that make no event.
    #[error("bad payload syntax: {more_info}")]
    BadPayload {
        /// What is wrong.
        more_info: String,
    },
    /// The body is larger than the door takes.
    #[error("the body is too large")]
    BodyTooLarge,
    /// A member is absent or empty.
    #[error("{0} is missing or empty")]
    MissingField(Field),
    /// A member has a value of another form.
    #[error("{0} is not of the form that it must have")]
    InvalidField(Field),
}

impl Refusal {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::BadPayload { .. } | Self::MissingField(_) | Self::InvalidField(_) => 400,
            Self::BodyTooLarge => 413,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadPayload { .. } => "normalize/legacy-bad-payload",
            Self::BodyTooLarge => "normalize/legacy-body-too-large",
            Self::MissingField(_) => "normalize/legacy-missing-field",
            Self::InvalidField(_) => "normalize/legacy-invalid-field",
        }
    }

    /// The body of the answer.
    pub fn body(&self) -> String {
        let (r#type, message, more_info) = match self {
            Self::BadPayload { more_info } => (
                "bad_payload_syntax",
                "Bad payload syntax",
                more_info.as_str(),
            ),
            Self::BodyTooLarge => (
                "request_body_too_large",
                "Request body too large",
                "http: request body too large",
            ),
            Self::MissingField(_) => ("validation_violation", "Missing field", ""),
            Self::InvalidField(_) => ("validation_violation", "Invalid field", ""),
        };
        let detail = match self {
            Self::MissingField(field) => Some(Detail::new(*field, "missing_field", message)),
            Self::InvalidField(field) => Some(Detail::new(*field, "invalid_field", message)),
            Self::BadPayload { .. } | Self::BodyTooLarge => None,
        };
        line(&Problem {
            status: self.status(),
            r#type,
            message,
            more_info,
            details: detail.as_slice(),
        })
    }
}

/// The body when the event could not be stored.
pub fn backend(status: u16, message: &str) -> String {
    line(&Problem {
        status,
        r#type: "",
        message,
        more_info: "",
        details: &[],
    })
}

/// The body when the event is stored.
pub fn success(event_id: &str) -> String {
    line(&Accepted {
        event_id,
        status: "",
        reason: "",
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    r#type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    more_info: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [Detail<'a>],
}

#[derive(Serialize)]
struct Detail<'a> {
    field: &'a str,
    r#type: &'a str,
    message: &'a str,
}

impl<'a> Detail<'a> {
    fn new(field: Field, r#type: &'a str, message: &'a str) -> Self {
        Self {
            field: field.as_str(),
            r#type,
            message,
        }
    }
}

#[derive(Serialize)]
struct Accepted<'a> {
    #[serde(rename = "event-id")]
    event_id: &'a str,
    status: &'a str,
    reason: &'a str,
}

/// One line of JSON with the characters escaped that Go's encoder escapes for HTML's sake. They
/// can stand in strings only, so the whole text may be gone through.
fn line(body: &impl Serialize) -> String {
    let text = serde_json::to_string(body).expect("text and numbers are always JSON");
    let mut line = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        match character {
            '<' => line.push_str("\\u003c"),
            '>' => line.push_str("\\u003e"),
            '&' => line.push_str("\\u0026"),
            '\u{2028}' => line.push_str("\\u2028"),
            '\u{2029}' => line.push_str("\\u2029"),
            other => line.push(other),
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients compare these bodies, some to the byte.
    #[test]
    fn bodies_are_kymas_to_the_byte() {
        let cases = [
            (
                Refusal::BadPayload {
                    more_info: "unexpected EOF".to_owned(),
                }
                .body(),
                r#"{"status":400,"type":"bad_payload_syntax","message":"Bad payload syntax","moreInfo":"unexpected EOF"}"#,
            ),
            (
                Refusal::BodyTooLarge.body(),
                r#"{"status":413,"type":"request_body_too_large","message":"Request body too large","moreInfo":"http: request body too large"}"#,
            ),
            (
                Refusal::MissingField(Field::Data).body(),
                r#"{"status":400,"type":"validation_violation","message":"Missing field","details":[{"field":"data","type":"missing_field","message":"Missing field"}]}"#,
            ),
            (
                Refusal::InvalidField(Field::EventId).body(),
                r#"{"status":400,"type":"validation_violation","message":"Invalid field","details":[{"field":"event-id","type":"invalid_field","message":"Invalid field"}]}"#,
            ),
            (
                backend(507, "insufficient resources on target stream"),
                r#"{"status":507,"message":"insufficient resources on target stream"}"#,
            ),
            (
                success("8954ad1c-78ed-4c58-a639-68bd44031de0"),
                r#"{"event-id":"8954ad1c-78ed-4c58-a639-68bd44031de0","status":"","reason":""}"#,
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(body, format!("{expected}\n"));
        }
    }

    /// A browser that shows such a body must not take a sender's text for markup.
    #[test]
    fn what_go_escapes_is_escaped() {
        assert_eq!(
            backend(500, "<a>&\"\\\u{2028}\u{2029}\u{8}\u{1}\u{7f}ü"),
            "{\"status\":500,\"message\":\"\\u003ca\\u003e\\u0026\\\"\\\\\\u2028\\u2029\\b\\u0001\u{7f}ü\"}\n"
        );
    }
}
