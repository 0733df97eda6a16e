//! What an operation answers when it is not done (RFC 9457).

use axum::{
    Extension, Json,
    extract::rejection::{JsonRejection, QueryRejection},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use tidegate_backbone::ControlError;

/// A problem.
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) detail: String,
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "admin/invalid-query",
            detail: rejection.body_text(),
        }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self {
            status: rejection.status(),
            code: "admin/invalid-body",
            detail: rejection.body_text(),
        }
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "admin/log-unavailable",
            detail: error.to_string(),
        }
    }
}

/// The code of a problem, for whoever tells of the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code(pub(super) &'static str);

/// A problem's body.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Body {
    /// `urn:tidegate:error:` and the code.
    r#type: String,
    /// The same for a status.
    title: &'static str,
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// Stable; see the documentation.
    code: &'static str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: format!("urn:tidegate:error:{}", self.code),
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code,
        };
        let content_type = [(CONTENT_TYPE, "application/problem+json")];
        let code = Extension(Code(self.code));
        (self.status, content_type, code, Json(body)).into_response()
    }
}
