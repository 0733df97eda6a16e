//! Signatures and secrets of bodies, and Customer Data Cloud's token.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use serde_json::{Value, json};
use tidegate_application::authentication::{
    Authentication, CxmlSharedSecret, GigyaJwt, PublicKey, StandardWebhooks,
};
use tidegate_identity::{Config, Identities};

use crate::{
    house::{Asking, NOW, Safe, UNAUTHENTICATED, asking, built, client, file, house, now},
    signing::{FIRST_PUBLIC, SECOND_PUBLIC, first, second, symmetric},
};

const SECRET: &[u8] = b"a secret of 24 bytes....";
const BODY: &[u8] = b"{\"hello\":1}";

fn webhooks() -> Identities {
    let rule = StandardWebhooks {
        secret: file("secret"),
        tolerance: Duration::from_mins(5),
    };
    let encoded = format!("whsec_{}\n", STANDARD.encode(SECRET));
    let clients = vec![client("shop", vec![Authentication::StandardWebhooks(rule)])];
    house(&Safe::default().with("secret", encoded), clients)
}

fn signature(id: &str, timestamp: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)))
}

fn webhook(id: &str, signature: &str) -> Asking {
    asking()
        .with("webhook-id", id)
        .with("webhook-timestamp", NOW.to_string())
        .with("webhook-signature", signature)
}

/// Any one of the signatures is enough: that is how senders change their secret.
#[tokio::test]
async fn a_webhook_with_any_good_signature_is_its_client() {
    let identities = webhooks();
    let good = signature("one", NOW, BODY);
    for list in [good.clone(), format!("v1,AAAA v1a,BBBB {good} v1,%%%")] {
        let who = webhook("one", &list)
            .who_with(&identities, "shop", BODY)
            .await;
        assert_eq!(who.as_deref(), Ok("shop"), "{list}");
    }
}

/// Each signed part, changed by itself, breaks the signature.
#[tokio::test]
async fn a_changed_webhook_is_refused() {
    let identities = webhooks();
    let good = signature("one", NOW, BODY);
    let other = webhook("two", &good);
    assert_eq!(
        other.who_with(&identities, "shop", BODY).await,
        UNAUTHENTICATED
    );
    let changed = webhook("one", &good);
    assert_eq!(
        changed.who_with(&identities, "shop", b"{}").await,
        UNAUTHENTICATED
    );
    let later = webhook("one", &signature("one", NOW + 1, BODY));
    assert_eq!(
        later.who_with(&identities, "shop", BODY).await,
        UNAUTHENTICATED
    );
    let doubled = webhook("one", &good).with("webhook-signature", &good);
    assert_eq!(
        doubled.who(&identities, Some("shop")).await,
        UNAUTHENTICATED
    );
    for missing in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut asked = webhook("one", &good);
        asked.headers.remove(missing);
        assert_eq!(asked.who(&identities, Some("shop")).await, UNAUTHENTICATED);
    }
}

fn concur(keys: &str) -> Identities {
    let rule = PublicKey {
        public_key: file("keys"),
    };
    let clients = vec![client(
        "concur",
        vec![Authentication::ConcurSignature(rule)],
    )];
    house(&Safe::default().with("keys", keys), clients)
}

fn concur_signed(signature: Vec<u8>) -> Asking {
    asking().with("concur-signature", STANDARD.encode(signature))
}

/// Two keys in one file are a rotation.
#[tokio::test]
async fn concurs_signature_is_checked_over_the_body() {
    let both = concur(&format!("{FIRST_PUBLIC}{SECOND_PUBLIC}"));
    for signer in [first(), second()] {
        let asked = concur_signed(signer.sign(BODY));
        assert!(asked.who_with(&both, "concur", BODY).await.is_ok());
        assert_eq!(
            asked.who_with(&both, "concur", b"{}").await,
            UNAUTHENTICATED
        );
    }
    let one = concur(FIRST_PUBLIC);
    let other = concur_signed(second().sign(BODY));
    assert_eq!(other.who_with(&one, "concur", BODY).await, UNAUTHENTICATED);
    assert_eq!(asking().who(&one, Some("concur")).await, UNAUTHENTICATED);
}

/// A certificate has its key inside, and is what many are given.
#[tokio::test]
async fn a_certificate_serves_as_a_public_key() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&key)
        .unwrap();
    let rule = PublicKey {
        public_key: file("keys"),
    };
    let clients = vec![client(
        "concur",
        vec![Authentication::ConcurSignature(rule)],
    )];
    let safe = Safe::default().with("keys", certificate.pem());
    let (_, mistakes) = built(&Config::default(), &safe, clients);
    assert_eq!(mistakes[0].message, "has a key that is not RSA");
}

fn gigya(keys: &str) -> Identities {
    let rule = GigyaJwt {
        public_key: file("keys"),
        tolerance: Duration::from_mins(5),
    };
    let clients = vec![client("cdc", vec![Authentication::GigyaJwt(rule)])];
    house(&Safe::default().with("keys", keys), clients)
}

/// The keys come as PEM, as the answer of the API, or as a set.
#[tokio::test]
async fn customer_data_clouds_token_is_checked_with_keys_of_every_form() {
    let mut answer = first().jwk();
    answer["callId"] = json!("x");
    answer["errorCode"] = json!(0);
    let set = json!({"keys": [second().jwk(), first().jwk()]});
    let token = first().token(&json!({"iat": NOW - 10}));
    for keys in [FIRST_PUBLIC.to_owned(), answer.to_string(), set.to_string()] {
        let asked = asking().with("x-gigya-sig-jwt", &token);
        let who = asked.who(&gigya(&keys), Some("cdc")).await;
        assert_eq!(who.as_deref(), Ok("cdc"));
    }
}

/// An old token is a replayed one.
#[tokio::test]
async fn stale_and_forged_tokens_of_customer_data_cloud_are_refused() {
    let identities = gigya(FIRST_PUBLIC);
    let fresh = json!({"iat": NOW});
    for token in [
        first().token(&json!({"iat": NOW - 301})),
        first().token(&json!({"iat": NOW + 301})),
        first().token(&json!({"iat": NOW, "exp": NOW - 301})),
        first().token(&Value::Object(serde_json::Map::new())),
        second().token(&fresh),
        symmetric("first", FIRST_PUBLIC.as_bytes(), &fresh),
        first().token_of(&json!({"alg": "PS256"}), &fresh),
    ] {
        let asked = asking().with("x-gigya-sig-jwt", &token);
        assert_eq!(asked.who(&identities, Some("cdc")).await, UNAUTHENTICATED);
    }
}

/// The secret is in the document, so the document decides.
#[tokio::test]
async fn a_cxml_documents_secret_is_checked() {
    let rule = CxmlSharedSecret {
        identity: Some("buyer".to_owned()),
        secret: file("secret"),
    };
    let clients = vec![client(
        "ariba",
        vec![Authentication::CxmlSharedSecret(rule)],
    )];
    let identities = house(&Safe::default().with("secret", "open sesame\n"), clients);
    let document = |secret: &str| {
        format!(
            "<cXML><Header><Sender><Credential><Identity>buyer</Identity><SharedSecret>{secret}</SharedSecret></Credential></Sender></Header></cXML>"
        )
    };
    let good = asking()
        .who_with(&identities, "ariba", document("open sesame").as_bytes())
        .await;
    assert_eq!(good.as_deref(), Ok("ariba"));
    let asked = asking().at(now());
    for wrong in [
        document("open"),
        document(""),
        "{}".to_owned(),
        String::new(),
    ] {
        let who = asked.who_with(&identities, "ariba", wrong.as_bytes()).await;
        assert_eq!(who, UNAUTHENTICATED);
    }
}
