//! The doors over TLS, as the process opens them from its configuration.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring, pki_types::ServerName,
};
use serde_json::Value;
use tidegate_testkit::Sink;

use crate::harness::{PATIENCE, Tidegate, subscription};

/// The files are named relative to the configuration, as a mounted folder of secrets is.
const CONFIGURATION: &str = "receive: { tls: { listen: \"127.0.0.1:0\", certificate: certificate.pem, \
                             key: key.pem, reload_interval: 100ms } }\n";

const REQUEST: &str = "POST /publish HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\
                       ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /shop\r\nce-type: order.v1\r\n\
                       content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// Puts a new certificate there; a client that trusts it and no other.
fn renew(folder: &Path) -> Arc<ClientConfig> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["gateway".to_owned()]).unwrap();
    fs::write(folder.join("certificate.pem"), cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// The answer to one event, or why there is none.
fn publish(address: SocketAddr, client: &Arc<ClientConfig>) -> std::io::Result<String> {
    let name = ServerName::try_from("gateway").unwrap();
    let session = ClientConnection::new(Arc::clone(client), name).unwrap();
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(session, stream);
    stream.write_all(REQUEST.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The keys of the configuration reach the listener, its address is told, and somebody looks at
/// the files while the process runs.
#[tokio::test]
async fn an_event_arrives_over_tls_and_a_renewed_certificate_is_noticed() {
    let function = Sink::start(|_| 204_u16).await;
    let document = subscription("all", "/shop", "order.v1", &function.url());
    let mut tidegate = Tidegate::up(&document, "").await;
    tidegate.terminate().await;
    let folder = tidegate.dir.path().to_owned();
    let client = renew(&folder);
    fs::write(folder.join("tidegate.yaml"), CONFIGURATION).unwrap();
    tidegate.start().await;

    let ready = fs::read(folder.join("ready.json")).unwrap();
    let ready: Value = serde_json::from_slice(&ready).unwrap();
    let address: SocketAddr = ready["tls"].as_str().unwrap().parse().unwrap();
    // The line comes after the file.
    tidegate.log_says(&format!("tls=https://{address}")).await;
    let answer = publish(address, &client).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    function.received(1).await;

    let renewed = renew(&folder);
    let began = Instant::now();
    while publish(address, &renewed).is_err() {
        assert!(began.elapsed() < PATIENCE, "{}", tidegate.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(publish(address, &client).is_err());
}
