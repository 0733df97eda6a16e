//! The permission that a sink is asked for before it is sent anything (CloudEvents HTTP 1.1 Web
//! Hooks §4, abuse protection). It is asked again instead of calling back.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tidegate_subscription::WebHook;

pub(crate) const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";
const ALLOWED_RATE: &str = "webhook-allowed-rate";

/// How long a sink may think about it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

const MINUTE: Duration = Duration::from_secs(60);

/// What a sink allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// One request in this time; none is any number.
    pub every: Option<Duration>,
}

pub(crate) fn question(webhook: &WebHook) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // A host's name is a legal value.
    if let Ok(origin) = HeaderValue::from_str(&webhook.origin) {
        headers.insert(REQUEST_ORIGIN, origin);
    }
    if let Some(rate) = webhook.rate {
        headers.insert(REQUEST_RATE, rate.get().into());
    }
    headers
}

/// What the answer grants, or why it does not.
pub(crate) fn granted(
    status: StatusCode,
    headers: &HeaderMap,
    webhook: &WebHook,
) -> Result<Granted, String> {
    if !status.is_success() {
        return Err(format!("it answered {status} to OPTIONS"));
    }
    let said = |name| headers.get(name).map(|value| value.as_bytes().trim_ascii());
    let Some(origin) = said(ALLOWED_ORIGIN) else {
        return Err("its answer has no WebHook-Allowed-Origin".to_owned());
    };
    if origin != b"*" && !origin.eq_ignore_ascii_case(webhook.origin.as_bytes()) {
        let origin = String::from_utf8_lossy(origin.get(..255).unwrap_or(origin)).into_owned();
        return Err(format!("it allows another origin, {origin:?}"));
    }
    let most = match said(ALLOWED_RATE) {
        Some(b"*") => None,
        // What was asked for, where nothing is said of it.
        None => webhook.rate.map(std::num::NonZeroU32::get),
        Some(rate) => {
            let rate = str::from_utf8(rate).ok().and_then(|rate| rate.parse().ok());
            let Some(rate) = rate.filter(|rate: &u32| *rate > 0) else {
                return Err("its WebHook-Allowed-Rate is neither a number nor *".to_owned());
            };
            Some(rate)
        }
    };
    Ok(Granted {
        every: most.map(|most| MINUTE / most),
    })
}
