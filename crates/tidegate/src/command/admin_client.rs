//! Requests to the admin door of a running Tidegate.

use std::{fs, ops::ControlFlow, path::PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

use super::{http_client::HttpClient, server_sent::Parser};

/// More is no problem of this door, but somebody else's page.
const PROBLEM_BYTES_MAX: usize = 64 << 10;

/// Where the admin door is, and how to come in.
#[derive(Debug, clap::Args)]
pub(super) struct AdminDoor {
    /// The admin door of a running Tidegate
    #[arg(
        long,
        value_name = "URL",
        env = "TIDEGATE_ADMIN",
        default_value = "http://127.0.0.1:8081",
        global = true
    )]
    admin: String,
    /// The file of the token that lets in there, where admin.tokens names some
    #[arg(
        long,
        value_name = "FILE",
        env = "TIDEGATE_ADMIN_TOKEN_FILE",
        global = true
    )]
    token_file: Option<PathBuf>,
}

/// Speaks to the admin door.
pub(super) struct AdminClient<'a> {
    address: &'a str,
    authorization: Option<HeaderValue>,
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
        let authorization = door.token_file.as_ref().map(|file| {
            let about = || format!("--token-file {}", file.display());
            let secret = fs::read_to_string(file).with_context(about)?;
            let value = HeaderValue::from_str(&format!("Bearer {}", secret.trim()));
            let mut value = value.with_context(about)?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        Ok(Self {
            address: door.admin.trim_end_matches('/'),
            authorization: authorization.transpose()?,
            client: HttpClient::new()?,
        })
    }

    fn uri(&self, path: &str) -> anyhow::Result<Uri> {
        format!("{}{path}", self.address)
            .parse()
            .with_context(|| format!("--admin {}", self.address))
    }

    fn headers(&self) -> HeaderMap {
        let authorization = self.authorization.clone();
        let authorization = authorization.map(|value| (AUTHORIZATION, value));
        authorization.into_iter().collect()
    }

    /// The answer's JSON; a refusal is a [`Refused`].
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let uri = self.uri(path)?;
        let mut headers = self.headers();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let asked = self.client.send(method, &uri, headers, Bytes::from(body));
        let (status, body) = asked.await?;
        answer(&uri, status, &body)
    }

    /// Sees each server-sent event, its name and its data, until it is enough or there are no more.
    pub(super) async fn follow(
        &self,
        path: &str,
        mut with: impl FnMut(&str, &str) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<()> {
        let uri = self.uri(path)?;
        let response = self.client.open(&uri, self.headers()).await?;
        let status = response.status();
        if !status.is_success() {
            let body = Limited::new(response.into_body(), PROBLEM_BYTES_MAX);
            let body = body.collect().await.map_err(anyhow::Error::from_boxed)?;
            return answer(&uri, status, &String::from_utf8_lossy(&body.to_bytes())).map(drop);
        }
        let (mut body, mut parser) = (response.into_body(), Parser::default());
        while let Some(frame) = body.frame().await {
            let frame = frame.with_context(|| format!("{uri} broke off"))?;
            let bytes = frame.into_data().unwrap_or_default();
            for (event, data) in parser.push(&bytes)? {
                if with(&event, &data)?.is_break() {
                    return Ok(());
                }
            }
        }
        bail!("{uri} ended: begin again to go on");
    }
}

fn answer(uri: &Uri, status: StatusCode, body: &str) -> anyhow::Result<Value> {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
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
