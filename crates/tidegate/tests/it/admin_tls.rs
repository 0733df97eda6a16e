//! The admin door over TLS: to whom it speaks, and what the command line needs for it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Output},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use tidegate_testkit::{Authority, Client, Identity};

use crate::harness::{PATIENCE, Tidegate};

const OPERATOR: &str = "an-operator-with-a-secret";

const TLS: &str = "admin:\n  tls:\n    certificate: door/certificate.pem\n    key: door/key.pem\n    \
                   reload_interval: 100ms\n";

fn put(folder: &Path, name: &str, identity: &Identity) {
    let folder = folder.join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("certificate.pem"), identity.certificate_pem()).unwrap();
    fs::write(folder.join("key.pem"), identity.key_pem()).unwrap();
}

fn client(authority: &Authority, identity: Option<&Identity>) -> Arc<ClientConfig> {
    Arc::new(authority.client(identity, &[b"http/1.1"]))
}

/// The status of the answer, or why there is none.
fn ask(
    to: &Tidegate,
    client: &Arc<ClientConfig>,
    path: &str,
    token: &str,
) -> std::io::Result<String> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let session = ClientConnection::new(Arc::clone(client), name).unwrap();
    let stream = TcpStream::connect(to.admin)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(session, stream);
    let authorization = match token {
        "" => String::new(),
        token => format!("authorization: Bearer {token}\r\n"),
    };
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: door\r\nconnection: close\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer
        .get("HTTP/1.1 ".len()..)
        .unwrap_or_default()
        .to_owned())
}

fn command(of: &Tidegate, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .current_dir(of.dir.path())
        .env("TIDEGATE_CONTEXTS", of.dir.path())
        .output()
        .unwrap()
}

/// The files are looked at while it runs, and nobody is answered without TLS.
#[tokio::test]
async fn the_door_speaks_tls_alone_and_notices_a_renewed_certificate() {
    let (authority, later) = (Authority::new("first"), Authority::new("second"));
    let prepare = |folder: &Path| {
        put(folder, "door", &authority.identity("127.0.0.1", 1));
        fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    };
    let tidegate = Tidegate::up_prepared("", TLS, prepare).await;
    let address = format!("admin=https://{}", tidegate.admin);
    tidegate.log_says(&address).await;
    let trusting = client(&authority, None);
    for path in ["/healthz", "/readyz", "/metrics", "/api/v1/subscriptions"] {
        let answer = ask(&tidegate, &trusting, path, "").unwrap();
        assert!(answer.starts_with("200 "), "{path}: {answer}");
    }
    let mut plain = Client::connect(tidegate.admin).await.unwrap();
    assert!(plain.send("GET", "/healthz", &[], b"").await.is_err());
    let door = format!("https://{}", tidegate.admin);
    let list = ["subscriptions", "list", "--admin", &door];
    let output = command(&tidegate, &[&list[..], &["--ca", "ca.pem"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for none in [
        &[][..],
        &["--ca", "nowhere.pem"],
        &["--ca", "tidegate.yaml"],
    ] {
        let output = command(&tidegate, &[&list[..], none].concat());
        assert_eq!(output.status.code(), Some(1), "{none:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("--ca"), "{none:?}: {said}");
    }
    put(tidegate.dir.path(), "door", &later.identity("127.0.0.1", 1));
    let renewed = client(&later, None);
    let began = Instant::now();
    while ask(&tidegate, &renewed, "/healthz", "").is_err() {
        assert!(began.elapsed() < PATIENCE, "{}", tidegate.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(ask(&tidegate, &trusting, "/healthz", "").is_err());
}

/// Everything that a door needs that wants tokens and client certificates: its authority, another
/// one, and a client's certificate.
struct Locked {
    tidegate: Tidegate,
    authority: Authority,
    strange: Authority,
    anna: Identity,
}

impl Locked {
    async fn up() -> Self {
        let (authority, strange) = (Authority::new("ours"), Authority::new("theirs"));
        let anna = authority.identity("anna", 2);
        let prepare = |folder: &Path| {
            put(folder, "door", &authority.identity("127.0.0.1", 1));
            put(folder, "anna", &anna);
            fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
            fs::write(folder.join("operator"), OPERATOR).unwrap();
        };
        let configuration = format!(
            "{TLS}    client_ca: ca.pem\n  tokens:\n    \
             - {{ name: anna, file: operator, role: operator }}\n"
        );
        let tidegate = Tidegate::up_prepared("", &configuration, prepare).await;
        Self {
            tidegate,
            authority,
            strange,
            anna,
        }
    }
}

/// A certificate is asked for beside the token and never in its place; probes need neither.
#[tokio::test]
async fn a_client_certificate_is_wanted_beside_the_token() {
    let Locked {
        tidegate,
        authority,
        strange,
        anna,
    } = Locked::up().await;
    let (without, with) = (client(&authority, None), client(&authority, Some(&anna)));
    let list = "/api/v1/subscriptions";
    for (client, path, token, expected) in [
        (&without, "/healthz", "", "200 "),
        (&without, "/readyz", "", "200 "),
        (&without, "/metrics", OPERATOR, "403 "),
        (&without, list, OPERATOR, "403 "),
        (&with, list, "", "401 "),
        (&with, list, OPERATOR, "200 "),
        (&with, "/metrics", OPERATOR, "200 "),
    ] {
        let answer = ask(&tidegate, client, path, token).unwrap();
        assert!(answer.starts_with(expected), "{path} {token}: {answer}");
        let is_named = answer.contains("admin/no-certificate");
        assert_eq!(is_named, expected == "403 ", "{answer}");
    }
    let stranger = strange.identity("anna", 2);
    let stranger = client(&authority, Some(&stranger));
    assert!(ask(&tidegate, &stranger, "/healthz", "").is_err());
}

/// The command line shows what it is given, by its arguments or by a context.
#[tokio::test]
async fn the_command_line_shows_a_certificate() {
    let Locked { tidegate, .. } = Locked::up().await;
    let door = format!("https://{}", tidegate.admin);
    let given = [
        "--certificate",
        "anna/certificate.pem",
        "--key",
        "anna/key.pem",
    ];
    let list = [
        "subscriptions",
        "list",
        "--ca",
        "ca.pem",
        "--token-file",
        "operator",
    ];
    let list = [&list[..], &["--admin", &door]].concat();
    let said = |arguments: &[&str]| {
        let output = command(&tidegate, arguments);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, text) = said(&[&list[..], &given].concat());
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = said(&list);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("admin/no-certificate"), "{text}");
    let (code, text) = said(&[&list[..], &given[..2]].concat());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("--key"), "{text}");
    let contexts = format!(
        "contexts:\n- {{ name: here, admin: '{door}', token_file: operator, ca: ca.pem, \
         certificate: anna/certificate.pem, key: anna/key.pem }}\n"
    );
    fs::write(tidegate.dir.path().join("contexts.yaml"), contexts).unwrap();
    let (code, text) = said(&["subscriptions", "list", "--context", "here"]);
    assert_eq!(code, Some(0), "{text}");
}

/// Who opens connections and says nothing holds up nobody who speaks.
#[tokio::test]
async fn silent_connections_hold_nobody_up() {
    let authority = Authority::new("ours");
    let prepare = |folder: &Path| put(folder, "door", &authority.identity("127.0.0.1", 1));
    let tidegate = Tidegate::up_prepared("", TLS, prepare).await;
    let open = |_| TcpStream::connect(tidegate.admin).unwrap();
    let silent: Vec<TcpStream> = (0..200).map(open).collect();
    let began = Instant::now();
    let answer = ask(&tidegate, &client(&authority, None), "/healthz", "").unwrap();
    assert!(answer.starts_with("200 "), "{answer}");
    // Less than one of them may take.
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    drop(silent);
}

/// A door that cannot be opened as it is meant is not opened otherwise.
#[tokio::test]
async fn files_that_are_no_use_end_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidegate.yaml");
    fs::write(&file, TLS).unwrap();
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
    assert!(said.contains("admin.tls.certificate: "), "{said}");
}
