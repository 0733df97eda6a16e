//! What a request knows of its connection.

use std::net::SocketAddr;

use axum::{Extension, routing::get};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Whoever judges a request must find who sent it, at every request of a connection.
#[tokio::test]
async fn every_request_carries_its_peer() {
    let peer = Peer {
        address: SocketAddr::from(([192, 0, 2, 1], 443)),
        certificate: Some(Arc::new(CertificateDer::from(b"certificate".to_vec()))),
    };
    let told = |Extension(peer): Extension<Peer>| async move { format!("<{peer:?}>") };
    let router = Router::new().route("/", get(told));
    let config = Config::default();
    let (mut client, server) = tokio::io::duplex(1 << 10);
    let (_drain, draining) = watch::channel(false);
    let expected = format!("<{peer:?}>");
    let served = tokio::spawn(async move {
        run(server, peer, &builder(&config), router, &config, draining).await
    });
    let request = "GET / HTTP/1.1\r\nhost: g\r\n\r\n";
    let last = "GET / HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    client.write_all(last.as_bytes()).await.unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches(&expected).count(), 2, "{answers}");
    drop(client);
    assert_eq!(served.await.unwrap(), Ok(()));
}

/// A listener for both families must not tell one client under two addresses.
#[test]
fn an_address_of_ipv4_is_told_as_such() {
    let peer = Peer::new("[::ffff:192.0.2.1]:5".parse().unwrap());
    assert_eq!(peer.address, SocketAddr::from(([192, 0, 2, 1], 5)));
}
