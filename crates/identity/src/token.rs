//! JSON Web Tokens in their compact form, before and after their signature is verified.

use base64::Engine;
use jsonwebtoken::{Algorithm, decode_header};

use crate::{
    claims::Claims,
    public_key::{BASE64_URL, PublicKey},
};

/// Bytes of a token; those of large identity providers have two or three kilobytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Why a token does not let its sender in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not from this issuer, not signed by it, or not for this client.
    Wrong,
    /// Right in all but its time, which is over.
    Expired,
    /// Right in all but its time, which has not come.
    NotYetValid,
    /// The issuer's keys are missing.
    Unavailable,
}

impl Fault {
    /// The one of two that says more: what is missing here, then what may be told.
    pub(crate) fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unavailable, _) | (_, Self::Unavailable) => Self::Unavailable,
            (Self::Wrong, other) => other,
            (fault, _) => fault,
        }
    }
}

/// A token in three parts. Its claims are reached through a verifying key only, except for the
/// issuer, which says whose keys to take.
pub(crate) struct Token {
    algorithm: Algorithm,
    /// The `kid` of the key that its sender says it was signed with.
    pub(crate) key_id: Option<String>,
    signed: Vec<u8>,
    signature: Vec<u8>,
    claims: Claims,
}

impl Token {
    /// Reads a token; none where it has not the form of one, is signed by no public key, or demands
    /// extensions.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let header = decode_header(text).ok()?;
        let symmetric = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        if header.crit.is_some() || symmetric.contains(&header.alg) {
            return None;
        }
        let mut parts = text.rsplitn(2, |byte| *byte == b'.');
        let signature = BASE64_URL.decode(parts.next()?).ok()?;
        let signed = parts.next()?;
        let mut halves = signed.split(|byte| *byte == b'.');
        let (_, claims) = (halves.next()?, halves.next()?);
        if halves.next().is_some() {
            return None;
        }
        let claims = serde_json::from_slice(&BASE64_URL.decode(claims).ok()?).ok()?;
        Some(Self {
            algorithm: header.alg,
            key_id: header.kid,
            signed: signed.to_vec(),
            signature,
            claims,
        })
    }

    /// The issuer that it names; nobody has verified it.
    pub(crate) fn alleged_issuer(&self) -> Option<&str> {
        self.claims.issuer()
    }

    /// The algorithm that it says it is signed with.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The claims, if the key has signed them.
    pub(crate) fn verified_by(&self, key: &PublicKey) -> Option<&Claims> {
        key.verifies(self.algorithm, &self.signed, &self.signature)
            .then_some(&self.claims)
    }
}
