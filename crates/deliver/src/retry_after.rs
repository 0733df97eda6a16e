//! The header `Retry-After` (RFC 9110 §10.2.3): seconds, or a date.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header::RETRY_AFTER};

/// A sink that asks for longer is asked again after this: a mistaken year must not park an
/// event until then.
const MAX: Duration = Duration::from_secs(3_600);

/// How long the sink asks to be left alone. What is neither seconds nor a date in the future
/// says nothing.
pub(crate) fn of(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let after = if value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are more than the bound as well.
        value.parse().map_or(MAX, Duration::from_secs)
    } else {
        httpdate::parse_http_date(value)
            .ok()?
            .duration_since(now)
            .ok()?
    };
    (!value.is_empty()).then_some(after.min(MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(value: &str) -> Option<Duration> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        of(&headers, now)
    }

    /// Both forms are obeyed, up to the bound.
    #[test]
    fn seconds_and_dates_are_obeyed() {
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        // 100 s after `now`
        assert_eq!(
            after("Sun, 06 Nov 1994 08:51:17 GMT"),
            Some(Duration::from_secs(100))
        );
        assert_eq!(after("31536000"), Some(MAX));
        assert_eq!(after("99999999999999999999999"), Some(MAX));
        assert_eq!(after("0"), Some(Duration::ZERO));
    }

    /// Nonsense is no reason to wait, and none to fail.
    #[test]
    fn nonsense_says_nothing() {
        for value in ["", "-5", "1.5", "soon", "Sun, 06 Nov 1994 08:00:00 GMT"] {
            assert_eq!(after(value), None, "{value}");
        }
    }
}
