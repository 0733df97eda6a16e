//! Requests to the admin door of a running Tidegate.

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header::CONTENT_TYPE};
use serde_json::Value;

use super::http_client::HttpClient;

/// Where the admin door is.
#[derive(Debug, clap::Args)]
pub(super) struct AdminDoor {
    /// The admin door of a running Tidegate
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8081",
        global = true
    )]
    admin: String,
}

/// Speaks to the admin door.
pub(super) struct AdminClient<'a> {
    address: &'a str,
    client: HttpClient,
}

/// What was asked for and is not there, or was not done.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {detail}")]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) code: String,
    detail: String,
}

impl<'a> AdminClient<'a> {
    pub(super) fn of(door: &'a AdminDoor) -> anyhow::Result<Self> {
        Ok(Self {
            address: door.admin.trim_end_matches('/'),
            client: HttpClient::new()?,
        })
    }

    /// The answer's JSON; a refusal is a [`Refused`].
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let uri: Uri = format!("{}{path}", self.address)
            .parse()
            .with_context(|| format!("--admin {}", self.address))?;
        let mut headers = HeaderMap::new();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let asked = self.client.send(method, &uri, headers, Bytes::from(body));
        let (status, body) = asked.await?;
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let Some(code) = text("code") else {
            bail!(
                "{uri} answered {status}: is it the admin door? {}",
                body.trim()
            );
        };
        Err(Refused {
            status,
            code: code.to_owned(),
            detail: text("detail").unwrap_or_default().to_owned(),
        }
        .into())
    }
}
