//! What operators change, as lines of the log: who, what, when, and what came of it.
//!
//! Nothing of a body or a query is told but what an operation says itself: either may hold secrets.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Request},
    http::{Method, StatusCode},
    middleware::Next,
    response::Response,
};
use tidegate_telemetry::logs::AUDIT;

use super::{access::Who, door::Peer, problem::Code};

/// What an operation says of itself.
#[derive(Clone, Debug)]
pub(super) struct About(pub(super) String);

/// A request that may change something, until it is told.
struct Entry {
    method: Method,
    path: String,
    peer: Option<SocketAddr>,
    is_told: bool,
}

/// Tells of each request that may change something, also where it was refused.
pub(super) async fn told(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    let mut entry = Entry {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        peer: peer.map(|ConnectInfo(peer)| peer.address),
        is_told: false,
    };
    let response = next.run(request).await;
    entry.tell(Some(&response));
    response
}

impl Entry {
    fn tell(&mut self, response: Option<&Response>) {
        self.is_told = true;
        let said = response.map(Response::extensions);
        let who = said.and_then(|said| said.get::<Who>());
        let about = said.and_then(|said| said.get::<About>());
        let code = said.and_then(|said| said.get::<Code>());
        let status = response.map(Response::status);
        tracing::info!(
            target: AUDIT,
            who = who.map_or("", |who| &*who.name),
            subject = who.and_then(|who| who.subject.as_deref()),
            from = self.peer.map(tracing::field::display),
            method = %self.method,
            path = self.path,
            about = about.map(|about| about.0.as_str()),
            outcome = outcome(status),
            status = status.map(|status| status.as_u16()),
            code = code.map(|code| code.0),
            "an operator's request"
        );
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.is_told {
            // Whoever asked is gone; what was begun may go on.
            self.tell(None);
        }
    }
}

fn outcome(status: Option<StatusCode>) -> &'static str {
    match status {
        None => "unknown",
        Some(status) if status.is_success() => "done",
        Some(status) if status.is_client_error() => "refused",
        Some(_) => "failed",
    }
}
