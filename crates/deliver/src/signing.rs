//! Standard Webhooks 1.0.0 as a sender: `webhook-id`, `webhook-timestamp`, `webhook-signature`.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::{
    digest, hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use tidegate_event::{Event, Value};
use tidegate_subscription::Secret;
use zeroize::Zeroizing;

use crate::live::Live;

pub(crate) const ID: HeaderName = HeaderName::from_static("webhook-id");
pub(crate) const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Bytes of a symmetric secret, as the specification has it.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Bytes of an ed25519 seed; a key may hold the public key behind it.
const SEED_BYTES: usize = 32;

/// Signs a Subscription's requests with every one of its keys.
#[derive(Debug)]
pub(crate) struct Signer {
    keys: Vec<Live<Key>>,
    subscription: String,
}

enum Key {
    Hmac(hmac::Key),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn new(keys: &[Secret], folder: &Path, subscription: &str) -> Self {
        Self {
            keys: keys
                .iter()
                .map(|key| Live::new(key, folder, Key::parse))
                .collect(),
            subscription: subscription.to_owned(),
        }
    }

    /// Adds the signatures of this body. The id is that of its events for this Subscription, the
    /// same for each attempt; the time is that of the attempt.
    pub(crate) fn sign<'a>(
        &self,
        events: impl Iterator<Item = &'a Event>,
        body: &[u8],
        now: SystemTime,
        headers: &mut HeaderMap,
    ) -> Result<(), String> {
        let id = self.id(events);
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let beginning = format!("{id}.{seconds}.");
        let mut signatures = String::new();
        for key in &self.keys {
            if !signatures.is_empty() {
                signatures.push(' ');
            }
            signatures.push_str(&key.get()?.sign(beginning.as_bytes(), body));
        }
        let value = |text: &str| HeaderValue::from_str(text).map_err(|error| error.to_string());
        headers.insert(ID, value(&id)?);
        headers.insert(TIMESTAMP, seconds.into());
        headers.insert(SIGNATURE, value(&signatures)?);
        Ok(())
    }

    /// A hash: an event's id may hold a full stop, which would end the field that is signed.
    fn id<'a>(&self, events: impl Iterator<Item = &'a Event>) -> String {
        let mut hash = digest::Context::new(&digest::SHA256);
        for event in events {
            let application = event.extensions.get("ingressapp").map(Value::to_text);
            let application = application.unwrap_or_default();
            for part in [&*application, &event.source, &event.id, &self.subscription] {
                hash.update(&(part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        let hash = hash.finish();
        let hex: String = hash
            .as_ref()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("msg_{hex}")
    }
}

impl Key {
    fn parse(content: &[u8]) -> Result<Self, String> {
        let text = content.trim_ascii();
        let decode = |encoded: &[u8]| {
            let decoded = STANDARD.decode(encoded).map(Zeroizing::new);
            decoded.map_err(|_| "the key is not base64".to_owned())
        };
        if let Some(encoded) = text.strip_prefix(b"whsk_") {
            let key = decode(encoded)?;
            let (seed, public) = key.split_at_checked(SEED_BYTES).unwrap_or((&key, b""));
            let pair = Ed25519KeyPair::from_seed_unchecked(seed)
                .map_err(|_| "the key has less than 32 bytes".to_owned())?;
            if !public.is_empty() && public != pair.public_key().as_ref() {
                return Err("its public half belongs to another key".to_owned());
            }
            return Ok(Self::Ed25519(pair));
        }
        let secret = decode(text.strip_prefix(b"whsec_").unwrap_or(text))?;
        if !SECRET_BYTES.contains(&secret.len()) {
            let bytes = secret.len();
            return Err(format!("the key has {bytes} bytes, it must have 24 to 64"));
        }
        Ok(Self::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }

    fn sign(&self, beginning: &[u8], body: &[u8]) -> String {
        match self {
            Self::Hmac(key) => {
                let mut context = hmac::Context::with_key(key);
                context.update(beginning);
                context.update(body);
                format!("v1,{}", STANDARD.encode(context.sign()))
            }
            Self::Ed25519(pair) => {
                let message = [beginning, body].concat();
                format!("v1a,{}", STANDARD.encode(pair.sign(&message)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf};

    use serde_json::Value as Json;

    use super::*;

    /// The public vectors, each signature as it stands there.
    #[test]
    fn signatures_are_those_of_the_public_vectors() {
        let Some(vectors) = env::var_os("TIDEGATE_VECTORS").map(PathBuf::from) else {
            return;
        };
        let vectors = fs::read(vectors.join("vectors/standard-webhooks/vectors.json")).unwrap();
        let vectors: Json = serde_json::from_slice(&vectors).unwrap();
        let vectors = vectors["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 3);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let key = Key::parse(text("secret").as_bytes()).unwrap();
            let beginning = format!("{}.{}.", text("id"), vector["timestamp"]);
            let signature = key.sign(beginning.as_bytes(), text("payload").as_bytes());
            assert_eq!(signature, text("signature"), "{}", text("name"));
        }
    }

    /// A key that would sign weakly, or with somebody else's half, does not sign.
    #[test]
    fn bad_keys_are_refused() {
        let mixed = [[1_u8; 32], [2_u8; 32]].concat();
        let mixed = format!("whsk_{}", STANDARD.encode(mixed));
        for key in [
            "",
            "whsec_",
            "whsec_AAAA",
            "whsk_",
            "whsk_AAAA",
            "no base64!",
            &mixed,
        ] {
            assert!(Key::parse(key.as_bytes()).is_err(), "{key}");
        }
    }

    /// What a receiver deduplicates by: no two events share it, and no part flows into the next.
    #[test]
    fn ids_are_of_application_source_id_and_subscription() {
        let id = |application: &str, source: &str, id: &str, subscription: &str| {
            let mut event = Event::new(id, source, "t");
            let name = tidegate_event::Name::from_static("ingressapp");
            event.extensions.insert(name, application.into());
            Signer::new(&[], Path::new(""), subscription).id(std::iter::once(&event))
        };
        let first = id("shop", "/a", "b.c", "n/s");
        // printf '\0\0\0\0\0\0\0\4shop\0\0\0\0\0\0\0\2/a\0\0\0\0\0\0\0\3b.c\0\0\0\0\0\0\0\3n/s' | sha256sum
        assert_eq!(first, "msg_040e381e4a738ff599fa5ea73590d8f7");
        for other in [
            id("shop2", "/a", "b.c", "n/s"),
            id("shop", "/ab", ".c", "n/s"),
            id("shop", "/a", "b.d", "n/s"),
            id("shop", "/a", "b.c", "n/t"),
        ] {
            assert_ne!(first, other);
        }
    }
}
