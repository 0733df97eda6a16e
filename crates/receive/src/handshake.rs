//! The permission that a sender of web hooks asks for before it sends (CloudEvents HTTP 1.1 Web
//! Hooks §4, abuse protection). `WebHook-Request-Callback` is not called: the answer is at hand.

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::ALLOW};

use crate::{answer, error::Error};

const REQUEST_ORIGIN: &str = "webhook-request-origin";
const REQUEST_RATE: &str = "webhook-request-rate";
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// Longest name of a host (RFC 1035 §2.3.4).
const ORIGIN_BYTES_MAX: usize = 255;

/// The answer to one who may send: the origin that was asked for, at any rate. A sender that is
/// too fast is told so by 429.
pub(crate) fn granted(asked: &HeaderMap) -> Result<Response, Error> {
    let origin = asked
        .get(REQUEST_ORIGIN)
        .ok_or(Error::InvalidHandshake("WebHook-Request-Origin is missing"))?;
    if origin.is_empty() || origin.len() > ORIGIN_BYTES_MAX {
        return Err(Error::InvalidHandshake(
            "WebHook-Request-Origin must be from 1 to 255 bytes",
        ));
    }
    let mut response = answer::status(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(ALLOWED_ORIGIN, origin.clone());
    if let Some(rate) = asked.get(REQUEST_RATE) {
        let rate = rate.as_bytes();
        let number = rate.iter().all(u8::is_ascii_digit) && rate.iter().any(|digit| *digit != b'0');
        if rate != b"*" && !number {
            return Err(Error::InvalidHandshake(
                "WebHook-Request-Rate must be a positive integer or *",
            ));
        }
        headers.insert(ALLOWED_RATE, HeaderValue::from_static("*"));
    }
    headers.insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    Ok(response)
}
