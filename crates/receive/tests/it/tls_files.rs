//! The files of TLS: how they change while the doors are open, and what is wrong with them.

use std::{fs, time::Duration};

use tidegate_receive::{BindError, Metrics, Reload, Server};
use tidegate_testkit::Authority;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    authority::Files,
    support::{BOUND, Gateway, Script},
    tls::{connect, publish, publish_as},
};

const HTTP1: &[u8] = b"http/1.1";

/// The first day of 2100, and of 2090, in Unix time.
const START_OF_2100: &str = "certificate_expiry_seconds 4102444800";
const START_OF_2090: &str = "certificate_expiry_seconds 3786912000";

fn start(files: &Files) -> Gateway {
    Gateway::start_with(files.config(), &Script::storing())
}

/// Certificates are renewed far more often than gateways are restarted.
#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let files = Files::new();
    let gateway = start(&files);
    assert_eq!(gateway.reload(), Reload::Unchanged);
    gateway.counted(START_OF_2100).await;
    let renewed = Authority::new("renewed");
    files.show(&renewed.identity_until("gateway", 3, 2090));
    assert_eq!(gateway.reload(), Reload::Changed);
    assert_eq!(gateway.reload(), Reload::Unchanged);
    gateway.counted(START_OF_2090).await;
    let client = renewed.client(None, &[HTTP1]);
    assert_eq!(publish(&gateway, client).await, Ok(204));
    let before = files.authority.client(None, &[HTTP1]);
    assert!(connect(&gateway, before).await.is_err());
    gateway
        .counted("connections_failed_total{reason=\"tls_refused_by_client\"} 1")
        .await;
}

/// What is revoked today must not get in tomorrow because nobody restarted anything.
#[tokio::test]
async fn a_new_revocation_list_and_new_authorities_count_from_the_next_handshake() {
    let files = Files::new();
    files.write("revoked.pem", &files.authority.revoking(&[]));
    let gateway = start(&files);
    let identity = files.authority.identity("shop", 10);
    assert_eq!(publish_as(&gateway, &files, &identity).await, Ok(204));
    files.write("revoked.pem", &files.authority.revoking(&[10]));
    assert_eq!(gateway.reload(), Reload::Changed);
    assert!(publish_as(&gateway, &files, &identity).await.is_err());

    let another = Authority::new("another");
    let stranger = another.identity("shop", 30);
    assert!(publish_as(&gateway, &files, &stranger).await.is_err());
    files.write("authority.pem", &(files.authority.pem() + &another.pem()));
    assert_eq!(gateway.reload(), Reload::Changed);
    assert_eq!(publish_as(&gateway, &files, &stranger).await, Ok(204));
}

/// A mistake in a file must not close doors that are open, and its repair is noticed.
#[tokio::test]
async fn a_bad_file_leaves_the_old_one_in_use() {
    let files = Files::new();
    files.write("revoked.pem", &files.authority.revoking(&[10]));
    let gateway = start(&files);
    let revoked = files.authority.identity("shop", 10);
    let kept = files.authority.identity("shop", 11);
    let good: Vec<_> = ["certificate.pem", "key.pem", "authority.pem", "revoked.pem"]
        .into_iter()
        .map(|name| (name, fs::read_to_string(files.path(name)).unwrap()))
        .collect();
    let cut = good[0].1[..200].to_owned();
    for (name, text) in &good {
        for bad in ["", "nonsense", &cut] {
            files.write(name, bad);
            assert_eq!(gateway.reload(), Reload::Failed, "{name}: {bad}");
        }
        files.remove(name);
        assert_eq!(gateway.reload(), Reload::Failed, "{name}");
        assert_eq!(publish_as(&gateway, &files, &kept).await, Ok(204));
        assert!(publish_as(&gateway, &files, &revoked).await.is_err());
        files.write(name, text);
        assert_eq!(gateway.reload(), Reload::Unchanged, "{name}");
    }
}

/// Two files cannot be replaced at one moment: in between they do not belong together.
#[tokio::test]
async fn a_certificate_without_its_key_waits_for_it() {
    let files = Files::new();
    let gateway = start(&files);
    let before = fs::read_to_string(files.path("key.pem")).unwrap();
    files.show(&files.authority.identity_until("gateway", 3, 2090));
    let after = fs::read_to_string(files.path("key.pem")).unwrap();
    files.write("key.pem", &before);
    assert_eq!(gateway.reload(), Reload::Failed);
    gateway.counted(START_OF_2100).await;
    let client = files.authority.client(None, &[HTTP1]);
    assert_eq!(publish(&gateway, client).await, Ok(204));
    files.write("key.pem", &after);
    assert_eq!(gateway.reload(), Reload::Changed);
    gateway.counted(START_OF_2090).await;
}

/// The files are looked at in the interval, and no longer after the end.
#[tokio::test]
async fn a_change_is_noticed_by_itself() {
    let files = Files::new();
    let mut config = files.config();
    config.tls.reload_interval = Duration::from_millis(100);
    let server = Server::bind(&config).unwrap();
    let mut registry = prometheus_client::registry::Registry::default();
    let metrics = Metrics::register(&mut registry);
    let shows = |text: &str| tidegate_telemetry::metrics::render(&registry).contains(text);
    assert!(!shows("\ntidegate_receive_certificate_expiry_seconds "));
    let (end, ended) = oneshot::channel::<()>();
    let until = async move { drop(ended.await) };
    let watching = tokio::spawn(server.tls().unwrap().watch(metrics, until));
    let noticed = async {
        while !shows(START_OF_2100) {
            tokio::task::yield_now().await;
        }
        files.show(&files.authority.identity_until("gateway", 3, 2090));
        while !shows(START_OF_2090) {
            tokio::task::yield_now().await;
        }
    };
    timeout(BOUND, noticed)
        .await
        .expect("it is noticed in time");
    end.send(()).unwrap();
    timeout(BOUND, watching).await.unwrap().unwrap();
}

/// A gateway that cannot show what it should does not start, and says which file is why.
#[test]
fn a_bad_file_at_the_start_is_told_with_its_key_and_path() {
    let told = |name: &str, text: &str| {
        let files = Files::new();
        files.write("revoked.pem", &files.authority.revoking(&[]));
        files.write(name, text);
        let error = Server::bind(&files.config()).unwrap_err();
        assert!(matches!(error, BindError::File(_)), "{error:?}");
        let path = files.path(name).display().to_string();
        error.to_string().replace(&path, "FILE")
    };
    let other_key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for (name, text, expected) in [
        (
            "certificate.pem",
            "",
            "certificate: FILE: holds no certificate",
        ),
        (
            "certificate.pem",
            &*other_key,
            "certificate: FILE: holds no certificate",
        ),
        ("key.pem", "", "key: FILE: holds no private key in PEM"),
        (
            "key.pem",
            &*other_key,
            "key: FILE: is not the key of the certificate in receive.tls.certificate",
        ),
        ("authority.pem", "", "client_ca: FILE: holds no certificate"),
        (
            "revoked.pem",
            "",
            "revocation_list: FILE: holds no revocation list",
        ),
    ] {
        assert_eq!(told(name, text), format!("receive.tls.{expected}"));
    }
}

/// What is wrong with a key is told without a byte of it.
#[test]
fn no_byte_of_a_key_is_told() {
    let files = Files::new();
    let secret = "c2VjcmV0c2VjcmV0";
    for text in [
        format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"),
        format!("-----BEGIN PRIVATE KEY-----\n{secret}"),
        format!("-----BEGIN {secret}\n"),
    ] {
        for name in ["key.pem", "certificate.pem"] {
            let before = fs::read_to_string(files.path(name)).unwrap();
            files.write(name, &text);
            let error = Server::bind(&files.config()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("c2Vj"), "{error:?}");
            files.write(name, &before);
        }
    }
}
