//! Brokers that want to know who comes: TLS and every mechanism, for sources and for sinks.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use tidegate_testkit::{Authority, Kafka};

use crate::{
    broker::{Record, produce},
    harness::{PATIENCE, Tidegate},
    source::all_to,
};

/// An unsigned token, as the broker takes them.
fn token() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let claims = json!({ "sub": Kafka::USER, "iat": now, "exp": now + 3_600 });
    format!("{}.{}.", part(json!({ "alg": "none" })), part(claims))
}

/// How to get in, by a name.
fn ways(kafka: &Kafka) -> Vec<(&'static str, String)> {
    let (sasl, user) = (kafka.bootstrap_sasl(), Kafka::USER);
    let password = |mechanism: &str, file: &str| {
        format!(
            "brokers: ['{sasl}'], tls: {{ ca: {{ file: ca.pem }} }}, sasl: {{ mechanism: {mechanism}, \
             username: {user}, password: {{ file: {file} }} }}"
        )
    };
    vec![
        ("plain", password("PLAIN", "password")),
        ("scram256", password("SCRAM-SHA-256", "password")),
        ("scram512", password("SCRAM-SHA-512", "password")),
        (
            "token",
            format!(
                "brokers: ['{sasl}'], tls: {{ ca: {{ file: ca.pem }} }}, \
                 sasl: {{ mechanism: OAUTHBEARER, token: {{ file: token }} }}"
            ),
        ),
        (
            "certificate",
            format!(
                "brokers: ['{}'], tls: {{ ca: {{ file: ca.pem }}, certificate: {{ file: own.pem }}, \
                 key: {{ file: own.key }} }}",
                kafka.bootstrap_certificates()
            ),
        ),
    ]
}

fn source(name: &str, way: &str) -> String {
    // Each as another Application: the same id of two is two events.
    format!(
        "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: KafkaSource\n\
         metadata: {{ name: {name} }}\n\
         spec: {{ topics: [in], application: {name}, {way} }}\n"
    )
}

fn secrets(folder: &Path, authority: &Authority) {
    let own = authority.identity("tidegate", 7);
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("own.pem", own.certificate_pem().to_owned()),
        ("own.key", own.key_pem()),
        ("password", format!("{}\n", Kafka::PASSWORD)),
        ("token", token()),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn shown(tidegate: &Tidegate, source: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["sources", "show", source, "--admin"])
        .arg(format!("http://{}", tidegate.admin))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Each way leads into the mesh and out of it. One that is wrong is told, and right as soon as its
/// secret is.
#[tokio::test]
async fn every_way_in_leads_in_and_out() {
    let authority = Authority::new("kafka");
    let kafka = Kafka::start_secure(&authority).await;
    kafka.create_topic("in", 1).await;
    kafka.create_topic("out", 1).await;
    let ways = ways(&kafka);
    let mut sources: String = ways.iter().map(|(name, way)| source(name, way)).collect();
    let wrong = ways[1].1.replace("file: password", "file: rotated");
    sources += &source("rotated", &wrong);
    let subscriptions: String = ways
        .iter()
        .map(|(name, way)| all_to(name, &format!("{{ kafka: {{ topic: out, {way} }} }}")))
        .collect();
    let configuration = "sources: { folder: sources }\n";
    let tidegate = Tidegate::up_prepared(&subscriptions, configuration, |folder| {
        fs::create_dir(folder.join("sources")).unwrap();
        fs::write(folder.join("sources/all.yaml"), &sources).unwrap();
        secrets(&folder.join("sources"), &authority);
        secrets(&folder.join("subscriptions"), &authority);
        fs::write(folder.join("sources/rotated"), "wrong").unwrap();
    })
    .await;
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", "1"),
        ("ce_source", "erp"),
        ("ce_type", "t"),
    ];
    produce(&kafka, "in", &[Record::new(&headers, "{}")]).await;
    // As many events as there are sources that get in, each to as many sinks.
    let count = ways.len() * ways.len();
    let read = tokio::time::timeout(PATIENCE, kafka.read_events("out", count)).await;
    assert!(read.is_ok(), "{}", tidegate.log());
    let until = async |what: &str| {
        let began = Instant::now();
        loop {
            let text = shown(&tidegate, "rotated");
            if text.contains(what) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{text}\n{}", tidegate.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    until("uthentication").await;
    let right = tidegate.dir.path().join("sources/rotated");
    fs::write(right, Kafka::PASSWORD).unwrap();
    until("in/0").await;
    kafka.read_events("out", count + ways.len()).await;
}
