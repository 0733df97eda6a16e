//! What a request knows of its connection.

use std::{net::SocketAddr, sync::Mutex};

use bytes::Bytes;
use prometheus_client::registry::Registry;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::{Accepted, Admitted, Head, Metrics, Refusal, SharedLimits, SubscribedType};

/// Remembers who sent.
#[derive(Clone, Default)]
struct Remembers(Arc<Mutex<Vec<Peer>>>);

impl Intake for Remembers {
    type Pass = ();

    async fn admit(&self, head: Head) -> Result<Admitted<()>, Refusal> {
        self.0.lock().unwrap().push(head.peer);
        Ok(Admitted {
            pass: (),
            body_bytes_max: None,
        })
    }

    async fn accept(&self, (): (), _: Bytes) -> Result<Accepted, Refusal> {
        Ok(Accepted {
            first_id: "1".into(),
            events: 1,
            status: None,
        })
    }

    async fn subscribed(&self, _: Head) -> Result<Vec<SubscribedType>, Refusal> {
        Ok(Vec::new())
    }

    async fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Whoever judges a request must find who sent it, at every request of a connection, with the
/// router and without it.
#[tokio::test]
async fn every_request_carries_its_peer() {
    let peer = Peer {
        address: SocketAddr::from(([192, 0, 2, 1], 443)),
        certificate: Some(Arc::new(CertificateDer::from(b"certificate".to_vec()))),
    };
    let config = Config::default();
    let (mut client, server) = tokio::io::duplex(1 << 10);
    let (_drain, draining) = watch::channel(false);
    let remembered = Remembers::default();
    let routes = Routes::new(crate::routes::Shared {
        intake: remembered.clone(),
        limits: SharedLimits::new(&config),
        metrics: Metrics::register(&mut Registry::default()),
        config: config.clone(),
        draining: draining.clone(),
    });
    let sender = peer.clone();
    let served = tokio::spawn(async move {
        run(server, sender, &builder(&config), routes, &config, draining).await
    });
    let head = "host: g\r\ncontent-length: 0\r\n";
    let first = format!("POST /events HTTP/1.1\r\n{head}\r\n");
    let last = format!("POST /a/idoc HTTP/1.1\r\n{head}connection: close\r\n\r\n");
    client.write_all(first.as_bytes()).await.unwrap();
    client.write_all(last.as_bytes()).await.unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    let remembered = format!("{:?}", remembered.0.lock().unwrap());
    assert_eq!(remembered, format!("{:?}", [&peer, &peer]), "{answers}");
    drop(client);
    assert_eq!(served.await.unwrap(), Ok(()));
}

/// A listener for both families must not tell one client under two addresses.
#[test]
fn an_address_of_ipv4_is_told_as_such() {
    let peer = Peer::new("[::ffff:192.0.2.1]:5".parse().unwrap());
    assert_eq!(peer.address, SocketAddr::from(([192, 0, 2, 1], 5)));
}
