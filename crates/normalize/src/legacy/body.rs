//! The answers of the legacy door, to the byte.

use std::fmt::Write;

/// A refusal with its body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {detail}")]
pub struct Refusal {
    kind: Kind,
    message: &'static str,
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Syntax,
    Missing,
    Invalid,
}

impl Refusal {
    pub(crate) fn syntax(more_info: impl Into<String>) -> Self {
        Self {
            kind: Kind::Syntax,
            message: "Bad payload syntax",
            detail: more_info.into(),
        }
    }

    pub(crate) fn missing(field: &str) -> Self {
        Self {
            kind: Kind::Missing,
            message: "Missing field",
            detail: field.to_owned(),
        }
    }

    pub(crate) fn invalid(field: &str) -> Self {
        Self {
            kind: Kind::Invalid,
            message: "Invalid field",
            detail: field.to_owned(),
        }
    }

    /// The body, its line end included.
    pub fn body(&self) -> String {
        let Self {
            kind,
            message,
            detail,
        } = self;
        let detail = quoted(detail);
        let field_type = match kind {
            Kind::Syntax => {
                return format!(
                    "{{\"status\":400,\"type\":\"bad_payload_syntax\",\"message\":\"{message}\",\"moreInfo\":{detail}}}\n"
                );
            }
            Kind::Missing => "missing_field",
            Kind::Invalid => "invalid_field",
        };
        format!(
            "{{\"status\":400,\"type\":\"validation_violation\",\"message\":\"{message}\",\"details\":[{{\"field\":{detail},\"type\":\"{field_type}\",\"message\":\"{message}\"}}]}}\n"
        )
    }
}

/// The body for a request above the limit.
pub fn body_too_large() -> String {
    "{\"status\":413,\"type\":\"request_body_too_large\",\"message\":\"Request body too large\",\"moreInfo\":\"http: request body too large\"}\n".to_owned()
}

/// The body for a failure behind the door.
pub fn backend(status: u16, message: &str) -> String {
    format!("{{\"status\":{status},\"message\":{}}}\n", quoted(message))
}

/// The body for an event that is stored.
pub fn success(event_id: &str) -> String {
    format!(
        "{{\"event-id\":{},\"status\":\"\",\"reason\":\"\"}}\n",
        quoted(event_id)
    )
}

/// A JSON string as Go's encoder writes it: what HTML takes for markup is escaped too.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                // Writing to a String cannot fail.
                write!(quoted, "\\u{:04x}", u32::from(char)).ok();
            }
            _ => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
