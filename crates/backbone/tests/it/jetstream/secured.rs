//! Servers that want TLS, or to know who we are: everything works as on a plain one.

use std::{fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_backbone::{
    Config, Log as _, Receipt as _, Settle, Source as _,
    jetstream::{ConnectError, Jetstream},
};
use tidegate_testkit::{Authority, NatsServer};

use crate::fixture::{
    append, append_of, append_until_stored, event, ids, pull, spec, until_ready, within,
};

/// Stores, delivers and settles, before and after the server was away.
async fn works(mut server: NatsServer, url: &str, config: &Config) {
    let log = Jetstream::connect(config, url, "test").await.unwrap();
    log.ensure().await.unwrap();
    let mut source = log.open(spec("consumer")).await.unwrap();
    append(&log, event("1")).await;
    let delivered = within(pull(&mut source, 1)).await;
    assert_eq!(ids(&delivered), ["1"]);
    delivered[0]
        .receipt
        .settle_surely(Settle::Ack)
        .await
        .unwrap();
    // Killed, it might not know any more that the first one is settled.
    server.stop().await;
    server.restart().await;
    append_until_stored(&log, &append_of(event("2"))).await;
    until_ready(&log).await;
    let delivered = within(pull(&mut source, 1)).await;
    assert_eq!(ids(&delivered), ["2"]);
    delivered[0].receipt.settle(Settle::Ack).await.unwrap();
    within(source.close()).await;
}

fn file(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let file = folder.path().join(name);
    fs::write(&file, content).unwrap();
    file
}

/// A server with TLS: trusted by the authority that is named, and by no other.
#[tokio::test]
async fn a_server_may_want_tls() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let identity = authority.identity("localhost", 1);
    let certificate = file(&folder, "cert.pem", identity.certificate_pem());
    let key = file(&folder, "key.pem", &identity.key_pem());
    let lines = format!("tls {{ cert_file: {certificate:?}, key_file: {key:?} }}");
    let server = NatsServer::start_with(&lines).await;
    let url = server.url().replace("nats://127.0.0.1", "tls://localhost");
    let trusting = |authority: &Authority, name| Config {
        ca_file: Some(file(&folder, name, &authority.pem())),
        ..Config::default()
    };
    let strange = trusting(&Authority::new("strange"), "strange.pem");
    let error = Jetstream::connect(&strange, &url, "test")
        .await
        .unwrap_err();
    let is_refused = matches!(error, ConnectError::Unreachable { .. });
    assert!(is_refused, "{error:?}");
    let ours = trusting(&authority, "ours.pem");
    works(server, &url, &ours).await;
}

/// A JWT of NATS: what `issuer` says of whom.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, nats: Value) -> String {
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let claims = json!({
        "jti": name,
        "iat": 1_700_000_000,
        "iss": issuer.public_key(),
        "sub": subject.public_key(),
        "name": name,
        "nats": nats,
    });
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A server that lets in whom a credentials file proves.
#[tokio::test]
async fn a_server_may_want_credentials() {
    let (operator, account) = (KeyPair::new_operator(), KeyPair::new_account());
    let (system, user) = (KeyPair::new_account(), KeyPair::new_user());
    let unlimited = |jetstream: i64| {
        json!({
            "type": "account", "version": 2,
            "limits": {
                "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
                "wildcards": true, "conn": -1, "leaf": -1, "mem_storage": jetstream,
                "disk_storage": jetstream, "streams": jetstream, "consumer": jetstream,
            },
        })
    };
    let lines = format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}",
        jwt(
            &operator,
            &operator,
            "operator",
            json!({ "type": "operator", "version": 2 })
        ),
        system.public_key(),
        account.public_key(),
        jwt(&operator, &account, "account", unlimited(-1)),
        system.public_key(),
        jwt(&operator, &system, "system", unlimited(0)),
    );
    let server = NatsServer::start_with(&lines).await;
    let url = server.url();
    let anybody = Jetstream::connect(&Config::default(), &url, "test").await;
    assert!(matches!(
        anybody.unwrap_err(),
        ConnectError::Unreachable { .. }
    ));
    let claims = json!({
        "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1,
    });
    let credentials = format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        jwt(&account, &user, "user", claims),
        user.seed().unwrap(),
    );
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        credentials_file: Some(file(&folder, "user.creds", &credentials)),
        ..Config::default()
    };
    works(server, &url, &config).await;
}
