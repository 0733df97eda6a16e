//! Tokens of people, for a door that is not one of senders.

use std::time::Duration;

use serde_json::json;
use tidegate_identity::{Claims, Config, Fault, Issuer as Trusted};
use tidegate_testkit::Issuer;

use crate::{
    house::now,
    signing::{FIRST_PUBLIC, claims, first, second, symmetric},
};

const INSTANTLY: Duration = Duration::from_nanos(1);

fn trusting(issuer: &str, config: &Config) -> Trusted {
    Trusted::new(issuer, "tidegate", None, config).unwrap()
}

async fn judged(by: &Trusted, token: &str) -> Result<String, Fault> {
    let claims: Claims = by.claims(token.as_bytes(), now()).await?;
    Ok(claims.at("sub").unwrap().as_str().unwrap().to_owned())
}

/// The rules are those of senders: signature, issuer, audience, algorithm, time.
#[tokio::test]
async fn a_person_is_judged_as_a_sender_is() {
    let issuer = Issuer::start(vec![first().jwk()]).await;
    let trusted = trusting(&issuer.url, &Config::default());
    let good = claims(&issuer.url);
    let with = |name: &str, value| {
        let mut claims = good.clone();
        claims[name] = value;
        first().token(&claims)
    };
    let own = first().token(&good);
    assert_eq!(judged(&trusted, &own).await, Ok("client".to_owned()));
    for (token, fault) in [
        (with("aud", json!("other")), Fault::Wrong),
        (
            with("iss", json!("https://elsewhere.example")),
            Fault::Wrong,
        ),
        (with("exp", json!(1)), Fault::Expired),
        (with("exp", json!(null)), Fault::Wrong),
        (with("nbf", json!(9_000_000_000_u64)), Fault::NotYetValid),
        (second().token(&good), Fault::Wrong),
        (
            symmetric("first", FIRST_PUBLIC.as_bytes(), &good),
            Fault::Wrong,
        ),
        (format!("{own}x"), Fault::Wrong),
        ("an-opaque-secret-of-somebody".to_owned(), Fault::Wrong),
    ] {
        assert_eq!(judged(&trusted, &token).await, Err(fault), "{token}");
    }
}

/// Keys that are known go on counting without their issuer; without any, nobody can be judged.
#[tokio::test]
async fn an_issuer_that_is_away_is_nobodys_fault() {
    let issuer = Issuer::start(vec![first().jwk()]).await;
    issuer.set_down(true);
    let config = Config {
        keys_fresh_for: INSTANTLY,
        keys_retry_after: INSTANTLY,
        keys_refetch_after: INSTANTLY,
        ..Config::default()
    };
    let trusted = trusting(&issuer.url, &config);
    let token = first().token(&claims(&issuer.url));
    assert_eq!(judged(&trusted, &token).await, Err(Fault::Unavailable));
    issuer.set_down(false);
    assert!(judged(&trusted, &token).await.is_ok());
    issuer.set_down(true);
    assert!(judged(&trusted, &token).await.is_ok());
}

/// Whoever is not from this issuer causes no fetch.
#[tokio::test]
async fn a_strangers_token_asks_nobody() {
    let issuer = Issuer::start(vec![first().jwk()]).await;
    let trusted = trusting(&issuer.url, &Config::default());
    let token = first().token(&claims("https://elsewhere.example"));
    assert_eq!(judged(&trusted, &token).await, Err(Fault::Wrong));
    assert_eq!(issuer.fetches(), 0);
}

/// Authorities that are none are told at the start, not at the first token.
#[test]
fn authorities_that_are_no_use_are_a_mistake() {
    for pem in ["", "no PEM", FIRST_PUBLIC] {
        let trusted = Trusted::new("https://i", "a", Some(pem.as_bytes()), &Config::default());
        assert!(trusted.is_err(), "{pem}");
    }
}
