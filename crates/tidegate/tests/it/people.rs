//! People at the admin door: tokens of an issuer, and what their claims allow.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tidegate_testkit::{Answer, Client, Issuer};

use crate::harness::{PATIENCE, Tidegate};

const OPERATOR: &str = "an-operator-with-a-secret";

/// A key of an issuer.
struct Signer {
    id: &'static str,
    pair: Ed25519KeyPair,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        Self { id, pair }
    }

    fn jwk(&self) -> Value {
        let key = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.id, "x": key })
    }

    fn token(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.id });
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Seconds of Unix time, so many from now.
fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_secs()).unwrap() + seconds
}

fn claims(issuer: &Issuer, name: &str, roles: &[&str]) -> Value {
    json!({
        "iss": issuer.url, "aud": ["account", "tidegate"], "sub": format!("id-of-{name}"),
        "preferred_username": name, "realm_access": { "roles": roles },
        "exp": in_seconds(300),
    })
}

fn configuration(issuer: &Issuer) -> String {
    format!(
        "identity: {{ keys_refetch_after: 10ms, keys_retry_after: 10ms }}\nadmin:\n  oidc:\n    \
         issuer: '{}'\n    audience: tidegate\n    role_claim: realm_access.roles\n    \
         operators: [mesh-operators]\n    viewers: [staff]\n",
        issuer.url
    )
}

async fn ask(to: &Tidegate, method: &str, path: &str, token: &str) -> Answer {
    let mut client = Client::connect(to.admin).await.unwrap();
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("content-type", "application/json")];
    if !token.is_empty() {
        headers.push(("authorization", &bearer));
    }
    let body = json!({ "level": "info" }).to_string();
    client
        .send(method, path, &headers, body.as_bytes())
        .await
        .unwrap()
}

fn code(answer: &Answer) -> String {
    let problem: Value = serde_json::from_str(&answer.text()).unwrap_or_default();
    problem["code"].as_str().unwrap_or_default().to_owned()
}

/// A person does what a role allows that a claim gives; a forged, strange or expired token lets
/// nobody in, and each refusal says which it is.
#[tokio::test]
async fn a_person_may_do_what_the_claim_says() {
    let (signer, forger) = (Signer::new("one"), Signer::new("one"));
    let issuer = Issuer::start(vec![signer.jwk()]).await;
    let tidegate = Tidegate::up("", &configuration(&issuer)).await;
    let with = |name: &str, value: Value| {
        let mut claims = claims(&issuer, "anna", &["mesh-operators"]);
        claims[name] = value;
        signer.token(&claims)
    };
    let anna = signer.token(&claims(&issuer, "anna", &["staff", "mesh-operators"]));
    let bert = signer.token(&claims(&issuer, "bert", &["staff"]));
    let carl = signer.token(&claims(&issuer, "carl", &["guests"]));
    let forged = forger.token(&claims(&issuer, "anna", &["mesh-operators"]));
    let unauthenticated = "admin/unauthenticated";
    for (method, token, status, expected) in [
        ("GET", "", 401, unauthenticated),
        ("GET", "an-opaque-secret-of-nobody", 401, unauthenticated),
        ("GET", &forged, 401, unauthenticated),
        ("GET", &with("aud", json!("account")), 401, unauthenticated),
        ("GET", &with("iss", json!("http://i")), 401, unauthenticated),
        (
            "GET",
            &with("exp", json!(in_seconds(-90))),
            401,
            "admin/token-expired",
        ),
        (
            "GET",
            &with("nbf", json!(in_seconds(90))),
            401,
            "admin/token-not-yet-valid",
        ),
        ("GET", &with("exp", json!(in_seconds(-30))), 200, ""),
        ("GET", &carl, 403, "admin/no-role"),
        ("GET", &bert, 200, ""),
        ("PUT", &bert, 403, "admin/not-permitted"),
        ("PUT", &carl, 403, "admin/no-role"),
        ("PUT", &anna, 200, ""),
    ] {
        let answer = ask(&tidegate, method, "/api/v1/log-level", token).await;
        let said = (answer.status, code(&answer));
        assert_eq!(said, (status, expected.to_owned()), "{method} {token}");
        if status == 401 {
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer "), "{challenge}");
            let has_reason = challenge.contains("error=\"invalid_token\"");
            assert_eq!(has_reason, !token.is_empty(), "{challenge}");
        }
    }
    let document = ask(&tidegate, "GET", "/api/v1/openapi.json", &bert).await;
    let document: Value = serde_json::from_str(&document.text()).unwrap();
    let person = &document["components"]["securitySchemes"]["person"];
    assert_eq!(
        person["openIdConnectUrl"],
        format!("{}/.well-known/openid-configuration", issuer.url)
    );
    assert_eq!(
        document["security"],
        json!([{ "person": [] }, { "token": [] }])
    );
}

/// The audit log has the person by name and by what no other person has; a token of the
/// configuration has a name alone.
#[tokio::test]
async fn the_audit_log_says_who_by_the_claim() {
    let signer = Signer::new("one");
    let issuer = Issuer::start(vec![signer.jwk()]).await;
    let configuration = configuration(&issuer)
        + "  tokens:\n    - { name: anna, file: operator, role: operator }\n";
    let prepare = |folder: &std::path::Path| {
        fs::write(folder.join("operator"), OPERATOR).unwrap();
    };
    let tidegate = Tidegate::up_prepared("", &configuration, prepare).await;
    let anna = signer.token(&claims(&issuer, "anna", &["mesh-operators"]));
    let long = "n".repeat(3_000);
    let long = signer.token(&claims(&issuer, &long, &["guests"]));
    for token in [&*anna, OPERATOR, &*long] {
        ask(&tidegate, "PUT", "/api/v1/log-level", token).await;
    }
    tidegate.log_says("admin/no-role").await;
    let log = tidegate.log();
    let lines = log.lines().filter(|line| line.contains("tidegate::audit"));
    let told: Vec<Value> = lines
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| json!([line["who"], line["subject"], line["status"]]))
        .collect();
    assert_eq!(
        told[..2],
        [
            json!(["anna", "id-of-anna", 200]),
            json!(["anna", null, 200])
        ]
    );
    assert_eq!(told[2][0], "n".repeat(255));
    assert!(!log.contains(&anna), "a token is told");
}

/// Who is asked is not there: that is nobody's fault, and says what to do. What is known goes on
/// counting, and a token of the configuration needs no issuer.
#[tokio::test]
async fn an_issuer_that_is_away_locks_nobody_out_who_is_known() {
    let (signer, later) = (Signer::new("one"), Signer::new("two"));
    let issuer = Issuer::start(vec![signer.jwk()]).await;
    issuer.set_down(true);
    let configuration = configuration(&issuer)
        + "  tokens:\n    - { name: root, file: operator, role: operator }\n";
    let prepare = |folder: &std::path::Path| {
        fs::write(folder.join("operator"), OPERATOR).unwrap();
    };
    let tidegate = Tidegate::up_prepared("", &configuration, prepare).await;
    let status = async |token: &str| ask(&tidegate, "GET", "/metrics", token).await.status;
    let becomes = async |token: &str, expected: u16| {
        let began = Instant::now();
        while status(token).await != expected {
            assert!(began.elapsed() < PATIENCE, "{}", tidegate.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let anna = signer.token(&claims(&issuer, "anna", &["staff"]));
    let answer = ask(&tidegate, "GET", "/metrics", &anna).await;
    assert_eq!(
        (answer.status, &*code(&answer)),
        (503, "admin/issuer-unavailable")
    );
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(status(OPERATOR).await, 200);
    issuer.set_down(false);
    becomes(&anna, 200).await;
    issuer.set_down(true);
    assert_eq!(status(&anna).await, 200);
    // Its key may be a new one.
    let unknown = later.token(&claims(&issuer, "anna", &["staff"]));
    becomes(&unknown, 503).await;
    issuer.set_keys(vec![later.jwk()]);
    issuer.set_down(false);
    becomes(&unknown, 200).await;
    becomes(&anna, 401).await;
}

/// A command that goes on takes the token that the file has then.
#[tokio::test]
async fn the_command_line_reads_the_token_each_time() {
    let signer = Signer::new("one");
    let issuer = Issuer::start(vec![signer.jwk()]).await;
    let tidegate = Tidegate::up("", &configuration(&issuer)).await;
    let (file, output) = (
        tidegate.dir.path().join("token"),
        tidegate.dir.path().join("said"),
    );
    let mut anna = claims(&issuer, "anna", &["staff"]);
    fs::write(&file, format!("{}\n", signer.token(&anna))).unwrap();
    let into = fs::File::create(&output).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args([
            "subscriptions",
            "list",
            "--watch",
            "--output",
            "json",
            "--token-file",
        ])
        .arg(&file)
        .env("TIDEGATE_ADMIN", format!("http://{}", tidegate.admin))
        .stdin(Stdio::null())
        .stdout(into.try_clone().unwrap())
        .stderr(into)
        .spawn()
        .unwrap();
    let says = async |text: &str| {
        let began = Instant::now();
        while !fs::read_to_string(&output).unwrap().contains(text) {
            assert!(began.elapsed() < PATIENCE, "it never says {text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    says("\"items\":[]").await;
    anna["exp"] = json!(in_seconds(-90));
    fs::write(&file, signer.token(&anna)).unwrap();
    says("admin/token-expired").await;
    child.kill().unwrap();
    child.wait().unwrap();
}
