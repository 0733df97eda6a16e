//! Sinks behind TLS: whom they are trusted by, what they are shown, which HTTP they speak.

use std::{
    convert::Infallible,
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tidegate_deliver::{Config, Outcome, Seen};
use tidegate_subscription::{Auth, OAuth2, Secret, Tls};
use tidegate_testkit::{Authority, Identity};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use crate::{client, code, event, to};

/// What each answers: for a sink it is nothing, for a token endpoint a token.
const TOKEN: &str = r#"{"access_token":"t","token_type":"bearer"}"#;

/// A sink that takes everything, and remembers by which HTTP it came.
struct TlsSink {
    url: String,
    versions: Arc<Mutex<Vec<Version>>>,
    task: JoinHandle<()>,
}

impl Drop for TlsSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsSink {
    async fn start(identity: &Identity, clients: Option<&Authority>, protocols: &[&[u8]]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(server(identity, clients, protocols)));
        let versions = Arc::<Mutex<Vec<Version>>>::default();
        let seen = Arc::clone(&versions);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = service_fn(move |request: Request<Incoming>| {
                        seen.lock().unwrap().push(request.version());
                        async move {
                            request.into_body().collect().await.unwrap();
                            Ok::<_, Infallible>(Response::new(TOKEN.to_owned()))
                        }
                    });
                    auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                        .ok();
                });
            }
        });
        Self {
            url: format!("https://localhost:{port}/"),
            versions,
            task,
        }
    }
}

fn server(identity: &Identity, clients: Option<&Authority>, protocols: &[&[u8]]) -> ServerConfig {
    let chain =
        vec![CertificateDer::from_pem_slice(identity.certificate_pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let pem = authority.pem();
            roots
                .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
                .unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
    config
}

async fn attempt(config: &Config, tls: &Tls, folder: &Path, url: &str) -> Outcome {
    let client = client(config).with_tls(tls, folder);
    let timeout = Duration::from_secs(30);
    client
        .attempt(&to(url), &event(), Seen::default(), timeout)
        .await
}

fn file(name: &str) -> Secret {
    Secret::File(name.into())
}

/// A company's own authority: for all sinks by configuration, or for one by its Subscription,
/// which then trusts no other.
#[tokio::test]
async fn a_sink_is_trusted_by_its_authority() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let sink = TlsSink::start(&ours.identity("localhost", 2), None, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("ours"), ours.pem()).unwrap();
    fs::write(path.join("others"), others.pem()).unwrap();
    let all = Config {
        ca: Some(path.join("ours")),
        ..Config::default()
    };
    let only = |name: &str| Tls {
        ca: Some(file(name)),
        ..Tls::default()
    };
    for (config, tls, expected) in [
        (&Config::default(), Tls::default(), "deliver/connect"),
        (&all, Tls::default(), "delivered"),
        (&Config::default(), only("ours"), "delivered"),
        (&all, only("others"), "deliver/connect"),
        (&all, only("none"), "deliver/credentials"),
    ] {
        let outcome = attempt(config, &tls, path, &sink.url).await;
        assert_eq!(code(&outcome), expected, "{tls:?}: {outcome:?}");
    }
}

/// The authority of a sink is the sink's: who gives out tokens for it has another.
#[tokio::test]
async fn a_token_endpoint_has_the_usual_authorities() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let sink = TlsSink::start(&others.identity("localhost", 2), None, &[]).await;
    let endpoint = TlsSink::start(&ours.identity("localhost", 2), None, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("ours"), ours.pem()).unwrap();
    fs::write(path.join("others"), others.pem()).unwrap();
    fs::write(path.join("secret"), "s").unwrap();
    let config = Config {
        ca: Some(path.join("ours")),
        ..Config::default()
    };
    let tls = Tls {
        ca: Some(file("others")),
        client: None,
    };
    let auth = Auth::OAuth2(OAuth2 {
        token_url: endpoint.url.parse().unwrap(),
        client_id: "c".to_owned(),
        client_secret: file("secret"),
        scopes: Vec::new(),
        audience: None,
    });
    let to = to(&sink.url).with_auth(&auth, path);
    let timeout = Duration::from_secs(30);
    let client = client(&config).with_tls(&tls, path);
    let outcome = client
        .attempt(&to, &event(), Seen::default(), timeout)
        .await;
    assert_eq!(code(&outcome), "delivered", "{outcome:?}");
}

/// A certificate is shown where the Subscription has one; a rotated one takes its place without a
/// restart.
#[tokio::test]
async fn a_sink_is_shown_the_certificate() {
    let ours = Authority::new("ours");
    let server = ours.identity("localhost", 2);
    let sink = TlsSink::start(&server, Some(&ours), &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let write = |identity: &Identity| {
        fs::write(path.join("certificate"), identity.certificate_pem()).unwrap();
        fs::write(path.join("key"), identity.key_pem()).unwrap();
    };
    fs::write(path.join("ours"), ours.pem()).unwrap();
    write(&Authority::new("others").identity("us", 3));
    let mut tls = Tls {
        ca: Some(file("ours")),
        client: None,
    };
    let without = attempt(&Config::default(), &tls, path, &sink.url).await;
    assert!(matches!(without, Outcome::Retry { .. }), "{without:?}");
    tls.client = Some((file("certificate"), file("key")));
    let client = client(&Config::default()).with_tls(&tls, path);
    let to = to(&sink.url);
    let timeout = Duration::from_secs(30);
    let attempt = async || {
        client
            .attempt(&to, &event(), Seen::default(), timeout)
            .await
    };
    let foreign = attempt().await;
    assert!(matches!(foreign, Outcome::Retry { .. }), "{foreign:?}");
    write(&ours.identity("us", 3));
    // In virtual time the file's age is looked at, and nothing else happens.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    assert_eq!(code(&attempt().await), "delivered");
}

/// HTTP/2 where the sink offers it; HTTP/1.1 else.
#[tokio::test]
async fn the_sink_chooses_its_http() {
    let ours = Authority::new("ours");
    let identity = ours.identity("localhost", 2);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ours"), ours.pem()).unwrap();
    let tls = Tls {
        ca: Some(file("ours")),
        client: None,
    };
    for (offered, expected) in [
        (&[&b"h2"[..], b"http/1.1"][..], Version::HTTP_2),
        (&[b"http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ] {
        let sink = TlsSink::start(&identity, None, offered).await;
        let outcome = attempt(&Config::default(), &tls, folder.path(), &sink.url).await;
        assert_eq!(code(&outcome), "delivered", "{outcome:?}");
        assert_eq!(*sink.versions.lock().unwrap(), [expected]);
    }
}
