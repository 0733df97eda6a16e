//! Customer Data Cloud's `X-Gigya-Sig-Jwt`: a JWT with RS256, as fresh as its `iat`.
//!
//! What is proved is that the holder of the key has made the token a short while ago. Whether the
//! token carries a hash of the body in a claim is not relied upon, so it is not bound to the body
//! here: whoever has seen it can send another body with it while it is fresh. TLS has to keep it
//! from being seen.

use std::{sync::Arc, time::Duration, time::SystemTime};

use http::HeaderMap;
use jsonwebtoken::Algorithm;
use serde_json::Value;

use crate::{
    certificate::only,
    public_key::PublicKey,
    token::{Fault, Token},
};

/// Keys in one answer of `accounts.getJWTPublicKey`.
const KEYS_MAX: usize = 8;

/// The keys of a site, and how fresh its tokens have to be.
#[derive(Clone, Debug)]
pub(crate) struct GigyaJwt {
    keys: Arc<[PublicKey]>,
    tolerance: Duration,
}

impl GigyaJwt {
    /// Reads PEM, or the JSON that `accounts.getJWTPublicKey` answers: one JWK or a set of them.
    pub(crate) fn new(text: &[u8], tolerance: Duration) -> Result<Self, &'static str> {
        let keys = if text.trim_ascii_start().starts_with(b"{") {
            from_json(text)?
        } else {
            PublicKey::rsa_from_pem(text)?
        };
        Ok(Self {
            keys: keys.into(),
            tolerance,
        })
    }

    /// Whether the request has the site's token.
    pub(crate) fn check(&self, headers: &HeaderMap, now: SystemTime) -> Result<(), Fault> {
        let value = only(headers, "x-gigya-sig-jwt").ok_or(Fault::Wrong)?;
        let token = Token::parse(value.as_bytes()).ok_or(Fault::Wrong)?;
        if token.algorithm() != Algorithm::RS256 {
            return Err(Fault::Wrong);
        }
        let claims = self.keys.iter().find_map(|key| token.verified_by(key));
        claims
            .ok_or(Fault::Wrong)?
            .check_freshness(now, self.tolerance)
    }
}

fn from_json(text: &[u8]) -> Result<Vec<PublicKey>, &'static str> {
    const NO_KEY: &str = "has no public key, neither PEM nor JWK";
    let answer: Value = serde_json::from_slice(text).map_err(|_| "is broken JSON")?;
    let keys: Vec<_> = match answer.get("keys") {
        Some(Value::Array(keys)) => keys.iter().filter_map(PublicKey::from_jwk).collect(),
        Some(_) => return Err(NO_KEY),
        None => PublicKey::from_jwk(&answer).into_iter().collect(),
    };
    match keys.len() {
        0 => Err(NO_KEY),
        1..=KEYS_MAX => Ok(keys),
        _ => Err("has more than 8 keys"),
    }
}
