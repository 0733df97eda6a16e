//! User names and passwords, and keys in headers.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use base64::{Engine, engine::general_purpose::STANDARD};
use tidegate_application::authentication::{ApiKey, Authentication, Basic};
use tidegate_identity::{Config, Identities, hash_password};

use crate::house::{Asking, Safe, UNAUTHENTICATED, asking, built, client, file};

const KEY: &str = "a key of sufficient length";

fn hash(password: &str) -> String {
    let params = Params::new(64, 1, 1, None).unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.as_bytes(), b"salt for the tests")
        .unwrap()
        .to_string()
}

fn basic(username: &str, secret: &str) -> Authentication {
    Authentication::Basic(Basic {
        username: username.to_owned(),
        password_hash: file(secret),
    })
}

fn api_key(header: &str, secret: &str) -> Authentication {
    Authentication::ApiKey(ApiKey {
        header: header.to_owned(),
        key: file(secret),
    })
}

fn safe() -> Safe {
    Safe::default()
        .with("anna's", format!("{}\n", hash("sesame: 1")))
        .with("bert's", hash("pepper"))
        .with("key", KEY)
        .with("other key", "another key of that length")
}

fn shops(config: &Config) -> Identities {
    let clients = vec![
        client(
            "shop",
            vec![basic("anna", "anna's"), api_key("x-api-key", "key")],
        ),
        client(
            "other",
            vec![basic("bert", "bert's"), api_key("x-other", "other key")],
        ),
    ];
    let (identities, mistakes) = built(config, &safe(), clients);
    assert_eq!(mistakes, []);
    identities
}

/// What the command line prints for a password opens the door for it, and no two hashes are equal.
#[tokio::test]
async fn a_hash_that_was_made_here_fits() {
    let made = hash_password("sesame: 1".as_bytes()).unwrap();
    assert_ne!(made, hash_password("sesame: 1".as_bytes()).unwrap());
    let clients = vec![client("shop", vec![basic("anna", "made")])];
    let safe = Safe::default().with("made", &made);
    let (identities, mistakes) = built(&Config::default(), &safe, clients);
    assert_eq!(mistakes, []);
    let asked = login("anna", "sesame: 1");
    assert_eq!(asked.who(&identities, None).await.as_deref(), Ok("shop"));
    let asked = login("anna", "sesame: 2");
    assert_eq!(asked.who(&identities, None).await, UNAUTHENTICATED);
}

fn login(username: &str, password: &str) -> Asking {
    let pair = STANDARD.encode(format!("{username}:{password}"));
    asking().with("authorization", format!("basic {pair}"))
}

/// A password may contain the colon that ends a user name; a second time it is remembered.
#[tokio::test]
async fn a_good_password_is_its_client_with_and_without_a_path() {
    let identities = shops(&Config::default());
    for _ in 0..2 {
        for application in [Some("shop"), None] {
            let who = login("anna", "sesame: 1")
                .who(&identities, application)
                .await;
            assert_eq!(who.as_deref(), Ok("shop"));
        }
    }
}

/// Nothing in the answer tells whether the user exists.
#[tokio::test]
async fn wrong_passwords_and_unknown_users_get_the_same_answer() {
    let identities = shops(&Config::default());
    let mut answers = Vec::new();
    for asked in [
        login("anna", "sesame"),
        login("anna", ""),
        login("nobody", "sesame: 1"),
        login("", ""),
        asking().with("authorization", "Basic %%%"),
        asking().with("authorization", "Basic"),
        asking().with("authorization", "Digest x"),
        login("anna", "sesame: 1").with("authorization", "Basic x"),
    ] {
        let refused = asked.to(&identities, Some("shop")).await.unwrap_err();
        assert_eq!(asked.who(&identities, None).await, UNAUTHENTICATED);
        answers.push(refused);
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]));
    let challenge = answers[0].www_authenticate.as_ref().unwrap();
    assert!(challenge.to_str().unwrap().starts_with("Basic realm="));
}

/// Guessing has to stop soon, for the one who guesses only, and before the hash is computed.
#[tokio::test]
async fn guesses_are_limited_by_address() {
    let config = Config {
        failures_per_minute: 3,
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..Config::default()
    };
    let identities = shops(&config);
    for _ in 0..3 {
        let who = login("anna", "guess").who(&identities, Some("shop")).await;
        assert_eq!(who, UNAUTHENTICATED);
    }
    let good = login("anna", "sesame: 1");
    let refused = good.to(&identities, Some("shop")).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.status.as_u16()),
        ("identity/too-many-failures", 429)
    );
    assert!(refused.retry_after.is_some_and(|wait| wait.as_secs() >= 1));
    let elsewhere = good.clone().from("192.0.2.77");
    assert!(elsewhere.who(&identities, Some("shop")).await.is_ok());
    // Many stand behind a trusted proxy; one of them must not shut out the others.
    for _ in 0..9 {
        let guess = login("anna", "guess").from("10.0.0.1");
        assert_eq!(guess.who(&identities, Some("shop")).await, UNAUTHENTICATED);
    }
    // A request without credentials is a question, not a failure.
    for _ in 0..9 {
        let question = asking().from("192.0.2.78");
        assert_eq!(
            question.who(&identities, Some("shop")).await,
            UNAUTHENTICATED
        );
    }
}

/// The limit of the queue is a 503, never a wrong 401.
#[tokio::test]
async fn a_crowd_of_logins_is_answered() {
    let identities = shops(&Config::default());
    for number in 0..20 {
        let asked = login("anna", "sesame: 1").from(&format!("192.0.2.{number}"));
        assert!(asked.who(&identities, Some("shop")).await.is_ok());
    }
}

/// A key is compared as a whole, and in its own header.
#[tokio::test]
async fn a_key_is_its_client() {
    let identities = shops(&Config::default());
    let good = asking().with("x-api-key", KEY);
    for application in [Some("shop"), None] {
        assert_eq!(
            good.who(&identities, application).await.as_deref(),
            Ok("shop")
        );
    }
    for wrong in [
        asking().with("x-api-key", &KEY[1..]),
        asking().with("x-api-key", ""),
        asking().with("x-api-key", format!("{KEY} ").to_uppercase()),
        asking().with("x-other", KEY),
        good.clone().with("x-api-key", KEY),
    ] {
        assert_eq!(wrong.who(&identities, Some("shop")).await, UNAUTHENTICATED);
        assert_eq!(wrong.who(&identities, None).await, UNAUTHENTICATED);
    }
}

/// The password or key of one Application must not open another's path.
#[tokio::test]
async fn credentials_of_another_application_are_forbidden() {
    let identities = shops(&Config::default());
    for asked in [
        login("bert", "pepper"),
        asking().with("x-other", "another key of that length"),
    ] {
        let who = asked.who(&identities, Some("shop")).await;
        assert_eq!(who, Err("identity/other-application"));
    }
    let wrong = login("bert", "salt").who(&identities, Some("shop")).await;
    assert_eq!(wrong, UNAUTHENTICATED);
}

/// Such a document would cost more than a login is worth, or protect nothing.
#[test]
fn hashes_out_of_bounds_and_short_keys_are_mistakes() {
    let good = hash("x");
    let changed = |from: &str, to: &str| good.replace(from, to);
    for text in [
        changed("m=64", "m=65537"),
        changed("t=1", "t=11"),
        changed("p=1", "p=5"),
        changed("argon2id", "argon2i"),
        "plain".to_owned(),
        String::new(),
        good.rsplit_once('$').unwrap().0.to_owned(),
    ] {
        let clients = vec![client("shop", vec![basic("anna", "hash")])];
        let safe = Safe::default().with("hash", &text);
        let (_, mistakes) = built(&Config::default(), &safe, clients);
        assert_eq!(mistakes.len(), 1, "{text}");
    }
    for (header, key) in [("x-api-key", "short"), ("not a header", KEY)] {
        let clients = vec![client("shop", vec![api_key(header, "key")])];
        let safe = Safe::default().with("key", key);
        let (_, mistakes) = built(&Config::default(), &safe, clients);
        assert_eq!(mistakes.len(), 1);
        assert!(!mistakes[0].message.contains(key));
    }
}
