//! How a sink knows Tidegate: signatures, basic, bearer, OAuth 2.0.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use tempfile::TempDir;
use tidegate_deliver::{Config, Outcome, Seen};
use tidegate_subscription::{Auth, OAuth2, Secret};
use tidegate_testkit::{Received, Reply, Sink};

use crate::{attempt_with, client, code, event, to};

const TIMEOUT: Duration = Duration::from_secs(30);

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn file(name: &str) -> Secret {
    Secret::File(name.into())
}

fn headers(received: &Received) -> HeaderMap {
    let fields = received.headers.iter();
    let fields = fields.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    fields.collect()
}

/// What receivers use is the judge. While one key takes the place of another, both are known.
#[tokio::test]
async fn a_signed_request_is_verified_by_the_published_library() {
    let sink = Sink::start(|_| 200_u16).await;
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let symmetric = format!("whsec_{}", STANDARD.encode([1; 32]));
    let asymmetric = format!("whsk_{}", STANDARD.encode([7; 32]));
    let folder = folder(&[("old", &symmetric), ("new", &asymmetric)]);
    let keys = [file("old"), file("new")];
    for structured in [false, true] {
        let to = to(&sink.url()).signed(&keys, folder.path(), "n/s");
        let to = if structured { to.structured() } else { to };
        for _ in 0..2 {
            let outcome = attempt_with(&Config::default(), &to, &event()).await;
            assert_eq!(code(&outcome), "delivered");
        }
    }
    let all = sink.received(4).await;
    let id = all[0].header("webhook-id").unwrap();
    assert!(!id.contains('.'));
    for received in &all {
        assert_eq!(
            received.header("webhook-id"),
            Some(id),
            "of the event, not of the attempt"
        );
        let webhook = standardwebhooks::Webhook::new(&symmetric).unwrap();
        webhook.verify(&received.body, &headers(received)).unwrap();
        let other = standardwebhooks::Webhook::new(&STANDARD.encode([2; 32])).unwrap();
        assert!(other.verify(&received.body, &headers(received)).is_err());
        let signatures = received.header("webhook-signature").unwrap();
        let (_, signature) = signatures.rsplit_once("v1a,").unwrap();
        let time = received.header("webhook-timestamp").unwrap();
        let message = [format!("{id}.{time}.").as_bytes(), &received.body].concat();
        UnparsedPublicKey::new(&ED25519, pair.public_key())
            .verify(&message, &STANDARD.decode(signature).unwrap())
            .unwrap();
    }
}

/// A request that would go out unsigned, or as nobody, does not go out; it may, later.
#[tokio::test]
async fn without_its_secret_nothing_is_sent() {
    let sink = Sink::start(|_| 200_u16).await;
    let folder = folder(&[("short", "whsec_AAAA"), ("empty", "\n")]);
    let auth = Auth::Bearer {
        token: file("empty"),
    };
    for to in [
        to(&sink.url()).signed(&[file("none")], folder.path(), "n/s"),
        to(&sink.url()).signed(&[file("short")], folder.path(), "n/s"),
        to(&sink.url()).with_auth(&auth, folder.path()),
    ] {
        let outcome = attempt_with(&Config::default(), &to, &event()).await;
        assert_eq!(code(&outcome), "deliver/credentials");
        let Outcome::Retry { failure, .. } = outcome else {
            panic!("it may pass");
        };
        assert!(
            failure.detail.contains("secret file "),
            "{}",
            failure.detail
        );
        assert!(!failure.detail.contains("AAAA"), "a secret is told");
    }
    assert_eq!(sink.count(), 0);
}

#[tokio::test]
async fn basic_is_as_the_rfc_has_it() {
    let sink = Sink::start(|_| 200_u16).await;
    let folder = folder(&[("password", "open sesame\n")]);
    let auth = Auth::Basic {
        username: "Aladdin".to_owned(),
        password: file("password"),
    };
    let to = to(&sink.url()).with_auth(&auth, folder.path());
    attempt_with(&Config::default(), &to, &event()).await;
    // RFC 7617 §2
    let expected = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    let received = sink.received(1).await;
    assert_eq!(received[0].header("authorization"), Some(expected));
}

/// Whoever rotates a token need not restart, and loses no event meanwhile.
#[tokio::test]
async fn a_token_that_was_rotated_is_found_after_a_401() {
    let sink = Sink::start(|request| match request.header("authorization") {
        Some("Bearer new") => 200_u16,
        _ => 401,
    })
    .await;
    let folder = folder(&[("token", "old")]);
    let auth = Auth::Bearer {
        token: file("token"),
    };
    let (client, to) = (client(&Config::default()), to(&sink.url()));
    let to = to.with_auth(&auth, folder.path());
    let attempt = async || {
        client
            .attempt(&to, &event(), Seen::default(), TIMEOUT)
            .await
    };
    assert_eq!(code(&attempt().await), "deliver/status-rejected");
    assert_eq!(
        sink.count(),
        1,
        "what is refused is not sent again as it is"
    );
    fs::write(folder.path().join("token"), "new").unwrap();
    assert_eq!(code(&attempt().await), "delivered");
    assert_eq!(sink.count(), 3);
}

/// A token endpoint that gives out `token-1`, `token-2`, …
async fn endpoint(answer: impl Fn(usize) -> Reply + Send + Sync + 'static) -> (Sink, Auth) {
    let asked = AtomicUsize::new(0);
    let endpoint = Sink::start(move |_| answer(asked.fetch_add(1, Ordering::Relaxed) + 1)).await;
    let auth = Auth::OAuth2(OAuth2 {
        token_url: format!("{}oauth/token", endpoint.url()).parse().unwrap(),
        client_id: "me & you".to_owned(),
        client_secret: file("secret"),
        scopes: vec!["events".to_owned(), "more".to_owned()],
        audience: Some("https://api".to_owned()),
    });
    (endpoint, auth)
}

fn token(number: usize, expires_in: u64) -> Reply {
    let body = format!(
        r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":{expires_in}}}"#
    );
    Reply {
        body: body.into(),
        ..Reply::from(200)
    }
}

/// However many attempts there are at once.
#[tokio::test]
async fn a_token_is_fetched_once_and_kept() {
    let sink = Sink::start(|_| 200_u16).await;
    let (endpoint, auth) = endpoint(|number| token(number, 3600)).await;
    let folder = folder(&[("secret", "s:e/c")]);
    let client = client(&Config::default());
    let to = Arc::new(to(&sink.url()).with_auth(&auth, folder.path()));
    let attempts = (0..20).map(|_| {
        let (client, to) = (client.clone(), Arc::clone(&to));
        tokio::spawn(async move {
            client
                .attempt(&to, &event(), Seen::default(), TIMEOUT)
                .await
        })
    });
    for attempt in attempts.collect::<Vec<_>>() {
        assert_eq!(code(&attempt.await.unwrap()), "delivered");
    }
    assert_eq!(endpoint.count(), 1);
    for received in sink.received(20).await {
        assert_eq!(received.header("authorization"), Some("Bearer token-1"));
    }
    let asked = endpoint.received(1).await.remove(0);
    assert_eq!(asked.line, "POST /oauth/token HTTP/1.1");
    // RFC 6749 §2.3.1: form-encoded, then base64
    let login = format!("Basic {}", STANDARD.encode("me+%26+you:s%3Ae%2Fc"));
    assert_eq!(asked.header("authorization"), Some(&*login));
    assert_eq!(
        String::from_utf8(asked.body).unwrap(),
        "grant_type=client_credentials&scope=events+more&audience=https%3A%2F%2Fapi"
    );
}

/// Revoked before its end: one refresh, one more try, and no loop where that is refused as well.
#[tokio::test]
async fn a_401_is_one_refresh() {
    let sink = Sink::start(|request| match request.header("authorization") {
        Some("Bearer token-2") => 200_u16,
        _ => 401,
    })
    .await;
    let (endpoint, auth) = endpoint(|number| token(number, 3600)).await;
    let folder = folder(&[("secret", "s")]);
    let client = client(&Config::default());
    let to = to(&sink.url()).with_auth(&auth, folder.path());
    let attempt = async || {
        client
            .attempt(&to, &event(), Seen::default(), TIMEOUT)
            .await
    };
    assert_eq!(code(&attempt().await), "delivered");
    assert_eq!((sink.count(), endpoint.count()), (2, 2));
    assert_eq!(code(&attempt().await), "delivered");
    assert_eq!((sink.count(), endpoint.count()), (3, 2));

    let never = Sink::start(|_| 401_u16).await;
    let to = crate::to(&never.url()).with_auth(&auth, folder.path());
    let outcome = client
        .attempt(&to, &event(), Seen::default(), TIMEOUT)
        .await;
    assert_eq!(code(&outcome), "deliver/status-rejected");
    assert_eq!((never.count(), endpoint.count()), (2, 4));
}

/// A token is replaced before it ends, so that an endpoint may be away for a moment; one that has
/// ended is not used.
#[tokio::test]
async fn tokens_end() {
    let sink = Sink::start(|_| 200_u16).await;
    let (endpoint, auth) = endpoint(|number| match number {
        1 => token(1, 0),
        2 => Reply::from(500),
        number => token(number, 3600),
    })
    .await;
    let folder = folder(&[("secret", "s")]);
    let client = client(&Config::default());
    let to = to(&sink.url()).with_auth(&auth, folder.path());
    let attempt = async || {
        client
            .attempt(&to, &event(), Seen::default(), TIMEOUT)
            .await
    };
    assert_eq!(code(&attempt().await), "delivered");
    assert_eq!(
        code(&attempt().await),
        "deliver/credentials",
        "the first has ended"
    );
    assert_eq!(code(&attempt().await), "delivered");
    assert_eq!((sink.count(), endpoint.count()), (2, 3));
}

/// The next token is asked for early; while the endpoint is away, the old one is used to its end.
#[tokio::test]
async fn a_token_is_replaced_before_its_end() {
    let sink = Sink::start(|_| 200_u16).await;
    let (endpoint, auth) = endpoint(|number| match number {
        2 => Reply::from(500),
        number => token(number, 100),
    })
    .await;
    let folder = folder(&[("secret", "s")]);
    let client = client(&Config::default());
    let to = to(&sink.url()).with_auth(&auth, folder.path());
    // Ten seconds before its end at the latest.
    for (later, asked) in [(0, 1), (80, 1), (11, 2), (1, 2), (6, 3), (1, 3)] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(later)).await;
        tokio::time::resume();
        let outcome = client
            .attempt(&to, &event(), Seen::default(), TIMEOUT)
            .await;
        assert_eq!(code(&outcome), "delivered", "{outcome:?}");
        assert_eq!(endpoint.count(), asked, "{later}");
    }
    let shown = sink.received(6).await;
    let shown: Vec<_> = shown
        .iter()
        .map(|one| one.header("authorization").unwrap())
        .collect();
    let (first, third) = ("Bearer token-1", "Bearer token-3");
    assert_eq!(shown, [first, first, first, first, third, third]);
}

/// Whatever a token endpoint answers: one failed attempt, and its words are not passed on.
#[tokio::test]
async fn an_endpoint_without_a_token_is_a_failed_attempt() {
    let sink = Sink::start(|_| 200_u16).await;
    let folder = folder(&[("secret", "topsecret")]);
    for (status, body, told) in [
        (
            400,
            r#"{"error":"invalid_client","error_description":"topsecret"}"#,
            "invalid_client",
        ),
        (401, "topsecret", "401"),
        (200, "topsecret", "not the document"),
        (
            200,
            r#"{"access_token":"a b","token_type":"bearer"}"#,
            "no bearer token",
        ),
        (
            200,
            r#"{"access_token":"a","token_type":"mac"}"#,
            "no bearer token",
        ),
        (302, "", "302"),
    ] {
        let (_endpoint, auth) = endpoint(move |_| Reply {
            body: body.into(),
            ..Reply::from(status)
        })
        .await;
        let to = to(&sink.url()).with_auth(&auth, folder.path());
        let outcome = attempt_with(&Config::default(), &to, &event()).await;
        let Outcome::Retry { failure, .. } = outcome else {
            panic!("{body}: it may pass");
        };
        assert_eq!(failure.code, "deliver/credentials");
        assert!(failure.detail.contains(told), "{}", failure.detail);
        assert!(!failure.detail.contains("topsecret"), "{}", failure.detail);
    }
    assert_eq!(sink.count(), 0);
}
