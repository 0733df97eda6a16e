//! Pages of other origins have no say here.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{
        HeaderMap, StatusCode,
        header::{HOST, ORIGIN},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::problem::Problem;

/// Whether no page of another origin asks.
fn is_from_here(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    let (Some(host), Some((_, from))) = (host, origin) else {
        return false;
    };
    // A name could be made to lead here by whoever owns it; an address could not.
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    from == host && (is_address || name == "localhost")
}

/// A page that somebody has open in a browser can make requests to loopback. It says where it is
/// from; what is no page does not.
pub(super) async fn not_from_elsewhere(request: Request, next: Next) -> Response {
    if is_from_here(request.headers()) {
        return next.run(request).await;
    }
    let problem = Problem {
        status: StatusCode::FORBIDDEN,
        code: "admin/from-elsewhere",
        detail: "the request comes from a page of another origin".to_owned(),
    };
    problem.into_response()
}
