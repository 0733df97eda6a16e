//! When credentials for NATS end.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// In seconds of Unix time; `Some(None)` where they have no end, and `None` where that cannot be
/// read.
#[expect(
    clippy::option_option,
    reason = "not known is no answer, no end is one"
)]
pub(super) fn end(file: &Path) -> Option<Option<f64>> {
    end_of(&fs::read_to_string(file).ok()?)
}

#[expect(clippy::option_option, reason = "as above")]
fn end_of(credentials: &str) -> Option<Option<f64>> {
    let (_, rest) = credentials.split_once("-----BEGIN NATS USER JWT-----")?;
    let token = rest.lines().map(str::trim).find(|line| !line.is_empty())?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(claims.get("exp").and_then(Value::as_f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(claims: &str) -> String {
        let token = ["{}", claims, "signature"].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n",
            token.join(".")
        )
    }

    /// Credentials without an end must not look like ones that ended long ago.
    #[test]
    fn the_end_is_read_where_there_is_one() {
        assert_eq!(
            end_of(&credentials(r#"{"exp":1800000000}"#)),
            Some(Some(1_800_000_000.0))
        );
        assert_eq!(end_of(&credentials(r#"{"sub":"U"}"#)), Some(None));
        assert_eq!(end_of("seed"), None);
        assert_eq!(end_of(&credentials("[")), None);
    }
}
