//! Concur's `Concur-Signature`: base64 of an RSA signature (PKCS#1 v1.5, SHA-256) of the body.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderMap;
use jsonwebtoken::Algorithm;

use crate::{certificate::only, public_key::PublicKey};

/// The signature, to be held against the body. It covers no time: whoever has seen a message can
/// send it again, and only the event's id tells.
#[derive(Clone)]
pub(crate) struct Signed {
    keys: Arc<[PublicKey]>,
    signature: Vec<u8>,
}

impl Signed {
    /// The signature of a request; none where there is none.
    pub(crate) fn of(headers: &HeaderMap, keys: &Arc<[PublicKey]>) -> Option<Self> {
        let value = only(headers, "concur-signature")?;
        Some(Self {
            keys: Arc::clone(keys),
            signature: STANDARD.decode(value.as_bytes()).ok()?,
        })
    }

    /// Whether one of the keys has signed this body.
    pub(crate) fn fits(&self, body: &[u8]) -> bool {
        self.keys
            .iter()
            .any(|key| key.verifies(Algorithm::RS256, body, &self.signature))
    }
}
