//! The operator's door: `/healthz`, `/readyz`, `/metrics`, and operations below `/api/v1`.

mod access;
mod applications;
mod audit;
mod dead_letters;
mod door;
mod events;
mod log_level;
mod openapi;
mod origin;
mod page;
mod problem;
mod replays;
mod sources;
mod status;
mod subscriptions;

use std::{net::SocketAddr, sync::Arc};

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
    serve::ListenerExt as _,
};
use tidegate_telemetry::{
    logs::Level,
    metrics::{self, Format},
};
use tidegate_tls::Tls;
use tokio::{net::TcpListener, sync::watch};

pub(crate) use self::access::Access;
use self::door::{Door, Peer};
use crate::{
    config::{self, Mistakes},
    pipeline::{Operations, Readiness},
};

/// The door, bound and not open yet.
pub(crate) struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    access: Arc<Access>,
    metrics_open: bool,
}

#[derive(Clone)]
struct Shared {
    scrape: Scrape,
    readiness: Readiness,
    draining: watch::Receiver<bool>,
}

/// What all metrics say now, in OpenMetrics.
pub(crate) type Scrape = Arc<dyn Fn() -> String + Send + Sync>;

/// What the door leads to.
pub(crate) struct Inside {
    pub(crate) scrape: Scrape,
    pub(crate) operations: Operations,
    pub(crate) draining: watch::Receiver<bool>,
    pub(crate) readiness: Readiness,
    pub(crate) level: Level,
}

impl Admin {
    pub(crate) async fn bind(
        config: &config::Admin,
        identity: &tidegate_identity::Config,
    ) -> anyhow::Result<Self> {
        let access = Arc::new(Access::new(config, identity)?);
        let address = config.listen;
        let tls = config.tls.settings().map(Tls::new).transpose();
        let tls = tls.map_err(|error| Mistakes(vec![error.to_string()]))?;
        let is_open = access.is_open() && !access.wants_certificate();
        if is_open && !address.ip().is_loopback() {
            tracing::warn!(
                listen = %address,
                "admin.tokens is empty and admin.oidc names no issuer: whoever reaches this address \
                 may change everything; name one of them, or let admin.listen be on loopback"
            );
        }
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("admin.listen: cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            tls,
            access,
            metrics_open: config.metrics_open,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is, for whoever asks there.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until the process ends.
    pub(crate) async fn serve(self, inside: Inside) {
        let Inside {
            scrape,
            operations,
            draining,
            readiness,
            level,
        } = inside;
        let all = operations.clone();
        let Operations {
            log,
            redrive,
            replays,
            ..
        } = operations;
        let access = Arc::clone(&self.access);
        let guard = middleware::from_fn_with_state(access, access::only_who_may);
        let operations = dead_letters::routes(log, redrive)
            .merge(replays::routes(replays))
            .merge(events::routes(all.clone()))
            .merge(subscriptions::routes(all.clone()))
            .merge(applications::routes(all.applications.clone()))
            .merge(sources::routes(all.sources.clone()))
            .merge(log_level::routes(level))
            .merge(status::routes(
                all.clone(),
                Arc::clone(&scrape),
                draining.clone(),
            ))
            .merge(openapi::routes(&self.access))
            .layer(guard)
            .layer(middleware::from_fn(origin::not_from_elsewhere))
            .layer(middleware::from_fn(audit::told));
        let probes = self.probes(Shared {
            scrape,
            readiness,
            draining,
        });
        self.open(probes.merge(operations)).await;
    }

    /// Serves what a process has in any case, until it ends: probes and metrics.
    pub(crate) async fn serve_probes(
        self,
        scrape: Scrape,
        readiness: Readiness,
        draining: watch::Receiver<bool>,
    ) {
        let probes = self.probes(Shared {
            scrape,
            readiness,
            draining,
        });
        self.open(probes).await;
    }

    fn probes(&self, shared: Shared) -> Router {
        let metrics = Router::new().route("/metrics", get(text));
        let metrics = if self.metrics_open {
            metrics
        } else {
            let access = Arc::clone(&self.access);
            metrics.layer(middleware::from_fn_with_state(access, access::only_who_may))
        };
        Router::new()
            .route("/healthz", get(|| async { StatusCode::OK }))
            .route("/readyz", get(ready))
            .merge(metrics)
            .with_state(shared)
    }

    async fn open(self, routes: Router) {
        let routes = routes.into_make_service_with_connect_info::<Peer>();
        let door = Door::new(self.listener, self.address, self.tls);
        // Tapped without a need, for what it tells of the peer.
        let door = door.tap_io(|_| ());
        if let Err(error) = axum::serve(door, routes).await {
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
    match &*shared.readiness.borrow() {
        Ok(()) => (StatusCode::OK, String::new()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn text(
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> ([(HeaderName, &'static str); 1], String) {
    let accepted = headers.get_all(ACCEPT).iter();
    let format = Format::accepted(accepted.filter_map(|value| value.to_str().ok()));
    let content_type = [(CONTENT_TYPE, format.content_type())];
    (content_type, metrics::in_format((shared.scrape)(), format))
}
