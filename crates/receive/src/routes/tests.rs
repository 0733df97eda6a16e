//! What `routes` promises.

use std::future::pending;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use bytestring::ByteString;
use prometheus_client::registry::Registry;

use super::*;
use crate::SubscribedType;

/// Stores everything; `ready` is answered when it says so, or never.
#[derive(Clone)]
struct Always {
    answers_ready: bool,
}

impl Intake for Always {
    type Pass = ();

    async fn admit(&self, _: Head) -> Result<Admitted<()>, Refusal> {
        Ok(Admitted {
            pass: (),
            body_bytes_max: None,
        })
    }

    async fn accept(&self, (): (), _: Bytes) -> Result<Accepted, Refusal> {
        Ok(Accepted {
            first_id: ByteString::new(),
            events: 1,
            status: None,
        })
    }

    async fn subscribed(&self, _: Head) -> Result<Vec<SubscribedType>, Refusal> {
        Ok(Vec::new())
    }

    async fn ready(&self) -> Result<(), String> {
        if self.answers_ready {
            Ok(())
        } else {
            pending().await
        }
    }
}

async fn get(path: &str, draining: bool, answers_ready: bool) -> (u16, String) {
    let config = Config::default();
    let (_drain, draining) = watch::channel(draining);
    let shared = Shared {
        intake: Always { answers_ready },
        limits: SharedLimits::new(&config),
        metrics: Metrics::register(&mut Registry::default()),
        config,
        draining,
    };
    let request = Request::get(path).body(Body::empty()).unwrap();
    let peer = Peer::new((Ipv4Addr::LOCALHOST, 1).into());
    let response = Routes::new(shared).call(peer, request).await;
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// A load balancer must see that this gateway is about to end; a restart must not look like death.
#[tokio::test]
async fn a_draining_gateway_is_alive_but_not_ready() {
    assert_eq!(get("/readyz", false, true).await, (200, String::new()));
    let (status, body) = get("/readyz", true, true).await;
    assert_eq!(status, 503);
    assert!(body.contains("receive/shutting-down"), "{body}");
    assert_eq!(get("/healthz", true, true).await, (200, String::new()));
}

/// A probe gets an answer even when the one behind the seam gives none.
#[tokio::test(start_paused = true)]
async fn a_probe_does_not_hang_with_the_log() {
    let started = Instant::now();
    let (status, body) = get("/readyz", false, false).await;
    assert!(
        started.elapsed() < READY_TIMEOUT * 2,
        "{:?}",
        started.elapsed()
    );
    assert_eq!(status, 503);
    assert!(body.contains("receive/not-ready"), "{body}");
}
