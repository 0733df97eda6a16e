//! What a handshake learns of its client.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsConnector;

use super::*;
use crate::Peer;

/// The certificate that was verified is the one that the request will be judged by.
#[tokio::test]
async fn the_verified_certificate_is_the_peers() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority();
    let (client, client_key) = leaf("client", &authority);
    let tls = tls(folder.path(), &authority);
    for given in [true, false] {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = if given {
            let key = PrivatePkcs8KeyDer::from(client_key.serialize_der());
            let chain = vec![client.der().clone()];
            builder.with_client_auth_cert(chain, key.into()).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        let peer = peer_of(&tls, config).await;
        let certificate = peer.certificate.as_deref();
        assert_eq!(certificate, given.then_some(client.der()));
    }
}

/// The peer of a connection with this client.
async fn peer_of(tls: &Tls, client: ClientConfig) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (accepted, address) = listener.accept().await.unwrap();
    let mut peer = Peer::new(address);
    let (_drain, draining) = watch::channel(false);
    let time = std::time::Duration::from_secs(10);
    let connector = TlsConnector::from(Arc::new(client));
    let connect = connector.connect(ServerName::try_from("gateway").unwrap(), stream);
    let shaken = handshake(tls, accepted, &mut peer, time, draining);
    let (connected, shaken) = tokio::join!(connect, shaken);
    assert!(connected.is_ok() && shaken.is_ok());
    peer
}

fn tls(folder: &Path, authority: &CertifiedIssuer<'static, KeyPair>) -> Tls {
    let (certificate, key) = leaf("gateway", authority);
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        Some(file)
    };
    let config = TlsConfig {
        certificate: write("certificate.pem", certificate.pem()),
        key: write("key.pem", key.serialize_pem()),
        client_ca: write("authority.pem", authority.pem()),
        ..TlsConfig::default()
    };
    Tls::new(&config).unwrap()
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(
    name: &str,
    authority: &CertifiedIssuer<'static, KeyPair>,
) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}
