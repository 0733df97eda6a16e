//! Standard Webhooks 1.0.0, symmetric signatures: `v1,<base64>` over `id.timestamp.body`.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderMap;
use ring::hmac;
use zeroize::Zeroizing;

use crate::certificate::only;

/// Signatures of one message that are looked at; a rotation needs two.
const SIGNATURES_MAX: usize = 16;

/// Bytes of a secret at least; the specification asks for 24.
const SECRET_BYTES_LEAST: usize = 16;

/// A sender's secret, and how fresh its messages have to be.
#[derive(Clone)]
pub(crate) struct StandardWebhooks {
    key: hmac::Key,
    tolerance: Duration,
}

/// What the headers say, to be held against the body.
#[derive(Clone)]
pub(crate) struct Signed {
    key: hmac::Key,
    /// `id.timestamp.`, as it is signed before the body.
    beginning: Vec<u8>,
    signatures: Vec<Vec<u8>>,
}

impl StandardWebhooks {
    /// Reads the secret, with `whsec_` before it or without.
    pub(crate) fn new(secret: &[u8], tolerance: Duration) -> Result<Self, &'static str> {
        let encoded = secret.strip_prefix(b"whsec_").unwrap_or(secret);
        let secret = STANDARD.decode(encoded).map(Zeroizing::new);
        let secret = secret.map_err(|_| "the secret is not base64")?;
        if secret.len() < SECRET_BYTES_LEAST {
            return Err("the secret has less than 16 bytes");
        }
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            tolerance,
        })
    }

    /// The first half: everything but the body. None where it cannot come out well.
    pub(crate) fn signed(&self, headers: &HeaderMap, now: SystemTime) -> Option<Signed> {
        let id = only(headers, "webhook-id")?;
        let timestamp = only(headers, "webhook-timestamp")?;
        let signatures = only(headers, "webhook-signature")?;
        let seconds: u64 = timestamp.to_str().ok()?.parse().ok()?;
        let sent = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
        let away = now
            .duration_since(sent)
            .unwrap_or_else(|ahead| ahead.duration());
        if id.is_empty() || away > self.tolerance {
            return None;
        }
        let signatures: Vec<_> = signatures
            .to_str()
            .ok()?
            .split(' ')
            .filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok())
            .take(SIGNATURES_MAX)
            .collect();
        let beginning = [id.as_bytes(), b".", timestamp.as_bytes(), b"."].concat();
        (!signatures.is_empty()).then(|| Signed {
            key: self.key.clone(),
            beginning,
            signatures,
        })
    }
}

impl Signed {
    /// The second half: whether any signature is that of this body.
    pub(crate) fn fits(&self, body: &[u8]) -> bool {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&self.beginning);
        context.update(body);
        let tag = context.sign();
        self.signatures.iter().any(|signature| {
            subtle::ConstantTimeEq::ct_eq(tag.as_ref(), signature.as_slice()).into()
        })
    }
}
