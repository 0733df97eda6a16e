//! Tokens and certificates that prove nothing, at the doors of the real process: each is refused
//! with its documented code, and nothing of it is stored.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use serde_json::{Value, json};
use tidegate_testkit::{Authority, Identity, Issuer, Sink};

use crate::harness::{PATIENCE, Tidegate, binary, subscription};

const ORDER: &str = "order.created.v1";

/// A key of an issuer.
struct Signer {
    pair: EcdsaKeyPair,
    kid: &'static str,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random);
        Self {
            pair: pair.unwrap(),
            kid,
        }
    }

    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let text = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
               "x": text(x), "y": text(y)})
    }

    fn token(&self, claims: &Value) -> String {
        let signed = unsigned("ES256", self.kid, claims);
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token whose secret is what everybody knows: the public key.
    fn confused(&self, claims: &Value) -> String {
        let signed = unsigned("HS256", self.kid, claims);
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.pair.public_key().as_ref());
        let tag = hmac::sign(&secret, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }
}

fn unsigned(algorithm: &str, kid: &str, claims: &Value) -> String {
    let header = json!({"alg": algorithm, "kid": kid, "typ": "JWT"});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(&header), part(claims))
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

/// Only a token of the issuer's own key, for us, of now, opens the door.
#[tokio::test]
async fn forged_and_stale_tokens_are_refused_and_nothing_is_stored() {
    let (own, foreign) = (Signer::new("own"), Signer::new("own"));
    let issuer = Issuer::start(vec![own.jwk()]).await;
    let application = format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Application\n\
         metadata: {{ name: shop }}\nspec:\n  authentication:\n    \
         - oidc: {{ issuer: '{}', audiences: [tidegate] }}\n",
        issuer.url
    );
    let sink = Sink::start(|_| 204_u16).await;
    let all = subscription("all", "shop", ORDER, &sink.url());
    let tidegate = Tidegate::up_prepared(&all, "applications: { folder: apps }\n", |folder| {
        fs::create_dir_all(folder.join("apps")).unwrap();
        fs::write(folder.join("apps/shop.yaml"), application).unwrap();
    })
    .await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs();
    let good = json!({"iss": issuer.url, "aud": "tidegate", "sub": "shop", "exp": now + 600});
    let real = own.token(&good);
    let (header_and_claims, _) = real.rsplit_once('.').unwrap();
    for (attack, token) in [
        ("expired", own.token(&with(&good, "exp", json!(now - 600)))),
        ("not yet", own.token(&with(&good, "nbf", json!(now + 600)))),
        (
            "another issuer",
            own.token(&with(&good, "iss", json!("https://other.example"))),
        ),
        (
            "another audience",
            own.token(&with(&good, "aud", json!("other"))),
        ),
        ("no end", own.token(&with(&good, "exp", Value::Null))),
        ("alg none", format!("{}.", unsigned("none", "own", &good))),
        ("alg None", format!("{}.", unsigned("None", "own", &good))),
        ("key confused", own.confused(&good)),
        ("another key", foreign.token(&good)),
        ("no signature", format!("{header_and_claims}.")),
        ("no token", "e30.e30.e30".to_owned()),
    ] {
        let bearer = format!("Bearer {token}");
        let mut headers = binary("bad", "shop", ORDER);
        headers.push(("authorization", &bearer));
        for path in ["/shop/events", "/publish"] {
            let answer = tidegate.send("POST", path, &headers, b"{}").await;
            let text = answer.text();
            assert_eq!(answer.status, 401, "{attack} at {path}: {text}");
            assert!(
                text.contains("identity/unauthenticated"),
                "{attack}: {text}"
            );
            assert!(answer.header("www-authenticate").is_some(), "{attack}");
        }
    }
    let bearer = format!("Bearer {real}");
    let mut headers = binary("good", "shop", ORDER);
    headers.push(("authorization", &bearer));
    let answer = tidegate.send("POST", "/shop/events", &headers, b"{}").await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let received = sink.received(1).await;
    assert_eq!(received[0].header("ce-id"), Some("good"));
    assert_eq!(received[0].header("authorization"), None);
    assert!(!tidegate.log().contains(&real), "a token in the log");
}

const MUTUAL: &str = "\
applications: { folder: apps }
receive:
  tls: { listen: '127.0.0.1:0', certificate: own.pem, key: own.key, client_ca: clients.pem, \
         revocation_list: revoked.pem }
";

const CERTIFIED: &str = "\
apiVersion: eventing.tidegate.dev/v1alpha1
kind: Application
metadata: { name: shop }
spec:
  authentication: [{ mtls: { subjectAlternativeName: shop } }]
---
apiVersion: eventing.tidegate.dev/v1alpha1
kind: Application
metadata: { name: billing }
spec:
  authentication: [{ mtls: { subjectAlternativeName: billing } }]
";

/// Only a certificate of the clients' authority that is not revoked opens the door, and only the
/// door of the Application that it names.
#[tokio::test]
async fn foreign_and_revoked_certificates_are_refused_and_nothing_is_stored() {
    let (clients, strangers) = (Authority::new("clients"), Authority::new("clients"));
    let servers = Authority::new("servers");
    let sink = Sink::start(|_| 204_u16).await;
    let all = subscription("all", "shop", ORDER, &sink.url());
    let tidegate = Tidegate::up_prepared(&all, MUTUAL, |folder| {
        fs::create_dir_all(folder.join("apps")).unwrap();
        let own = servers.identity("gateway", 2);
        for (name, text) in [
            ("apps/all.yaml", CERTIFIED),
            ("own.pem", own.certificate_pem()),
            ("own.key", &own.key_pem()),
            ("clients.pem", &clients.pem()),
            ("revoked.pem", &clients.revoking(&[66])),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
    })
    .await;
    let ready = fs::read(tidegate.dir.path().join("ready.json")).unwrap();
    let ready: Value = serde_json::from_slice(&ready).unwrap();
    let address: SocketAddr = ready["tls"].as_str().unwrap().parse().unwrap();
    let publish = |path: &str, identity: Option<&Identity>| {
        let client = servers.client(identity, &[b"http/1.1"]);
        publish(address, path, client)
    };
    for (attack, identity) in [
        ("of another authority", strangers.identity("shop", 3)),
        ("revoked", clients.identity("shop", 66)),
        ("out of date", clients.identity_until("shop", 4, 2001)),
    ] {
        let answer = publish("/shop/events", Some(&identity));
        assert!(answer.is_err(), "{attack}: {answer:?}");
    }
    let billing = clients.identity("billing", 5);
    for (identity, status, code) in [
        (None, 401, "identity/unauthenticated"),
        (Some(&billing), 403, "identity/other-application"),
    ] {
        let answer = publish("/shop/events", identity).unwrap();
        let line = format!("HTTP/1.1 {status}");
        assert!(
            answer.starts_with(&line) && answer.contains(code),
            "{answer}"
        );
    }
    let answer = publish("/shop/events", Some(&clients.identity("shop", 6))).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let received = sink.received(1).await;
    assert_eq!(received[0].header("ce-ingressapp"), Some("shop"));
}

/// One event; the answer, or why there is none.
fn publish(address: SocketAddr, path: &str, client: ClientConfig) -> std::io::Result<String> {
    let name = ServerName::try_from("gateway").unwrap();
    let session = ClientConnection::new(Arc::new(client), name).unwrap();
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(session, stream);
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\nce-specversion: 1.0\r\n\
         ce-id: 1\r\nce-source: shop\r\nce-type: {ORDER}\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}
