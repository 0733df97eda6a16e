//! `Authorization`: basic, bearer, and OAuth 2.0 client credentials.

mod oauth2;

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use tidegate_subscription::{Auth, Secret};
use zeroize::Zeroizing;

use self::oauth2::Tokens;
use crate::{connections::Connections, live::Live};

/// What a Subscription's requests prove themselves with.
#[derive(Debug)]
pub(crate) enum Credentials {
    /// The same for each request, until somebody rotates it.
    Kept(Live<HeaderValue>),
    /// One that is fetched.
    Fetched(Box<Tokens>),
}

impl Credentials {
    pub(crate) fn new(auth: &Auth, folder: &Path) -> Self {
        match auth {
            Auth::Basic { username, password } => {
                let username = username.clone();
                Self::kept(password, folder, move |password| basic(&username, password))
            }
            Auth::Bearer { token } => Self::kept(token, folder, bearer),
            Auth::OAuth2(oauth2) => Self::Fetched(Box::new(Tokens::new(oauth2, folder))),
        }
    }

    fn kept(
        secret: &Secret,
        folder: &Path,
        value: impl Fn(&[u8]) -> Result<HeaderValue, String> + Send + Sync + 'static,
    ) -> Self {
        Self::Kept(Live::new(secret, folder, move |content| {
            let content = content.trim_ascii();
            if content.is_empty() {
                return Err("is empty".to_owned());
            }
            value(content)
        }))
    }

    /// What to send.
    pub(crate) async fn authorization(
        &self,
        connections: &Connections,
    ) -> Result<HeaderValue, String> {
        match self {
            Self::Kept(live) => live.get().map(|value| (*value).clone()),
            Self::Fetched(tokens) => tokens.get(connections).await,
        }
    }

    /// What to send in the place of what the sink refused by 401; none, where there is nothing
    /// else.
    pub(crate) async fn another(
        &self,
        refused: &HeaderValue,
        connections: &Connections,
    ) -> Option<HeaderValue> {
        let another = match self {
            Self::Kept(live) => live.now().map(|value| (*value).clone()),
            Self::Fetched(tokens) => tokens.renew(refused, connections).await,
        };
        another.ok().filter(|another| another != refused)
    }
}

/// RFC 7617 §2.
fn basic(username: &str, password: &[u8]) -> Result<HeaderValue, String> {
    let login = Zeroizing::new([username.as_bytes(), b":", password].concat());
    secret(&format!("Basic {}", STANDARD.encode(&*login)))
}

/// RFC 6750 §2.1.
fn bearer(token: &[u8]) -> Result<HeaderValue, String> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    match str::from_utf8(token) {
        Ok(text) if token.iter().all(is_token) => secret(&format!("Bearer {text}")),
        Ok(_) | Err(_) => Err("is no bearer token".to_owned()),
    }
}

fn secret(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text).map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}
