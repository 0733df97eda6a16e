//! Refusals, each with its stable code.

use std::time::Duration;

use http::{HeaderValue, StatusCode};

/// When to ask again where a secret or a key of ours is missing.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(5);

/// Why a request is not let in. Never tells which part of the credentials was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The stable code; its page is in `docs/errors`.
    pub code: &'static str,
    /// The status of the answer.
    pub status: StatusCode,
    /// What the sender may know.
    pub detail: &'static str,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// How to authenticate, for the answer 401.
    pub www_authenticate: Option<HeaderValue>,
}

impl Refused {
    fn new(code: &'static str, status: StatusCode, detail: &'static str) -> Self {
        Self {
            code,
            status,
            detail,
            retry_after: None,
            www_authenticate: None,
        }
    }

    /// No credentials, or wrong ones.
    pub(crate) fn unauthenticated(detail: &'static str, challenge: Option<HeaderValue>) -> Self {
        Self {
            www_authenticate: challenge,
            ..Self::new("identity/unauthenticated", StatusCode::UNAUTHORIZED, detail)
        }
    }

    /// Good credentials, of an Application other than the path's.
    pub(crate) fn other_application() -> Self {
        Self::new(
            "identity/other-application",
            StatusCode::FORBIDDEN,
            "the credentials are those of another application than the path's",
        )
    }

    /// The path names an Application that does not exist.
    pub(crate) fn unknown_application() -> Self {
        Self::new(
            "identity/unknown-application",
            StatusCode::NOT_FOUND,
            "there is no application of the path's name",
        )
    }

    /// The address has failed too often. `Retry-After` is in whole seconds, so it is rounded up.
    pub(crate) fn too_many_failures(wait: Duration) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(wait.as_secs() + 1)),
            ..Self::new(
                "identity/too-many-failures",
                StatusCode::TOO_MANY_REQUESTS,
                "too many failed attempts from this address",
            )
        }
    }

    /// Nothing is known against the sender; what would prove it is missing on this side.
    pub(crate) fn unavailable() -> Self {
        Self {
            retry_after: Some(UNAVAILABLE_RETRY),
            ..Self::new(
                "identity/unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "the credentials cannot be checked at present",
            )
        }
    }
}
