//! The rest of an answer: read to a bound.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

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

/// Reads all of an answer, up to `bytes_max`, and keeps the first `kept`.
pub(crate) async fn whole(
    mut body: Incoming,
    bytes_max: usize,
    kept: usize,
) -> Result<Bytes, NotWhole> {
    let mut begin = BytesMut::new();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(NotWhole::Broken)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        bytes += data.len();
        if bytes > bytes_max {
            return Err(NotWhole::TooLong);
        }
        keep(&mut begin, data, kept);
    }
    Ok(begin.freeze())
}

/// Reads a refusal, and gives back how it begins. A longer or slower one is dropped with its
/// connection.
pub(crate) async fn refusal(mut body: Incoming, bytes_max: usize) -> Bytes {
    let mut begin = BytesMut::new();
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(data) = frame.data_ref() else {
                continue;
            };
            bytes += data.len();
            keep(&mut begin, data, BEGIN_BYTES_MAX);
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
