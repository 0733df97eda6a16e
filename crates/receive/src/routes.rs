//! Routes: which path is which door, and a request's way through it.
//!
//! The doors of CloudEvents and of Kyma's legacy format are found without the router, which costs
//! more than reading an event does ([`Routes::call`]); what they need is in [`through`].

use std::{
    net::Ipv4Addr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::HttpBody as _,
    extract::{Request, State},
    response::Response,
    routing::{MethodRouter, get, post},
};
use futures_util::{FutureExt as _, future::Either};
use http::{
    Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version,
    header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, LOCATION},
    request::Parts,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tower_service::Service as _;

use crate::{
    Accepted, Admitted, Config, Door, Head, Intake, Metrics, Peer, Refusal, SharedLimits, answer,
    body,
    error::Error,
    handshake,
    metrics::Endpoint,
    path,
    path::{Place, place},
};

/// How long the one behind the seam may take to say whether it is ready. A probe gives up after
/// one second unless told otherwise; a second more, for those that are told.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// What a field of a header takes beside its name and value: a colon, a space and the line's end.
const FIELD_BYTES: usize = 4;

/// What the routes of one thread stand on.
pub(crate) struct Shared<I> {
    pub(crate) intake: I,
    pub(crate) config: Config,
    pub(crate) limits: SharedLimits,
    pub(crate) metrics: Metrics,
    pub(crate) draining: watch::Receiver<bool>,
}

/// Why nothing was stored, or not everything.
enum Refused {
    Here(Error),
    Behind(Refusal, Body),
}

/// How far a refused request's body was read.
#[derive(Clone, Copy)]
enum Body {
    Unread,
    Read,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

/// All paths. Clones share everything.
pub(crate) struct Routes<I> {
    shared: Arc<Shared<I>>,
    router: Router,
}

impl<I> Clone for Routes<I> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            router: self.router.clone(),
        }
    }
}

impl<I: Intake> Routes<I> {
    pub(crate) fn new(shared: Shared<I>) -> Self {
        let shared = Arc::new(shared);
        Self {
            router: router(Arc::clone(&shared)),
            shared,
        }
    }

    /// Answers one request of this peer.
    pub(crate) fn call(
        &self,
        peer: Peer,
        mut request: Request,
    ) -> impl Future<Output = Response> + Send + use<I> {
        let busy = (request.method() == Method::POST)
            .then(|| Door::busy(request.uri().path()))
            .flatten();
        match busy {
            Some(door) => {
                let shared = Arc::clone(&self.shared);
                Either::Left(through(shared, door, peer, request))
            }
            None => {
                request.extensions_mut().insert(peer);
                let answer = self.router.clone().call(request);
                Either::Right(answer.map(|answer| answer.unwrap_or_else(|never| match never {})))
            }
        }
    }
}

fn router<I: Intake>(shared: Arc<Shared<I>>) -> Router {
    let subscribed = get(subscribed::<I>).fallback(legacy_method_not_allowed::<I>);
    let mut router = Router::new();
    for door in Door::ALL {
        for path in door.paths() {
            router = router.route(path, methods(door));
        }
    }
    router
        .route("/{application}/v1/events/subscribed", subscribed)
        .route("/healthz", get(healthz::<I>))
        .route("/readyz", get(readyz::<I>))
        .fallback(unknown_path::<I>)
        .method_not_allowed_fallback(method_not_allowed::<I>)
        .with_state(shared)
}

fn methods<I: Intake>(door: Door) -> MethodRouter<Arc<Shared<I>>> {
    let methods = post(
        move |State(shared): State<Arc<Shared<I>>>, request: Request| {
            let peer = peer_of(request.extensions());
            through(shared, door, peer, request)
        },
    );
    if door == Door::Legacy {
        return methods.fallback(legacy_method_not_allowed::<I>);
    }
    if !door.takes_handshake() {
        return methods;
    }
    methods.options(
        move |State(shared): State<Arc<Shared<I>>>, request: Request| asked(shared, door, request),
    )
}

/// One request through one door.
async fn through<I: Intake>(
    shared: Arc<Shared<I>>,
    door: Door,
    peer: Peer,
    request: Request,
) -> Response {
    let started = Instant::now();
    let endpoint = Endpoint::Door(door);
    let _in_flight = shared.metrics.in_flight();
    let version = request.version();
    let path = request.uri().path();
    let place = match place(door, path) {
        Some(place) => place,
        None => return unserved(&shared, endpoint, &request, started),
    };
    let unread = !request.body().is_end_stream();
    let response = match take_in(&shared, door, place, peer, request, started).await {
        Ok(accepted) => answer::accepted(door, &accepted),
        Err(refused) => answer_refused(&shared, door, refused, unread.then_some(version)),
    };
    shared
        .metrics
        .answered(endpoint, response.status(), started.elapsed());
    response
}

/// Asks whether events may be sent at all (CloudEvents HTTP 1.1 Web Hooks §4).
async fn asked<I: Intake>(shared: Arc<Shared<I>>, door: Door, request: Request) -> Response {
    let started = Instant::now();
    let endpoint = Endpoint::Door(door);
    let (version, path) = (request.version(), request.uri().path());
    let Some(place) = place(door, path) else {
        return unserved(&shared, endpoint, &request, started);
    };
    let unread = !request.body().is_end_stream();
    let (parts, _body) = request.into_parts();
    let asked = parts.headers.clone();
    let admitted = async {
        check_headers(&parts.headers, &shared.config)?;
        let peer = peer_of(&parts.extensions);
        let head = head(door, place?, peer, parts);
        let timeout = shared.config.request_timeout;
        timeout_at(started + timeout, admit(&shared, head))
            .await
            .map_err(|_| Error::RequestTimeout(timeout))??;
        Ok(handshake::granted(&asked)?)
    };
    let response = match admitted.await {
        Ok(granted) => granted,
        Err(refused) => answer_refused(&shared, door, refused, unread.then_some(version)),
    };
    let status = response.status();
    shared.metrics.answered(endpoint, status, started.elapsed());
    response
}

/// Who sent a request that came through the router.
fn peer_of(extensions: &Extensions) -> Peer {
    // Every connection gives one; without it nobody is at this end.
    let unknown = || Peer::new((Ipv4Addr::UNSPECIFIED, 0).into());
    extensions.get().cloned().unwrap_or_else(unknown)
}

fn head(door: Door, place: Place, peer: Peer, parts: Parts) -> Head {
    Head {
        door,
        application: place.application,
        topic: place.topic,
        peer,
        headers: parts.headers,
    }
}

async fn admit<I: Intake>(shared: &Shared<I>, head: Head) -> Result<Admitted<I::Pass>, Refused> {
    let admitted = shared.intake.admit(head).await;
    admitted.map_err(|refusal| Refused::Behind(refusal, Body::Unread))
}

/// Reads the request within its limits and hands it over.
async fn take_in<I: Intake>(
    shared: &Shared<I>,
    door: Door,
    place: Result<Place, Error>,
    peer: Peer,
    request: Request,
    started: Instant,
) -> Result<Accepted, Refused> {
    let config = &shared.config;
    let timeout = config.request_timeout;
    let is_reading = AtomicBool::new(false);
    let taking = async {
        let (parts, body) = request.into_parts();
        check_headers(&parts.headers, config)?;
        // A body is read only of those who may send it.
        let admitted = admit(shared, head(door, place?, peer, parts)).await?;
        let own_max = admitted.body_bytes_max.unwrap_or(u64::MAX);
        let bytes_max = config.body_bytes_max.as_u64().min(own_max);
        // Held until the answer is known: the bytes are in memory as long.
        let mut reservation = shared.limits.reservation();
        is_reading.store(true, Ordering::Relaxed);
        let body = body::read(body, bytes_max, &mut reservation).await?;
        is_reading.store(false, Ordering::Relaxed);
        shared.metrics.body(body.len());
        let accepted = shared.intake.accept(admitted.pass, body).await;
        accepted.map_err(|refusal| Refused::Behind(refusal, Body::Read))
    };
    // It stays where it is: the timer's own future would move it, and it is large.
    match timeout_at(started + timeout, pin!(taking)).await {
        Ok(taken) => taken,
        Err(_) if is_reading.load(Ordering::Relaxed) => Err(Error::BodyTimeout(timeout).into()),
        Err(_) => Err(Error::RequestTimeout(timeout).into()),
    }
}

/// The answer to what was refused. `unread` is the version of a request whose body may not have
/// been read.
fn answer_refused<I>(
    shared: &Shared<I>,
    door: Door,
    refused: Refused,
    unread: Option<Version>,
) -> Response {
    let endpoint = Endpoint::Door(door);
    let (mut response, body) = match refused {
        Refused::Behind(refusal, body) => {
            shared.metrics.refused(endpoint, refusal.code);
            (answer::refused(door, refusal), body)
        }
        Refused::Here(error) => {
            shared.metrics.refused(endpoint, error.code());
            tracing::debug!(?door, code = error.code(), %error, "request refused");
            let mut response = answer::error(Some(door), &error);
            if matches!(error, Error::ContentEncoding(_)) {
                let identity = HeaderValue::from_static("identity");
                response.headers_mut().insert(ACCEPT_ENCODING, identity);
            }
            let read = matches!(error, Error::RequestTimeout(_));
            (response, if read { Body::Read } else { Body::Unread })
        }
    };
    if let (Some(version), Body::Unread) = (unread, body) {
        close(version, &mut response);
    }
    response
}

fn check_headers(headers: &HeaderMap, config: &Config) -> Result<(), Error> {
    let (count, count_max) = (headers.len(), config.header_count_max);
    if count > count_max {
        return Err(Error::HeadersTooMany { count, count_max });
    }
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES)
        .sum();
    let (bytes, bytes_max) = (bytes as u64, config.header_bytes_max.as_u64());
    if bytes > bytes_max {
        return Err(Error::HeadersTooLarge { bytes, bytes_max });
    }
    for encoding in headers.get_all(CONTENT_ENCODING) {
        let encoding = String::from_utf8_lossy(encoding.as_bytes());
        let encoding = encoding.trim();
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
            return Err(Error::ContentEncoding(encoding.to_owned()));
        }
    }
    Ok(())
}

async fn subscribed<I: Intake>(State(shared): State<Arc<Shared<I>>>, request: Request) -> Response {
    let started = Instant::now();
    let path = request.uri().path();
    let clean = path::cleaned(path).is_none();
    let Some(application) = path::application(path).filter(|_| clean) else {
        return unserved(&shared, Endpoint::Subscribed, &request, started);
    };
    let place = Place {
        application: Some(application),
        topic: None,
    };
    let (parts, _body) = request.into_parts();
    let head = head(Door::Legacy, place, peer_of(&parts.extensions), parts);
    let asked = timeout(
        shared.config.request_timeout,
        shared.intake.subscribed(head),
    );
    let response = match asked.await {
        Ok(Ok(types)) => answer::subscribed(&types),
        Ok(Err(refusal)) => {
            shared.metrics.refused(Endpoint::Subscribed, refusal.code);
            answer::refused(Door::Legacy, refusal)
        }
        Err(_) => {
            let error = Error::RequestTimeout(shared.config.request_timeout);
            answer::error(Some(Door::Legacy), &error)
        }
    };
    shared
        .metrics
        .answered(Endpoint::Subscribed, response.status(), started.elapsed());
    response
}

async fn healthz<I: Intake>(State(shared): State<Arc<Shared<I>>>) -> Response {
    shared
        .metrics
        .answered(Endpoint::Health, StatusCode::OK, Duration::ZERO);
    answer::status(StatusCode::OK)
}

async fn readyz<I: Intake>(State(shared): State<Arc<Shared<I>>>) -> Response {
    let started = Instant::now();
    let draining = *shared.draining.borrow();
    let ready = if draining {
        Err(Error::ShuttingDown)
    } else {
        let late = |_| Err(format!("no answer within {READY_TIMEOUT:?}"));
        let ready = timeout(READY_TIMEOUT, shared.intake.ready())
            .await
            .unwrap_or_else(late);
        ready.map_err(Error::NotReady)
    };
    let response = match ready {
        Ok(()) => answer::status(StatusCode::OK),
        Err(error) => {
            shared.metrics.refused(Endpoint::Health, error.code());
            answer::error(None, &error)
        }
    };
    shared
        .metrics
        .answered(Endpoint::Health, response.status(), started.elapsed());
    response
}

async fn unknown_path<I: Intake>(
    State(shared): State<Arc<Shared<I>>>,
    request: Request,
) -> Response {
    unserved(&shared, Endpoint::Unknown, &request, Instant::now())
}

async fn method_not_allowed<I: Intake>(
    State(shared): State<Arc<Shared<I>>>,
    request: Request,
) -> Response {
    wrong_method(&shared, &request, |error| answer::error(None, error))
}

/// The legacy door says it without a body, as Kyma's publisher does.
async fn legacy_method_not_allowed<I: Intake>(
    State(shared): State<Arc<Shared<I>>>,
    request: Request,
) -> Response {
    wrong_method(&shared, &request, |error| answer::status(error.status()))
}

fn wrong_method<I>(
    shared: &Shared<I>,
    request: &Request,
    answer: impl FnOnce(&Error) -> Response,
) -> Response {
    if path::cleaned(request.uri().path()).is_some() {
        return unserved(shared, Endpoint::Unknown, request, Instant::now());
    }
    let error = Error::MethodNotAllowed(request.method().clone());
    shared.metrics.refused(Endpoint::Unknown, error.code());
    let response = answer(&error);
    finish_unread(shared, Endpoint::Unknown, request, Instant::now(), response)
}

/// A path that nothing is at: told its clean form if that is another one, else refused.
fn unserved<I>(
    shared: &Shared<I>,
    endpoint: Endpoint,
    request: &Request,
    started: Instant,
) -> Response {
    let path = request.uri().path();
    let location = path::cleaned(path).and_then(|path| {
        let query = request
            .uri()
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        HeaderValue::try_from(format!("{path}{query}")).ok()
    });
    let response = if let Some(location) = location {
        let mut response = answer::status(StatusCode::MOVED_PERMANENTLY);
        response.headers_mut().insert(LOCATION, location);
        response
    } else {
        shared.metrics.refused(endpoint, Error::UnknownPath.code());
        if path::is_legacy(path) {
            answer::legacy_not_found()
        } else {
            answer::error(None, &Error::UnknownPath)
        }
    };
    finish_unread(shared, endpoint, request, started, response)
}

/// Ends a request whose body, if it has one, nobody reads.
fn finish_unread<I>(
    shared: &Shared<I>,
    endpoint: Endpoint,
    request: &Request,
    started: Instant,
    mut response: Response,
) -> Response {
    if !request.body().is_end_stream() {
        close(request.version(), &mut response);
    }
    shared
        .metrics
        .answered(endpoint, response.status(), started.elapsed());
    response
}

/// Says that the connection ends here, since its next bytes are an unread body. In HTTP/2 only
/// the stream ends.
fn close(version: Version, response: &mut Response) {
    if version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

#[cfg(test)]
mod tests;
