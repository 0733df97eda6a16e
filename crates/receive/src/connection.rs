//! One connection: its deadlines, its drain, and how it ends.
//!
//! hyper speaks HTTP. Its own header timeout also ends connections that are merely idle, and covers
//! neither the moments before the protocol is known nor HTTP/2, so the deadlines are kept here.

mod clock;
#[cfg(test)]
mod tests;
mod watched;

use std::{
    convert::Infallible,
    error::Error,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{Request, header::CONNECTION};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, Sleep, sleep_until},
};

pub(crate) use self::watched::{LINGER, linger};
use self::{
    clock::{Busy, Clock, Due},
    watched::Watched,
};
use crate::{Config, Intake, Peer, metrics::Failure, routes::Routes};

/// The request line, and what headers may be too large and still get an answer with a body.
const HEAD_BYTES_MORE: usize = 16 << 10;

/// The headers that hyper's parser holds on its stack.
const HEADER_COUNT_DEFAULT: usize = 100;

pub(crate) type Builder = auto::Builder<TokioExecutor>;

/// hyper's side of the limits.
pub(crate) fn builder(config: &Config) -> Builder {
    let header_bytes = usize::try_from(config.header_bytes_max.as_u64()).unwrap_or(usize::MAX);
    let head_bytes = header_bytes.saturating_add(HEAD_BYTES_MORE);
    let mut builder = Builder::new(TokioExecutor::new());
    let mut http1 = builder.http1();
    http1.header_read_timeout(None).max_buf_size(head_bytes);
    // Any other number costs an allocation for each request; a smaller one is kept by the routes.
    if config.header_count_max > HEADER_COUNT_DEFAULT {
        http1.max_headers(config.header_count_max);
    }
    builder
        .http2()
        .max_concurrent_streams(config.streams_max)
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX));
    builder
}

/// Serves one connection to its end. `Err` says why it ended otherwise than wished.
pub(crate) async fn run<S, I>(
    stream: S,
    peer: Peer,
    builder: &Builder,
    routes: Routes<I>,
    config: &Config,
    mut draining: watch::Receiver<bool>,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    I: Intake,
{
    let clock = Arc::new(Clock::new(config.header_timeout, config.idle_timeout));
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&clock)));
    let service = service_fn(|request: Request<Incoming>| {
        let busy = Busy::new(Arc::clone(&clock));
        // Mapped, since a block that awaits would hold the future twice.
        let response = routes.call(peer.clone(), request.map(Body::new));
        response.map(move |response| {
            if response.headers().contains_key(CONNECTION) {
                busy.leaves_unread();
            }
            Ok::<_, Infallible>(response)
        })
    });
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut drain = pin!(async move {
        // An error means that the server is gone, which is a reason to end as well.
        drop(draining.wait_for(|draining| *draining).await);
    });
    let mut sleep = pin!(sleep_until(Instant::now() + config.header_timeout));
    let mut ending = None;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(result.or_else(|error| classify(&*error, ending.is_some())));
            }
            if ending.is_none() && drain.as_mut().poll(cx).is_ready() {
                ending = Some(Instant::now());
                connection.as_mut().graceful_shutdown();
                continue;
            }
            match ready!(poll_due(&clock, ending, sleep.as_mut(), cx)) {
                Due::Head => return Poll::Ready(Err(Failure::HeaderTimeout)),
                Due::Idle => {
                    ending = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
                Due::End => return Poll::Ready(Ok(())),
            }
        }
    })
    .await
}

/// Ready when the connection is past its deadline. The timer is moved only when it stands too
/// late or has gone off too early, so that a busy connection does not touch it.
fn poll_due(
    clock: &Clock,
    ending: Option<Instant>,
    mut sleep: Pin<&mut Sleep>,
    cx: &mut Context<'_>,
) -> Poll<Due> {
    loop {
        let Some((due, at)) = clock.due(ending) else {
            return Poll::Pending;
        };
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        ready!(sleep.as_mut().poll(cx));
        if sleep.deadline() >= at {
            return Poll::Ready(due);
        }
        sleep.as_mut().reset(at);
    }
}

/// Why a connection ended. One that was told to end may do so in any way.
fn classify(error: &(dyn Error + Send + Sync + 'static), ending: bool) -> Result<(), Failure> {
    if ending {
        return Ok(());
    }
    let failure = match error.downcast_ref::<hyper::Error>() {
        Some(error) if error.is_parse_too_large() => Failure::HeadersTooLarge,
        Some(error) if error.is_parse() => Failure::Malformed,
        Some(_) | None => Failure::Broken,
    };
    tracing::debug!(reason = failure.label(), %error, "connection failed");
    Err(failure)
}
