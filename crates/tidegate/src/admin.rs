//! The operator's door: `/healthz`, `/readyz`, `/metrics`, and operations below `/api/v1`.

mod dead_letters;
mod events;
mod openapi;
mod origin;
mod problem;
mod replays;
mod subscriptions;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use axum::{
    Router,
    extract::State,
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    middleware,
    routing::get,
};
use prometheus_client::registry::Registry;
use tidegate_backbone::{Log, jetstream::Jetstream};
use tidegate_telemetry::metrics::{self, Format};
use tokio::{net::TcpListener, sync::watch};

use crate::{kyma_metrics, pipeline::Operations};

/// The door, bound and not open yet.
pub(crate) struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

#[derive(Clone)]
struct Shared {
    registry: Arc<Mutex<Registry>>,
    kyma: Arc<Option<kyma_metrics::Names>>,
    log: Jetstream,
    draining: watch::Receiver<bool>,
}

impl Admin {
    pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("admin.listen: cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the process ends.
    pub(crate) async fn serve(
        self,
        registry: Registry,
        kyma: Option<kyma_metrics::Names>,
        operations: Operations,
        draining: watch::Receiver<bool>,
    ) {
        let registry = Arc::new(Mutex::new(registry));
        let all = operations.clone();
        let Operations {
            log,
            redrive,
            replays,
            ..
        } = operations;
        let operations = dead_letters::routes(log.clone(), redrive)
            .merge(replays::routes(replays))
            .merge(events::routes(all.clone()))
            .merge(subscriptions::routes(all))
            .merge(openapi::routes())
            .layer(middleware::from_fn(origin::not_from_elsewhere));
        let routes = Router::new()
            .route("/healthz", get(|| async { StatusCode::OK }))
            .route("/readyz", get(ready))
            .route("/metrics", get(text))
            .with_state(Shared {
                registry,
                kyma: Arc::new(kyma),
                log,
                draining,
            })
            .merge(operations);
        if let Err(error) = axum::serve(self.listener, routes).await {
            tracing::error!(%error, "the admin door is closed");
        }
    }
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, String) {
    if *shared.draining.borrow() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "shutting down\n".to_owned(),
        );
    }
    match shared.log.ready().await {
        Ok(()) => (StatusCode::OK, String::new()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

async fn text(
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> ([(HeaderName, &'static str); 1], String) {
    let accepted = headers.get_all(ACCEPT).iter();
    let format = Format::accepted(accepted.filter_map(|value| value.to_str().ok()));
    let mut text = {
        let registry = shared.registry.lock();
        metrics::render(&registry.unwrap_or_else(PoisonError::into_inner))
    };
    if let Some(kyma) = &*shared.kyma {
        text = kyma.beside(&text);
    }
    let content_type = [(CONTENT_TYPE, format.content_type())];
    (content_type, metrics::in_format(text, format))
}
