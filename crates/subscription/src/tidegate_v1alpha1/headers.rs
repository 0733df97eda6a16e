//! `spec.delivery.headers`.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;
use tidegate_document::{Mistakes, line_of};

/// Header fields of every request.
const HEADERS_MAX: usize = 32;

/// Bytes of one header field's value.
const HEADER_BYTES_MAX: usize = 4096;

/// Names that a request has by itself, or that would speak in the event's name.
fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 8] = [
        "connection",
        "content-length",
        "content-type",
        "host",
        "te",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    RESERVED.contains(&name) || name.starts_with("ce-")
}

pub(super) fn parse(
    spec: BTreeMap<String, Spanned<String>>,
    said: &[(&str, &str)],
    mistakes: &mut Mistakes,
) -> Vec<(String, String)> {
    const FIELD: &str = "spec.delivery.headers";
    if spec.len() > HEADERS_MAX {
        let message = format!(
            "must not have more than {HEADERS_MAX} fields, got {}",
            spec.len()
        );
        mistakes.add(None, FIELD, message);
    }
    let mut headers = Vec::new();
    for (name, value) in spec {
        let lower = name.to_ascii_lowercase();
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_text = |byte: u8| (0x20..0x7f).contains(&byte);
        let message = if lower.is_empty() || !lower.bytes().all(is_token) {
            Some("is no name of a header field".to_owned())
        } else if is_reserved(&lower) {
            Some("is a field that the request has by itself".to_owned())
        } else if let Some((_, message)) = said.iter().find(|(said, _)| *said == lower) {
            Some((*message).to_owned())
        } else if value.value.len() > HEADER_BYTES_MAX || !value.value.bytes().all(is_text) {
            let most = format!("must be printable ASCII of at most {HEADER_BYTES_MAX} bytes");
            Some(most)
        } else {
            None
        };
        if let Some(message) = message {
            mistakes.add(line_of(&value), &format!("{FIELD}.{name}"), message);
        }
        headers.push((lower, value.value));
    }
    headers
}
