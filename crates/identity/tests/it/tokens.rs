//! Tokens of an issuer, good ones and forged ones.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair,
    },
};
use serde_json::{Value, json};
use tidegate_application::authentication::{Authentication, Oidc};
use tidegate_identity::{Client, Config, Identities};
use tidegate_testkit::Issuer;

use crate::{
    house::{Asking, NOW, Safe, UNAUTHENTICATED, asking, built, client, house, now},
    signing::{FIRST_PUBLIC, claims, first, second, symmetric, unsigned},
};

fn rules(issuer: &str) -> Oidc {
    Oidc {
        issuer: issuer.to_owned(),
        jwks_uri: None,
        audiences: vec!["tidegate".to_owned()],
        authorized_parties: vec!["shop".to_owned()],
        subjects: vec!["client".to_owned()],
        scopes: vec!["events.write".to_owned()],
        clock_skew: Duration::from_secs(60),
    }
}

pub(crate) fn shop(issuer: &str) -> Vec<Client> {
    vec![client("shop", vec![Authentication::Oidc(rules(issuer))])]
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

pub(crate) async fn who(identities: &Identities, token: &str) -> Result<String, &'static str> {
    asking().bearer(token).who(identities, Some("shop")).await
}

async fn detail(identities: &Identities, asked: &Asking) -> &'static str {
    asked.to(identities, Some("shop")).await.unwrap_err().detail
}

/// The ordinary case, with and without a path, and in the spellings of several issuers.
#[tokio::test]
async fn a_good_token_is_its_client() {
    let issuer = Issuer::start(vec![json!({"kty": "unknown"}), first().jwk()]).await;
    let identities = house(&Safe::default(), shop(&issuer.url));
    let good = claims(&issuer.url);
    let mut scp = with(&good, "scp", json!(["events.write"]));
    scp.as_object_mut().unwrap().remove("scope");
    let mut party = with(&good, "client_id", json!("shop"));
    party.as_object_mut().unwrap().remove("azp");
    for claims in [&good, &with(&good, "aud", json!("tidegate")), &scp, &party] {
        let token = first().token(claims);
        assert_eq!(who(&identities, &token).await.as_deref(), Ok("shop"));
        let known = asking().bearer(&token).who(&identities, None).await;
        assert_eq!(known.as_deref(), Ok("shop"));
    }
    let unnamed = first().token_of(&json!({"alg": "RS256"}), &good);
    assert_eq!(who(&identities, &unnamed).await.as_deref(), Ok("shop"));
    assert_eq!(issuer.fetches(), 1);
}

/// Every rule of the document has to hold by itself.
#[tokio::test]
async fn each_wrong_claim_is_refused() {
    let issuer = Issuer::start(vec![first().jwk()]).await;
    let identities = house(&Safe::default(), shop(&issuer.url));
    let good = claims(&issuer.url);
    for (name, value) in [
        ("iss", json!("https://elsewhere.example")),
        ("iss", json!(format!("{}/", issuer.url))),
        ("iss", Value::Null),
        ("aud", json!(["other"])),
        ("aud", json!({"tidegate": true})),
        ("azp", json!("other")),
        ("sub", json!("other")),
        ("scope", json!("events.read events.writer")),
        ("exp", Value::Null),
        ("exp", json!("tomorrow")),
        ("nbf", json!("yesterday")),
    ] {
        let token = first().token(&with(&good, name, value));
        assert_eq!(who(&identities, &token).await, UNAUTHENTICATED, "{name}");
    }
}

/// Time is the one thing that an honest sender needs to be told, and only it.
#[tokio::test]
async fn expired_and_early_tokens_are_told_apart_but_for_their_owners_only() {
    let issuer = Issuer::start(vec![first().jwk()]).await;
    let identities = house(&Safe::default(), shop(&issuer.url));
    let good = claims(&issuer.url);
    let asked = asking().bearer(&first().token(&good));
    let late = asked.clone().at(now() + Duration::from_secs(3661));
    assert_eq!(detail(&identities, &late).await, "the token has expired");
    let within = asked.clone().at(now() + Duration::from_secs(3659));
    assert!(within.who(&identities, Some("shop")).await.is_ok());
    let early = asked.at(now() - Duration::from_secs(71));
    assert_eq!(
        detail(&identities, &early).await,
        "the token is not valid yet"
    );
    let expired = with(&good, "exp", json!(NOW - 3600));
    for token in [
        second().token_of(&json!({"alg": "RS256", "kid": "first"}), &expired),
        first().token(&with(&expired, "sub", json!("other"))),
    ] {
        let told = detail(&identities, &asking().bearer(&token)).await;
        assert_eq!(told, "no or wrong credentials");
    }
}

/// The known attacks on the choice of the algorithm and of the key.
#[tokio::test]
async fn forged_tokens_are_refused() {
    let issuer = Issuer::start(vec![first().jwk()]).await;
    let identities = house(&Safe::default(), shop(&issuer.url));
    let good = claims(&issuer.url);
    let real = first().token(&good);
    let modulus = first().jwk()["n"].as_str().unwrap().to_owned();
    let (signed, _) = real.rsplit_once('.').unwrap();
    let other = first().token(&with(&good, "jti", json!("x")));
    let (_, other_signature) = other.rsplit_once('.').unwrap();
    let none = unsigned(&json!({"alg": "none", "kid": "first"}), &good);
    let mut embedded = json!({"alg": "RS256", "kid": "second"});
    embedded["jwk"] = second().jwk();
    let header = |alg: &str| json!({"alg": alg, "kid": "first"});
    for (attack, token) in [
        ("none", format!("{none}.")),
        ("none with a signature", format!("{none}.{other_signature}")),
        (
            "key confusion, PEM",
            symmetric("first", FIRST_PUBLIC.as_bytes(), &good),
        ),
        (
            "key confusion, modulus",
            symmetric("first", modulus.as_bytes(), &good),
        ),
        ("another key", second().token_of(&header("RS256"), &good)),
        (
            "its own key in the header",
            second().token_of(&embedded, &good),
        ),
        (
            "another RSA algorithm",
            first().token_of(&header("PS256"), &good),
        ),
        (
            "an algorithm of other keys",
            first().token_of(&header("ES256"), &good),
        ),
        ("an unknown kid", second().token(&good)),
        (
            "a demanded extension",
            first().token_of(
                &json!({"alg": "RS256", "kid": "first", "crit": ["b64"], "b64": false}),
                &good,
            ),
        ),
        ("another's signature", format!("{signed}.{other_signature}")),
        ("no signature", format!("{signed}.")),
        ("two parts", signed.to_owned()),
        ("four parts", format!("{real}.x")),
        ("no token", "x".to_owned()),
        ("a huge one", format!("{real}{}", "A".repeat(20_000))),
    ] {
        assert_eq!(who(&identities, &token).await, UNAUTHENTICATED, "{attack}");
    }
    assert_eq!(issuer.fetches(), 1);
}

/// With a place of the keys there is nothing to discover, and PSS keys work as well.
#[tokio::test]
async fn a_named_place_of_the_keys_is_used() {
    let mut jwk = first().jwk();
    jwk["alg"] = json!("PS256");
    let server = Issuer::start(vec![jwk]).await;
    let mut rules = rules("https://issuer.example");
    rules.jwks_uri = Some(format!("{}/keys", server.url));
    let clients = vec![client("shop", vec![Authentication::Oidc(rules)])];
    let identities = house(&Safe::default(), clients);
    let claims = claims("https://issuer.example");
    let good = first().token_of(&json!({"alg": "PS256", "kid": "first"}), &claims);
    assert!(who(&identities, &good).await.is_ok());
    assert_eq!(
        who(&identities, &first().token(&claims)).await,
        UNAUTHENTICATED
    );
}

/// Such a document would let every user of the issuer in.
#[test]
fn rules_that_say_nothing_are_a_mistake() {
    let open = Oidc {
        audiences: Vec::new(),
        authorized_parties: Vec::new(),
        subjects: Vec::new(),
        scopes: Vec::new(),
        ..rules("https://issuer.example")
    };
    for rules in [open, rules("ftp://issuer.example"), rules("issuer")] {
        let clients = vec![client("shop", vec![Authentication::Oidc(rules)])];
        let (_, mistakes) = built(&Config::default(), &Safe::default(), clients);
        assert_eq!(mistakes.len(), 1);
    }
}

/// The elliptic algorithms, each with its own kind of key, and with no other.
#[tokio::test]
async fn elliptic_keys_verify_their_own_algorithm_only() {
    let random = SystemRandom::new();
    let edwards = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let edwards = Ed25519KeyPair::from_pkcs8(edwards.as_ref()).unwrap();
    let pair = |scheme| {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(scheme, pkcs8.as_ref(), &random).unwrap()
    };
    let p256 = pair(&ECDSA_P256_SHA256_FIXED_SIGNING);
    let p384 = pair(&ECDSA_P384_SHA384_FIXED_SIGNING);
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = |curve: &str, point: &[u8]| {
        let (x, y) = point[1..].split_at(point.len() / 2);
        json!({"kty": "EC", "crv": curve, "kid": curve, "x": text(x), "y": text(y)})
    };
    let issuer = Issuer::start(vec![
        jwk("P-256", p256.public_key().as_ref()),
        jwk("P-384", p384.public_key().as_ref()),
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "Ed25519", "x": text(edwards.public_key().as_ref())}),
    ])
    .await;
    let identities = house(&Safe::default(), shop(&issuer.url));
    let claims = claims(&issuer.url);
    for (kid, right) in [("P-256", "ES256"), ("P-384", "ES384"), ("Ed25519", "EdDSA")] {
        for alg in ["ES256", "ES384", "EdDSA", "RS256"] {
            let signed = unsigned(&json!({"alg": alg, "kid": kid}), &claims);
            let signature = match kid {
                "P-256" => p256
                    .sign(&random, signed.as_bytes())
                    .unwrap()
                    .as_ref()
                    .to_vec(),
                "P-384" => p384
                    .sign(&random, signed.as_bytes())
                    .unwrap()
                    .as_ref()
                    .to_vec(),
                _ => edwards.sign(signed.as_bytes()).as_ref().to_vec(),
            };
            let token = format!("{signed}.{}", text(&signature));
            assert_eq!(
                who(&identities, &token).await.is_ok(),
                alg == right,
                "{kid} {alg}"
            );
        }
    }
}
