//! The admin door: who may do what there, and what is told of it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Client};

use crate::harness::{PATIENCE, Tidegate};

const VIEWER: &str = "a-viewer-with-a-secret";
const OPERATOR: &str = "an-operator-with-a-secret";

const CONFIGURATION: &str = "\
admin:
  tokens:
    - { name: dashboards, file: viewer, role: viewer }
    - { name: anna, file: secrets/operator, role: operator }
";

fn secrets(folder: &Path) {
    fs::write(folder.join("viewer"), VIEWER).unwrap();
    fs::create_dir(folder.join("secrets")).unwrap();
    fs::write(folder.join("secrets/operator"), format!("{OPERATOR}\n")).unwrap();
}

async fn ask(to: &Tidegate, method: &str, path: &str, token: &str, body: &str) -> Answer {
    let mut client = Client::connect(to.admin).await.unwrap();
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("content-type", "application/json")];
    if !token.is_empty() {
        headers.push(("authorization", &bearer));
    }
    client
        .send(method, path, &headers, body.as_bytes())
        .await
        .unwrap()
}

fn code(answer: &Answer) -> Value {
    serde_json::from_str::<Value>(&answer.text()).unwrap()["code"].clone()
}

/// A viewer looks, an operator changes, nobody else does either; probes are open, metrics are not.
#[tokio::test]
async fn a_token_allows_what_its_role_does() {
    let tidegate = Tidegate::up_prepared("", CONFIGURATION, secrets).await;
    let level = json!({ "level": "warn" }).to_string();
    for (method, path, token, status) in [
        ("GET", "/healthz", "", 200),
        ("GET", "/readyz", "", 200),
        ("GET", "/metrics", "", 401),
        ("GET", "/metrics", VIEWER, 200),
        ("GET", "/api/v1/subscriptions", "", 401),
        (
            "GET",
            "/api/v1/subscriptions",
            "another-secret-of-somebody",
            401,
        ),
        ("GET", "/api/v1/subscriptions", VIEWER, 200),
        ("GET", "/api/v1/subscriptions", OPERATOR, 200),
        ("GET", "/api/v1/openapi.json", "", 401),
        ("PUT", "/api/v1/log-level", "", 401),
        ("PUT", "/api/v1/log-level", VIEWER, 403),
        ("DELETE", "/api/v1/dead-letters/1", VIEWER, 403),
        (
            "POST",
            "/api/v1/subscriptions/default/one/pause",
            VIEWER,
            403,
        ),
        (
            "POST",
            "/api/v1/subscriptions/default/one/resume",
            VIEWER,
            403,
        ),
        (
            "POST",
            "/api/v1/subscriptions/default/one/resume",
            OPERATOR,
            404,
        ),
        ("PUT", "/api/v1/log-level", OPERATOR, 200),
    ] {
        let answer = ask(&tidegate, method, path, token, &level).await;
        assert_eq!(
            answer.status,
            status,
            "{method} {path} {token}: {}",
            answer.text()
        );
        match status {
            401 => {
                assert_eq!(code(&answer), "admin/unauthenticated");
                let challenge = answer.header("www-authenticate").unwrap();
                assert!(challenge.starts_with("Bearer "), "{challenge}");
            }
            403 => assert_eq!(code(&answer), "admin/not-permitted"),
            _ => {}
        }
    }
}

/// A secret that is changed counts without a restart, and one that is taken away lets nobody in.
#[tokio::test]
async fn a_changed_secret_counts() {
    let tidegate = Tidegate::up_prepared("", CONFIGURATION, secrets).await;
    let file = tidegate.dir.path().join("viewer");
    let becomes = async |token: &str, status: u16| {
        let began = std::time::Instant::now();
        while ask(&tidegate, "GET", "/metrics", token, "").await.status != status {
            assert!(began.elapsed() < PATIENCE, "{token} is not {status}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    becomes(VIEWER, 200).await;
    fs::write(&file, "another-viewer-of-later").unwrap();
    becomes("another-viewer-of-later", 200).await;
    becomes(VIEWER, 401).await;
    fs::remove_file(&file).unwrap();
    becomes("another-viewer-of-later", 401).await;
    tidegate.log_says("lets nobody in").await;
    becomes(OPERATOR, 200).await;
}

/// Where metrics are open, the rest is not.
#[tokio::test]
async fn metrics_may_be_open() {
    let configuration = format!("{CONFIGURATION}  metrics_open: true\n");
    let tidegate = Tidegate::up_prepared("", &configuration, secrets).await;
    for (path, status) in [("/metrics", 200), ("/api/v1/events", 401)] {
        assert_eq!(
            ask(&tidegate, "GET", path, "", "").await.status,
            status,
            "{path}"
        );
    }
}

fn command(of: &Tidegate, arguments: &[&str], token: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command
        .args(arguments)
        .env("TIDEGATE_ADMIN", format!("http://{}", of.admin))
        .env_remove("TIDEGATE_ADMIN_TOKEN_FILE");
    if let Some(file) = token {
        command.env("TIDEGATE_ADMIN_TOKEN_FILE", of.dir.path().join(file));
    }
    command.output().unwrap()
}

/// The command line comes in with the file of a token, and says what is missing without.
#[tokio::test]
async fn the_command_line_shows_its_token() {
    let tidegate = Tidegate::up_prepared("", CONFIGURATION, secrets).await;
    let list = ["subscriptions", "list"];
    let output = command(&tidegate, &list, Some("viewer"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = command(&tidegate, &list, None);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("admin/unauthenticated"), "{said}");
    assert!(said.contains("--token-file"), "{said}");
}

/// Tokens that are no use end the start, and each is named.
#[tokio::test]
async fn tokens_that_are_no_use_are_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    secrets(folder.path());
    fs::write(folder.path().join("short"), "short").unwrap();
    let configuration = format!(
        "{CONFIGURATION}    - {{ name: short, file: short, role: viewer }}\n    \
         - {{ name: none, file: none, role: viewer }}\n    \
         - {{ name: twice, file: viewer, role: operator }}\n"
    );
    let file = folder.path().join("tidegate.yaml");
    fs::write(&file, configuration).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .arg("up")
        .arg("--config")
        .arg(file)
        .arg("--data-dir")
        .arg(folder.path())
        .env("TIDEGATE__ADMIN__LISTEN", "127.0.0.1:0")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in [
        "\"short\" must hold 16",
        "\"none\" cannot be read",
        "\"twice\" holds the secret",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains(VIEWER), "{said}");
}

/// What is logged is changed while it runs, until the next start; what is no level changes nothing.
#[tokio::test]
async fn the_log_level_is_changed_while_it_runs() {
    let mut tidegate = Tidegate::up("", "telemetry: { log: { level: warn } }\n").await;
    let said = |arguments: &[&str]| {
        let output = command(&tidegate, arguments, None);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };
    assert_eq!(said(&["log-level"]), (Some(0), "warn\n".to_owned()));
    let (_, text) = said(&["log-level", "--output", "json"]);
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["level"], "warn", "{text}");
    let (code, text) = said(&["log-level", "set", "loud"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no level is called \"loud\""), "{text}");
    assert!(
        !tidegate.log().contains("nats-server runs"),
        "{}",
        tidegate.log()
    );
    let (code, text) = said(&["log-level", "set", "info,tidegate_consume=debug"]);
    assert_eq!(code, Some(0), "{text}");
    let expected = "info,tidegate_consume=debug (after a restart: warn)\n";
    assert_eq!(said(&["log-level", "show"]), (Some(0), expected.to_owned()));
    tidegate.terminate().await;
    assert!(
        tidegate.log().contains("shutting down"),
        "{}",
        tidegate.log()
    );
}

/// Each request that may change something is told: who, what, and what came of it; those that only
/// look are not, and no secret is, also where little else is logged.
#[tokio::test]
async fn what_operators_change_is_told() {
    let tidegate = Tidegate::up_prepared("", CONFIGURATION, secrets).await;
    let level = json!({ "level": "off" }).to_string();
    for (method, path, token) in [
        ("GET", "/api/v1/events", OPERATOR),
        ("PUT", "/api/v1/log-level", OPERATOR),
        (
            "POST",
            "/api/v1/dead-letters/4711/redrive?sink=http://of-a-query/",
            VIEWER,
        ),
        ("POST", "/api/v1/dead-letters/4711/redrive", OPERATOR),
        ("POST", "/api/v1/replays", ""),
    ] {
        ask(&tidegate, method, path, token, &level).await;
    }
    tidegate.log_says("/api/v1/replays").await;
    let log = tidegate.log();
    let lines = log.lines().filter(|line| line.contains("tidegate::audit"));
    let told: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<Value> = told
        .iter()
        .map(|line| {
            assert!(line["timestamp"].is_string(), "{line}");
            assert!(line["from"].as_str().unwrap().starts_with("127.0.0.1:"));
            let of = [
                "who", "method", "path", "about", "outcome", "status", "code",
            ];
            of.map(|name| line[name].clone()).into_iter().collect()
        })
        .collect();
    let letter = "/api/v1/dead-letters/4711/redrive";
    assert_eq!(
        told,
        [
            json!(["anna", "PUT", "/api/v1/log-level", "off", "done", 200, null]),
            json!([
                "dashboards",
                "POST",
                letter,
                null,
                "refused",
                403,
                "admin/not-permitted"
            ]),
            json!([
                "anna",
                "POST",
                letter,
                null,
                "refused",
                404,
                "admin/no-such-dead-letter"
            ]),
            json!([
                "",
                "POST",
                "/api/v1/replays",
                null,
                "refused",
                401,
                "admin/unauthenticated"
            ]),
        ]
    );
    for secret in [VIEWER, OPERATOR, "of-a-query"] {
        assert!(!log.contains(secret), "{secret}");
    }
}

/// A context names a door and its token; the one in use counts without a word, and an address that
/// is given never gets its token.
#[tokio::test]
async fn a_context_leads_to_its_mesh() {
    let tidegate = Tidegate::up_prepared("", CONFIGURATION, secrets).await;
    let folder = tempfile::tempdir().unwrap();
    let token = tidegate.dir.path().join("viewer");
    let admin = format!("http://{}", tidegate.admin);
    let contexts = format!(
        "contexts:\n- {{ name: here, admin: '{admin}', token_file: '{}' }}\n\
         - {{ name: nowhere, admin: 'http://127.0.0.1:1' }}\n",
        token.display()
    );
    fs::write(folder.path().join("contexts.yaml"), contexts).unwrap();
    let said = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(arguments)
            .env("TIDEGATE_CONTEXTS", folder.path())
            .env_remove("TIDEGATE_ADMIN")
            .env_remove("TIDEGATE_ADMIN_TOKEN_FILE")
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };
    assert_eq!(
        said(&["log-level", "--context", "here"]),
        (Some(0), "info\n".to_owned())
    );
    assert_eq!(said(&["context", "use", "here"]), (Some(0), String::new()));
    assert_eq!(said(&["log-level"]), (Some(0), "info\n".to_owned()));
    let (code, text) = said(&["context", "list"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.starts_with(&format!("* here  {admin}\n  nowhere  ")),
        "{text}"
    );
    let (code, text) = said(&["log-level", "--context", "nowhere"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("http://127.0.0.1:1/"), "{text}");
    let (code, text) = said(&["log-level", "--admin", &admin]);
    assert_eq!(code, Some(1));
    assert!(text.contains("admin/unauthenticated"), "{text}");
    let (code, text) = said(&["context", "use", "elsewhere"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("there are: here, nowhere"), "{text}");
    let (_, text) = said(&["subscriptions", "list", "--output", "yaml"]);
    assert_eq!(text, "---\nitems: []\nmistakes: []\n");
}

/// Who looks is told who may send what and how they prove it, and no secret.
#[tokio::test]
async fn applications_are_listed() {
    let configuration = "applications: { folder: applications }\n";
    let prepare = |folder: &Path| {
        let folder = folder.join("applications");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("key"), "a-key-of-commerce").unwrap();
        let document = "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Application\n\
             metadata: { name: commerce }\nspec:\n  authentication:\n  \
             - apiKey: { header: x-api-key, key: { file: key } }\n  types: ['order.**']\n  \
             limits: { eventsPerSecond: 200 }\n";
        fs::write(folder.join("commerce.yaml"), document).unwrap();
    };
    let tidegate = Tidegate::up_prepared("", configuration, prepare).await;
    let said = |arguments: &[&str]| {
        let output = command(&tidegate, arguments, None);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };
    let expected = "commerce  apiKey  -  -  order.**  accepted 0  refused 0  last -\n";
    assert_eq!(
        said(&["applications", "list"]),
        (Some(0), expected.to_owned())
    );
    let (code, text) = said(&["applications", "show", "commerce"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("eventsPerSecond   200\n"), "{text}");
    let (code, text) = said(&["applications", "show", "elsewhere"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("admin/no-such-application"), "{text}");
    let (_, text) = said(&["applications", "show", "commerce", "--output", "json"]);
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["types"], json!(["order.**"]));
    assert!(
        !text.contains("key\""),
        "where a secret is, is told: {text}"
    );
}
