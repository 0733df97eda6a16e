//! Tokens by OAuth 2.0 client credentials (RFC 6749 §4.4): fetched once for all attempts, and
//! again before they end.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use tidegate_subscription::OAuth2;
use tokio::time::{Instant, timeout};
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::{bearer, secret};
use crate::{body::Pieces, client::told, connections::Connections, live::Live};

/// How long a token endpoint may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of its answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// How long a token is used whose end is not told; a sink that refuses it sooner is heard.
const LIFE_DEFAULT: Duration = Duration::from_secs(300);

/// Longest life that is believed.
const LIFE_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long before its end a token is replaced, at most: a tenth of its life.
const EARLY_MAX: Duration = Duration::from_secs(60);

/// The tokens of one client.
#[derive(Debug)]
pub(crate) struct Tokens {
    oauth2: OAuth2,
    login: Live<HeaderValue>,
    current: Mutex<Option<Token>>,
    /// Held while one is fetched, so that it is fetched once.
    fetching: Fetching,
}

type Fetching = tokio::sync::Mutex<()>;

#[derive(Clone, Debug)]
struct Token {
    value: HeaderValue,
    /// From here on another is fetched.
    replace_at: Instant,
    ends_at: Instant,
}

/// From a failure to replace a token that is still valid to the next try.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// RFC 6749 §5.1
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
}

/// RFC 6749 §5.2
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Tokens {
    pub(crate) fn new(oauth2: &OAuth2, folder: &Path) -> Self {
        let client_id = oauth2.client_id.clone();
        let login = Live::new(&oauth2.client_secret, folder, move |content| {
            login(&client_id, content.trim_ascii())
        });
        Self {
            oauth2: oauth2.clone(),
            login,
            current: Mutex::new(None),
            fetching: Fetching::default(),
        }
    }

    /// One that is valid now.
    pub(crate) async fn get(&self, connections: &Connections) -> Result<HeaderValue, String> {
        let now = Instant::now();
        let Some(token) = self.known().filter(|token| now < token.ends_at) else {
            let _one = self.fetching.lock().await;
            return match self.known().filter(|token| Instant::now() < token.ends_at) {
                Some(fetched_meanwhile) => Ok(fetched_meanwhile.value),
                None => self.fetch(connections).await,
            };
        };
        // One attempt asks for the next token; the others go on with this one.
        if now >= token.replace_at
            && let Ok(_one) = self.fetching.try_lock()
        {
            match self.fetch(connections).await {
                Ok(value) => return Ok(value),
                Err(error) => {
                    tracing::debug!(error, "the token is used on: there is no other");
                    self.know(Some(Token {
                        replace_at: Instant::now() + ASK_AGAIN,
                        ..token.clone()
                    }));
                }
            }
        }
        Ok(token.value)
    }

    /// One in the place of what a sink refused; the same for all that were refused with it.
    pub(crate) async fn renew(
        &self,
        refused: &HeaderValue,
        connections: &Connections,
    ) -> Result<HeaderValue, String> {
        let _one = self.fetching.lock().await;
        match self.known() {
            Some(token) if token.value != refused => Ok(token.value),
            Some(_) | None => {
                self.know(None);
                self.fetch(connections).await
            }
        }
    }

    fn known(&self) -> Option<Token> {
        self.lock().clone()
    }

    fn know(&self, token: Option<Token>) {
        *self.lock() = token;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Token>> {
        // Every change is complete before anything in it can panic.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only by whoever holds `fetching`.
    async fn fetch(&self, connections: &Connections) -> Result<HeaderValue, String> {
        let asked = timeout(TIMEOUT, self.ask(connections)).await;
        let token = asked
            .unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")))
            .map_err(|reason| format!("no token from {}: {reason}", self.oauth2.token_url))?;
        let value = token.value.clone();
        self.know(Some(token));
        Ok(value)
    }

    async fn ask(&self, connections: &Connections) -> Result<Token, String> {
        let asked_at = Instant::now();
        let request = self.request()?;
        connections
            .egress
            .check_host(request.uri())
            .map_err(|refused| refused.to_string())?;
        let answer = connections.usual().pool()?.request(request).await;
        let (head, body) = answer.map_err(|error| told(&error))?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|_| "its answer broke off or is longer than 64 KiB".to_owned())?;
        let body = body.to_bytes();
        if head.status != StatusCode::OK {
            // The word that the specification has for it; anything else may repeat a secret.
            let word = serde_json::from_slice(&body).ok();
            let word = word.map(|Refusal { error }| error);
            let is_word = |word: &String| {
                word.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            };
            let word = word.filter(|word| word.len() <= 64 && is_word(word));
            let status = head.status;
            return Err(match word {
                Some(word) => format!("it answered {status}, {word}"),
                None => format!("it answered {status}"),
            });
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| "its answer is not the document it should be".to_owned())?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            return Err("its token is no bearer token".to_owned());
        }
        let life = answer.expires_in.map_or(LIFE_DEFAULT, Duration::from_secs);
        let life = life.min(LIFE_MAX);
        Ok(Token {
            value: bearer(answer.access_token.as_bytes())?,
            replace_at: asked_at + life - (life / 10).min(EARLY_MAX),
            ends_at: asked_at + life,
        })
    }

    fn request(&self) -> Result<Request<Pieces>, String> {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.oauth2.scopes.is_empty() {
            form.append_pair("scope", &self.oauth2.scopes.join(" "));
        }
        if let Some(audience) = &self.oauth2.audience {
            form.append_pair("audience", audience);
        }
        Request::builder()
            .method(Method::POST)
            .uri(self.oauth2.token_url.as_str())
            .header(header::AUTHORIZATION, &*self.login.get()?)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Pieces::of(form.finish().into()))
            .map_err(|error| error.to_string())
    }
}

/// RFC 6749 §2.3.1: both parts are form-encoded first.
fn login(client_id: &str, client_secret: &[u8]) -> Result<HeaderValue, String> {
    if client_secret.is_empty() {
        return Err("is empty".to_owned());
    }
    let mut text = Zeroizing::new(String::new());
    text.extend(byte_serialize(client_id.as_bytes()));
    text.push(':');
    text.extend(byte_serialize(client_secret));
    secret(&format!("Basic {}", STANDARD.encode(&*text)))
}
