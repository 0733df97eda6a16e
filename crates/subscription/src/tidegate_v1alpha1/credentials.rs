//! `spec.delivery.auth`, `.signing` and `.tls`: how a sink knows Tidegate, and Tidegate the sink.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;
use tidegate_document::{Mistakes, Secret, line_of};

use super::delivery::number;
use crate::{
    delivery::{Auth, OAuth2, Tls, WebHook},
    sink::address,
};

/// Keys that sign: a rotation needs two.
const KEYS_MAX: usize = 2;

/// Most requests a minute that can be asked for; above, it is any number.
const RATE_MAX: u32 = 60_000_000;

/// Scopes of a token.
const SCOPES_MAX: usize = 32;

/// How Tidegate proves to the sink who it is: one of them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Auth", extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct AuthSpec {
    /// User name and password.
    basic: Option<BasicSpec>,
    /// A token that somebody else renews.
    bearer: Option<BearerSpec>,
    /// A token by OAuth 2.0 client credentials.
    oauth2: Option<OAuth2Spec>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Basic")]
struct BasicSpec {
    /// The user name.
    #[schemars(with = "String", extend("pattern" = "^[^:]*$"))]
    username: Spanned<String>,
    password: Secret,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Bearer")]
struct BearerSpec {
    /// Read again when it changes, and when the sink answers 401.
    token: Secret,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "OAuth2")]
struct OAuth2Spec {
    /// The token endpoint, an https address; http on loopback only.
    #[schemars(
        with = "String",
        extend("pattern" = "^(https://|http://(localhost|127\\.0\\.0\\.1|\\[::1\\])[:/])")
    )]
    token_url: Spanned<String>,
    /// As whom the token is asked for.
    #[schemars(with = "String", length(min = 1))]
    client_id: Spanned<String>,
    client_secret: Secret,
    /// What the token is to allow.
    #[serde(default)]
    #[schemars(with = "Vec<String>", length(max = SCOPES_MAX), inner(regex(pattern = "^[!#-\\[\\]-~]+$")))]
    scopes: Vec<Spanned<String>>,
    /// For whom the token is, where the endpoint wants to know.
    audience: Option<String>,
}

/// Signatures of each request (Standard Webhooks).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Signing")]
pub(super) struct SigningSpec {
    /// Each request is signed with each: `whsec_` (HMAC-SHA256) or `whsk_` (ed25519) and base64.
    /// Two, while one takes the place of the other.
    #[schemars(with = "Vec<Secret>", length(min = 1, max = KEYS_MAX))]
    keys: Spanned<Vec<Secret>>,
}

/// TLS to the sink. All files are PEM.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "Tls",
    extend("dependentRequired" = { "certificate": ["key"], "key": ["certificate"] })
)]
pub(super) struct TlsSpec {
    /// The authorities that the sink's certificate may be from, instead of the usual ones.
    ca: Option<Secret>,
    /// The certificate that the sink is shown, followed by those that lead to its authority.
    certificate: Option<Secret>,
    /// The certificate's key.
    key: Option<Secret>,
}

/// The permission that the sink is asked for before anything is sent to it (CloudEvents HTTP 1.1
/// Web Hooks §4).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebHook")]
pub(super) struct WebHookSpec {
    /// As whom Tidegate asks: a host's name.
    #[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9.-]{1,255}$"))]
    origin: Spanned<String>,
    /// How many requests a minute are asked for.
    #[schemars(with = "Option<i64>", range(min = 1, max = RATE_MAX))]
    rate: Option<Spanned<i64>>,
}

pub(super) fn auth(spec: Spanned<AuthSpec>, mistakes: &mut Mistakes) -> Option<Auth> {
    let line = line_of(&spec);
    let AuthSpec {
        basic,
        bearer,
        oauth2,
    } = spec.value;
    match (basic, bearer, oauth2) {
        (Some(basic), None, None) => {
            let BasicSpec { username, password } = basic;
            // RFC 7617 §2: the first colon ends the user name.
            if username.value.contains(':') {
                let field = "spec.delivery.auth.basic.username";
                mistakes.add(line_of(&username), field, "must not contain a colon");
            }
            Some(Auth::Basic {
                username: username.value,
                password,
            })
        }
        (None, Some(BearerSpec { token }), None) => Some(Auth::Bearer { token }),
        (None, None, Some(spec)) => oauth2_of(spec, mistakes),
        _ => {
            let message = "must have one of basic, bearer and oauth2";
            mistakes.add(line, "spec.delivery.auth", message);
            None
        }
    }
}

fn oauth2_of(spec: OAuth2Spec, mistakes: &mut Mistakes) -> Option<Auth> {
    const FIELD: &str = "spec.delivery.auth.oauth2";
    if spec.client_id.value.is_empty() {
        let line = line_of(&spec.client_id);
        mistakes.add(line, &format!("{FIELD}.clientId"), "must be set");
    }
    if spec.scopes.len() > SCOPES_MAX {
        let message = format!(
            "must not be more than {SCOPES_MAX}, got {}",
            spec.scopes.len()
        );
        mistakes.add(None, &format!("{FIELD}.scopes"), message);
    }
    for scope in &spec.scopes {
        // RFC 6749 §3.3
        let is_token = |byte: u8| (0x21..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
        if scope.value.is_empty() || !scope.value.bytes().all(is_token) {
            let message = format!("is no scope, got {:?}", scope.value);
            mistakes.add(line_of(scope), &format!("{FIELD}.scopes"), message);
        }
    }
    let line = line_of(&spec.token_url);
    let url = match address(&spec.token_url.value) {
        Ok(url) => url,
        Err(message) => {
            mistakes.add(line, &format!("{FIELD}.tokenUrl"), message);
            return None;
        }
    };
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() != "https" && !is_local {
        let message = "must be https: the client's secret travels to it";
        mistakes.add(line, &format!("{FIELD}.tokenUrl"), message);
    }
    Some(Auth::OAuth2(OAuth2 {
        token_url: url,
        client_id: spec.client_id.value,
        client_secret: spec.client_secret,
        scopes: spec.scopes.into_iter().map(|scope| scope.value).collect(),
        audience: spec.audience,
    }))
}

pub(super) fn webhook(spec: WebHookSpec, mistakes: &mut Mistakes) -> Option<WebHook> {
    let WebHookSpec { origin, rate } = spec;
    let rate = match rate {
        None => None,
        Some(rate) => Some(number(&rate, "webhook.rate", RATE_MAX, mistakes)?),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    if !(1..=255).contains(&origin.value.len()) || !origin.value.bytes().all(is_name) {
        let message = format!("must be the name of a host, got {:?}", origin.value);
        mistakes.add(line_of(&origin), "spec.delivery.webhook.origin", message);
    }
    Some(WebHook {
        origin: origin.value,
        rate,
    })
}

pub(super) fn signing(spec: Option<SigningSpec>, mistakes: &mut Mistakes) -> Vec<Secret> {
    let Some(SigningSpec { keys }) = spec else {
        return Vec::new();
    };
    if keys.value.is_empty() || keys.value.len() > KEYS_MAX {
        let message = format!("must be one or two keys, got {}", keys.value.len());
        mistakes.add(line_of(&keys), "spec.delivery.signing.keys", message);
    }
    keys.value
}

pub(super) fn tls(spec: Option<Spanned<TlsSpec>>, mistakes: &mut Mistakes) -> Tls {
    const FIELD: &str = "spec.delivery.tls";
    let Some(spec) = spec else {
        return Tls::default();
    };
    let line = line_of(&spec);
    let TlsSpec {
        ca,
        certificate,
        key,
    } = spec.value;
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            let message = "must be set: a certificate is shown with its key";
            mistakes.add(line, &format!("{FIELD}.key"), message);
            None
        }
        (None, Some(_)) => {
            let message = "must be set: a key is used with its certificate";
            mistakes.add(line, &format!("{FIELD}.certificate"), message);
            None
        }
    };
    Tls { ca, client }
}
