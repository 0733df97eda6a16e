//! How a connected system proves who it is. Secrets are named here, never held.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use tidegate_document::Secret;

/// One way to prove it. An Application may list several; any one is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Authentication {
    /// Nobody is asked. Has to be written out.
    None(None),
    /// A client certificate on Tidegate's own TLS listener.
    Mtls(Certificate),
    /// A client certificate that a trusted proxy has checked and forwards in a header.
    ForwardedCertificate(ForwardedCertificate),
    /// A bearer token, a JWT of an OAuth2 or OpenID Connect issuer.
    Oidc(Oidc),
    /// User name and password.
    Basic(Basic),
    /// A key in a header.
    ApiKey(ApiKey),
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature` (Standard Webhooks, HMAC-SHA256).
    StandardWebhooks(StandardWebhooks),
    /// Concur's RSA signature of the body, in `Concur-Signature`.
    ConcurSignature(PublicKey),
    /// Customer Data Cloud's signed JWT, in `X-Gigya-Sig-Jwt`.
    GigyaJwt(GigyaJwt),
    /// The `SharedSecret` in a cXML document's sender.
    CxmlSharedSecret(CxmlSharedSecret),
}

impl Authentication {
    /// The secret that it names, if it needs one.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Basic(Basic { password_hash, .. }) => Some(password_hash),
            Self::ApiKey(ApiKey { key, .. }) => Some(key),
            Self::StandardWebhooks(StandardWebhooks { secret, .. })
            | Self::CxmlSharedSecret(CxmlSharedSecret { secret, .. }) => Some(secret),
            Self::ConcurSignature(PublicKey { public_key })
            | Self::GigyaJwt(GigyaJwt { public_key, .. }) => Some(public_key),
            Self::None(_) | Self::Mtls(_) | Self::ForwardedCertificate(_) | Self::Oidc(_) => {
                Option::None
            }
        }
    }
}

/// Nothing to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct None {}

/// Which certificates are its own. What is named has to match; at least one of them is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Certificate {
    /// The subject's common name.
    pub common_name: Option<String>,
    /// One of the subject alternative names (DNS, URI or e-mail).
    pub subject_alternative_name: Option<String>,
}

/// A forwarded certificate: which proxy's header, and whose certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForwardedCertificate {
    /// Whose header it is.
    pub proxy: Proxy,
    /// The subject's common name.
    #[serde(default)]
    pub common_name: Option<String>,
    /// One of the subject alternative names (DNS, URI or e-mail).
    #[serde(default)]
    pub subject_alternative_name: Option<String>,
}

/// Proxies that forward certificates, each in a form of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Proxy {
    /// Envoy and Istio: `X-Forwarded-Client-Cert` with `Hash=…;Subject="…";URI=…` elements.
    Envoy,
    /// Cloud Foundry: `X-SSL-Client-Verify: 0`, `X-Forwarded-Client-Cert` as base64 DER,
    /// `X-SSL-Client-Subject-CN` as base64.
    CloudFoundry,
    /// nginx: `X-SSL-Client-Verify: SUCCESS`, `X-SSL-Client-Cert` as percent-encoded PEM.
    Nginx,
}

/// Rules for a JWT of an issuer. Each list that is given has to hold for the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Oidc {
    /// The issuer, as its tokens name it (`iss`); its keys are discovered at
    /// `<issuer>/.well-known/openid-configuration`.
    pub issuer: String,
    /// Where its keys are, in the place of discovery: a JWKS document.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Accepted `aud`: one of them is enough.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Accepted `azp` (`client_id` where a token has no `azp`).
    #[serde(default)]
    pub authorized_parties: Vec<String>,
    /// Accepted `sub`.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// Scopes that the token must have, all of them.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// How far clocks may differ.
    #[serde(default = "clock_skew", with = "humantime_serde")]
    #[schemars(with = "String")]
    pub clock_skew: Duration,
}

/// User name and password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Basic {
    /// The user name.
    pub username: String,
    /// The password's argon2id hash, in PHC form (`$argon2id$v=19$…`).
    pub password_hash: Secret,
}

/// A key in a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKey {
    /// The header.
    #[serde(default = "api_key_header")]
    pub header: String,
    /// The key itself, at least 16 characters.
    pub key: Secret,
}

/// A Standard Webhooks sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StandardWebhooks {
    /// The secret, as `whsec_` and base64.
    pub secret: Secret,
    /// How far `webhook-timestamp` may be from now.
    #[serde(default = "tolerance", with = "humantime_serde")]
    #[schemars(with = "String")]
    pub tolerance: Duration,
}

/// A public key as PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublicKey {
    /// `-----BEGIN PUBLIC KEY-----` or a certificate; several for a rotation.
    pub public_key: Secret,
}

/// The keys of Customer Data Cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GigyaJwt {
    /// The public keys: PEM, or what `accounts.getJWTPublicKey` answers.
    pub public_key: Secret,
    /// How far clocks may differ.
    #[serde(default = "tolerance", with = "humantime_serde")]
    #[schemars(with = "String")]
    pub tolerance: Duration,
}

/// The secret that a cXML sender puts into its documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CxmlSharedSecret {
    /// The `Identity` of the sender's credential, where it has to be a certain one.
    #[serde(default)]
    pub identity: Option<String>,
    /// The secret.
    pub secret: Secret,
}

fn clock_skew() -> Duration {
    Duration::from_secs(60)
}

fn tolerance() -> Duration {
    Duration::from_mins(5)
}

fn api_key_header() -> String {
    "x-api-key".to_owned()
}
