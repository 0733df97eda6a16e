//! Keys of the tests, and tokens signed with them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair},
};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};

use crate::house::NOW;

/// Made for these tests; they open nothing.
const FIRST: &[u8] = include_bytes!("keys/first.pem");
const SECOND: &[u8] = include_bytes!("keys/second.pem");

/// The public halves.
pub(crate) const FIRST_PUBLIC: &str = include_str!("keys/first.pub.pem");
pub(crate) const SECOND_PUBLIC: &str = include_str!("keys/second.pub.pem");

pub(crate) struct Signer {
    kid: &'static str,
    pair: RsaKeyPair,
}

pub(crate) fn first() -> Signer {
    signer("first", FIRST)
}

pub(crate) fn second() -> Signer {
    signer("second", SECOND)
}

fn signer(kid: &'static str, pem: &[u8]) -> Signer {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem).unwrap();
    Signer {
        kid,
        pair: RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap(),
    }
}

impl Signer {
    pub(crate) fn jwk(&self) -> Value {
        let parts = PublicKeyComponents::<Vec<u8>>::from(self.pair.public());
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
            "n": URL_SAFE_NO_PAD.encode(parts.n), "e": URL_SAFE_NO_PAD.encode(parts.e),
        })
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .unwrap();
        signature
    }

    fn sign_pss(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(
                &RSA_PSS_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .unwrap();
        signature
    }

    /// An RS256 token with the key's `kid`.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_of(&json!({"alg": "RS256", "kid": self.kid}), claims)
    }

    /// A token with that header, whatever it says of the signature.
    pub(crate) fn token_of(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let signature = if header["alg"] == "PS256" {
            self.sign_pss(signed.as_bytes())
        } else {
            self.sign(signed.as_bytes())
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Header and claims without a signature.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// A token that takes bytes that everybody knows for a secret.
pub(crate) fn symmetric(kid: &str, secret: &[u8], claims: &Value) -> String {
    let signed = unsigned(&json!({"alg": "HS256", "kid": kid}), claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Claims that are in order for an hour.
pub(crate) fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer, "aud": ["tidegate", "other"], "azp": "shop", "sub": "client",
        "scope": "events.write events.read", "exp": NOW + 3600, "nbf": NOW - 10,
    })
}
