//! Requests to the admin door of a running Tidegate.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use super::{
    contexts::{Context, Contexts},
    http_client::{HttpClient, Trust},
    server_sent::Parser,
};

/// More is no problem of this door, but somebody else's page.
const PROBLEM_BYTES_MAX: usize = 64 << 10;

/// Items of one page of a list, and of all of its pages: more is no list of this door.
const PAGE: usize = 1_000;
const ITEMS_MAX: usize = 1_000_000;

/// Where the admin door is, and how to come in.
#[derive(Debug, clap::Args)]
pub(super) struct AdminDoor {
    /// The admin door of a running Tidegate; without it, that of the context in use, or else
    /// http://127.0.0.1:8081
    #[arg(long, value_name = "URL", env = "TIDEGATE_ADMIN", global = true)]
    admin: Option<String>,
    /// The context, in the place of the one in use
    #[arg(long, value_name = "NAME", global = true)]
    context: Option<String>,
    /// The folder of contexts.yaml, in the place of ~/.config/tidegate
    #[arg(long, value_name = "DIR", env = "TIDEGATE_CONTEXTS", global = true)]
    contexts: Option<PathBuf>,
    /// The file of the token that lets in there, read for each request: a secret of admin.tokens, or
    /// a token (JWT) of the issuer of admin.oidc
    #[arg(
        long,
        value_name = "FILE",
        env = "TIDEGATE_ADMIN_TOKEN_FILE",
        global = true
    )]
    token_file: Option<PathBuf>,
    /// The authorities of the door's certificate, in the place of the machine's own
    #[arg(long, value_name = "FILE", env = "TIDEGATE_ADMIN_CA", global = true)]
    ca: Option<PathBuf>,
    /// A client certificate, where admin.tls.client_ca wants one; with --key
    #[arg(
        long,
        value_name = "FILE",
        env = "TIDEGATE_ADMIN_CERTIFICATE",
        global = true
    )]
    certificate: Option<PathBuf>,
    /// The key of the client certificate
    #[arg(long, value_name = "FILE", env = "TIDEGATE_ADMIN_KEY", global = true)]
    key: Option<PathBuf>,
}

/// Where it is when nothing else is said.
const LOCAL: &str = "http://127.0.0.1:8081";

impl AdminDoor {
    /// The door, and how to come in. What a context says is for its own door alone.
    fn found(&self) -> anyhow::Result<Context> {
        let given = |admin: String| Context {
            name: String::new(),
            admin,
            token_file: self.token_file.clone(),
            ca: self.ca.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        };
        // One that is named counts more than an address, which may be of the environment.
        if let (Some(address), None) = (&self.admin, &self.context) {
            return Ok(given(address.clone()));
        }
        let contexts = Contexts::load(self.contexts.clone())?;
        let Some(name) = self.context.as_ref().or(contexts.used.as_ref()) else {
            return Ok(given(LOCAL.to_owned()));
        };
        let named = contexts.named(name)?.clone();
        Ok(given(named.admin.clone()).or(named))
    }
}

/// Speaks to the admin door.
pub(super) struct AdminClient {
    address: String,
    token_file: Option<PathBuf>,
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

impl AdminClient {
    pub(super) fn of(door: &AdminDoor) -> anyhow::Result<Self> {
        let Context {
            admin: address,
            token_file,
            ca,
            certificate,
            key,
            ..
        } = door.found()?;
        let trust = Trust {
            ca,
            certificate,
            key,
        };
        Ok(Self {
            address: address.trim_end_matches('/').to_owned(),
            token_file,
            client: HttpClient::new(&trust)?,
        })
    }

    fn uri(&self, path: &str) -> anyhow::Result<Uri> {
        format!("{}{path}", self.address)
            .parse()
            .with_context(|| format!("the admin door {}", self.address))
    }

    /// The token is read each time: whoever renews it puts a new one there.
    fn headers(&self) -> anyhow::Result<HeaderMap> {
        let authorization = self.token_file.as_deref().map(authorization).transpose()?;
        let authorization = authorization.map(|value| (AUTHORIZATION, value));
        Ok(authorization.into_iter().collect())
    }

    /// The answer's JSON; a refusal is a [`Refused`].
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let uri = self.uri(path)?;
        let mut headers = self.headers()?;
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let asked = self.client.send(method, &uri, headers, Bytes::from(body));
        let (status, body) = asked.await?;
        answer(&uri, status, &body)
    }

    /// A list whose items have names, all of its pages in one. What stands beside the items is that
    /// of the last page.
    pub(super) async fn list(&self, path: &str) -> anyhow::Result<Value> {
        let (mut all, mut query) = (Vec::new(), format!("{path}?limit={PAGE}"));
        loop {
            let mut page = self.ask(Method::GET, &query, None).await?;
            let next = page.get_mut("next").map(Value::take);
            let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) else {
                bail!("{path}: the answer has no items");
            };
            let is_empty = items.is_empty();
            all.extend(items);
            match next.as_ref().and_then(Value::as_str) {
                Some(_) if is_empty || all.len() > ITEMS_MAX => {
                    bail!("{path}: its pages have no end")
                }
                Some(next) => {
                    let next: String = byte_serialize(next.as_bytes()).collect();
                    query = format!("{path}?limit={PAGE}&from={next}");
                }
                None => {
                    if let Some(page) = page.as_object_mut() {
                        page.remove("next");
                        page.insert("items".to_owned(), Value::Array(all));
                    }
                    return Ok(page);
                }
            }
        }
    }

    /// Sees each server-sent event, its name and its data, until it is enough or there are no more.
    pub(super) async fn follow(
        &self,
        path: &str,
        mut with: impl FnMut(&str, &str) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<()> {
        let uri = self.uri(path)?;
        let response = self.client.open(&uri, self.headers()?).await?;
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

fn authorization(token_file: &Path) -> anyhow::Result<HeaderValue> {
    let about = || format!("the token {}", token_file.display());
    let secret = fs::read_to_string(token_file).with_context(about)?;
    let value = HeaderValue::from_str(&format!("Bearer {}", secret.trim()));
    let mut value = value.with_context(about)?;
    value.set_sensitive(true);
    Ok(value)
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
