//! The rest of an answer: read to a bound.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::hosts::{Connection, Host};

/// How long a refusal's words are waited for: its status is known.
const REFUSAL_MAX: Duration = Duration::from_secs(1);

/// What is kept of a body, to tell why an event was refused: as much as Knative tells.
pub(crate) const BEGIN_BYTES_MAX: usize = 1_024;

/// Why an answer did not come whole.
pub(crate) enum NotWhole {
    /// It has more bytes than are read.
    TooLong,
    /// It ended in its middle.
    Broken(hyper::Error),
}

/// The rest of an answer, and the connection that it comes by.
pub(crate) struct Rest {
    body: Incoming,
    lent: Option<(Arc<Host>, Connection)>,
}

impl Rest {
    pub(crate) fn new(body: Incoming, lent: Option<(Arc<Host>, Connection)>) -> Self {
        Self { body, lent }
    }

    /// What comes next. At the end, and only there, the connection is given back.
    async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Some(Err(error)) => return Some(Err(error)),
                None => {
                    let (host, connection) = self.lent.take()?;
                    host.give_back(connection);
                    return None;
                }
            }
        }
    }
}

/// Reads all of an answer, up to `bytes_max`, and keeps the first `kept`.
pub(crate) async fn whole(
    mut rest: Rest,
    bytes_max: usize,
    kept: usize,
) -> Result<Bytes, NotWhole> {
    let mut begin = BytesMut::new();
    let mut bytes = 0;
    while let Some(data) = rest.next().await {
        let data = data.map_err(NotWhole::Broken)?;
        bytes += data.len();
        if bytes > bytes_max {
            return Err(NotWhole::TooLong);
        }
        keep(&mut begin, &data, kept);
    }
    Ok(begin.freeze())
}

/// Reads a refusal, and gives back how it begins. A longer or slower one is dropped with its
/// connection.
pub(crate) async fn refusal(mut rest: Rest, bytes_max: usize) -> Bytes {
    let mut begin = BytesMut::new();
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(data)) = rest.next().await {
            bytes += data.len();
            keep(&mut begin, &data, BEGIN_BYTES_MAX);
            if bytes > bytes_max {
                return;
            }
        }
    };
    if tokio::time::timeout(REFUSAL_MAX, read).await.is_err() {
        tracing::debug!("a sink's refusal was not read to its end");
    }
    begin.freeze()
}

fn keep(begin: &mut BytesMut, data: &[u8], most: usize) {
    let kept = data.len().min(most - begin.len());
    begin.extend_from_slice(data.get(..kept).unwrap_or(data));
}
