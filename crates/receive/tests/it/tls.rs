//! The doors over TLS: who is let in, and who is not.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, version::TLS12};
use rustls_pki_types::ServerName;
use tidegate_receive::Config;
use tidegate_testkit::{Authority, Identity};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    authority::Files,
    support::{Gateway, Script},
};

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// What a client offers, and what is agreed on.
type Offer = (&'static [&'static [u8]], Option<&'static [u8]>);

/// A connection past the client's part of the handshake.
pub(crate) async fn connect(
    gateway: &Gateway,
    client: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(gateway.tls_address.unwrap()).await?;
    TlsConnector::from(Arc::new(client))
        .connect(ServerName::try_from("gateway").unwrap(), stream)
        .await
}

/// The status of one event's answer, in the protocol that was agreed on. TLS 1.3 tells a client
/// only afterwards that its certificate was refused, so that counts as a failed handshake too.
pub(crate) async fn publish(gateway: &Gateway, client: ClientConfig) -> Result<u16, String> {
    let said = |error: &dyn std::error::Error| error.to_string();
    let stream = connect(gateway, client)
        .await
        .map_err(|error| said(&error))?;
    let multiplexed = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
    let io = TokioIo::new(stream);
    let request = Request::post("https://gateway/publish")
        .header("host", "gateway")
        .body(Full::new(Bytes::from_static(b"{}")))
        .unwrap();
    let answer = if multiplexed {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io)
            .await
            .map_err(|error| said(&error))?;
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = http1::handshake(io).await.map_err(|error| said(&error))?;
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    answer
        .map(|answer| answer.status().as_u16())
        .map_err(|error| said(&error))
}

/// Publishes over HTTP/1.1 with this certificate.
pub(crate) async fn publish_as(
    gateway: &Gateway,
    files: &Files,
    identity: &Identity,
) -> Result<u16, String> {
    let client = files.authority.client(Some(identity), &[HTTP1]);
    publish(gateway, client).await
}

fn start(files: &Files) -> Gateway {
    Gateway::start_with(files.config(), &Script::storing())
}

async fn refused(gateway: &Gateway, files: &Files, identity: &Identity, reason: &str) {
    let published = publish_as(gateway, files, identity).await;
    assert!(published.is_err(), "{reason}: {published:?}");
    gateway
        .counted(&format!(
            "connections_failed_total{{reason=\"{reason}\"}} 1"
        ))
        .await;
}

/// Both protocols are spoken, and the better one is taken when both are offered.
#[tokio::test]
async fn the_protocol_is_agreed_on_in_the_handshake() {
    let files = Files::new();
    let gateway = start(&files);
    let offers: [Offer; 4] = [
        (&[HTTP1], Some(HTTP1)),
        (&[HTTP2], Some(HTTP2)),
        (&[HTTP1, HTTP2], Some(HTTP2)),
        (&[], None),
    ];
    for (offered, agreed) in offers {
        let client = files.authority.client(None, offered);
        let stream = connect(&gateway, client.clone()).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
        assert_eq!(publish(&gateway, client).await, Ok(204));
    }
    let client = files.authority.client(None, &[b"smtp"]);
    assert!(publish(&gateway, client).await.is_err());
    gateway
        .counted("connections_failed_total{reason=\"tls_incompatible\"} 1")
        .await;
}

/// Systems that cannot speak TLS 1.3 yet are served as well.
#[tokio::test]
async fn tls_1_2_is_spoken() {
    let files = Files::new();
    let gateway = start(&files);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let modern = files.authority.client(None, &[HTTP1]);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS12])
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    let pem = files.authority.pem();
    let authority = rustls_pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap();
    roots.add(authority).unwrap();
    let mut client = builder.with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = modern.alpn_protocols;
    assert_eq!(publish(&gateway, client).await, Ok(204));
}

/// The doors stay open without TLS, for those who are inside already.
#[tokio::test]
async fn the_plain_listener_stays() {
    let files = Files::new();
    let gateway = start(&files);
    let reply = gateway.send(crate::support::post("/publish", "{}")).await;
    assert_eq!(reply.status, 204);
}

/// A certificate is welcome, not demanded: who may send what is decided elsewhere.
#[tokio::test]
async fn a_client_may_come_with_a_certificate_or_without() {
    let files = Files::new();
    let gateway = start(&files);
    let identity = files.authority.identity("shop", 10);
    assert_eq!(publish_as(&gateway, &files, &identity).await, Ok(204));
    let client = files.authority.client(None, &[HTTP1]);
    assert_eq!(publish(&gateway, client).await, Ok(204));
    assert!(!gateway.metrics().contains("connections_failed_total{"));
}

/// Without authorities nobody is asked for a certificate, and one of anybody does no harm.
#[tokio::test]
async fn without_authorities_no_certificate_is_asked_for() {
    let files = Files::new();
    let mut config: Config = files.config();
    config.tls.client_ca = None;
    let gateway = Gateway::start_with(config, &Script::storing());
    let identity = Authority::new("another").identity("shop", 10);
    assert_eq!(publish_as(&gateway, &files, &identity).await, Ok(204));
}

/// Anybody can make an authority with the same name.
#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let files = Files::new();
    let gateway = start(&files);
    let another = Authority::new("another");
    let identity = another.identity("shop", 10);
    refused(
        &gateway,
        &files,
        &identity,
        "tls_certificate_unknown_issuer",
    )
    .await;
    let namesake = Authority::new("authority").identity("shop", 10);
    assert!(publish_as(&gateway, &files, &namesake).await.is_err());
}

/// A certificate ends when it says.
#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let files = Files::new();
    let gateway = start(&files);
    let identity = files.authority.identity_until("shop", 10, 2020);
    refused(&gateway, &files, &identity, "tls_certificate_expired").await;
}

/// A key that was lost must not open the doors; the others still do.
#[tokio::test]
async fn a_revoked_certificate_is_refused() {
    let files = Files::new();
    files.write("revoked.pem", &files.authority.revoking(&[10]));
    let gateway = start(&files);
    let lost = files.authority.identity("shop", 10);
    refused(&gateway, &files, &lost, "tls_certificate_revoked").await;
    let kept = files.authority.identity("shop", 11);
    assert_eq!(publish_as(&gateway, &files, &kept).await, Ok(204));
}

/// Revoking an authority in between revokes all that it signed.
#[tokio::test]
async fn a_certificate_below_a_revoked_authority_is_refused() {
    let files = Files::new();
    files.write("revoked.pem", &files.authority.revoking(&[20]));
    let gateway = start(&files);
    let revoked = files.authority.below("revoked", 20);
    let identity = revoked.identity("shop", 10).under(&revoked);
    refused(&gateway, &files, &identity, "tls_certificate_revoked").await;
    // This one has no list of its own, so nothing below it is revoked.
    let kept = files.authority.below("kept", 21);
    let identity = kept.identity("shop", 10).under(&kept);
    assert_eq!(publish_as(&gateway, &files, &identity).await, Ok(204));
}

/// A list that nobody keeps up to date says nothing about today.
#[tokio::test]
async fn a_list_that_is_out_of_date_refuses_its_issuers_certificates() {
    let files = Files::new();
    files.write("revoked.pem", &files.authority.revoking_until(&[], 2020));
    let gateway = start(&files);
    let identity = files.authority.identity("shop", 10);
    refused(&gateway, &files, &identity, "tls_revocation_list").await;
    let client = files.authority.client(None, &[HTTP1]);
    assert_eq!(publish(&gateway, client).await, Ok(204));
}

/// A new list is often appended to the file of the old one.
#[tokio::test]
async fn the_newest_list_of_an_issuer_counts() {
    let files = Files::new();
    let old = files.authority.list(&[], 2001, 2100);
    let new = files.authority.list(&[10], 2002, 2100);
    files.write("revoked.pem", &(old + &new));
    let gateway = start(&files);
    let identity = files.authority.identity("shop", 10);
    refused(&gateway, &files, &identity, "tls_certificate_revoked").await;
}

/// A session that is taken up again would not be verified again.
#[tokio::test]
async fn a_client_that_comes_again_is_verified_again() {
    let files = Files::new();
    let gateway = start(&files);
    let identity = files.authority.identity("shop", 10);
    // The client keeps its sessions in its configuration.
    let client = files.authority.client(Some(&identity), &[HTTP1]);
    for _ in 0..3 {
        let stream = connect(&gateway, client.clone()).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Full));
        assert_eq!(publish(&gateway, client.clone()).await, Ok(204));
    }
}
