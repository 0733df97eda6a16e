//! The rest of an answer: read to a bound, so that the connection can be used again.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The outcome is decided by the status; a body that dawdles only costs its connection.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// What is kept of a body, to tell why an event was refused: as much as Knative tells.
const BEGIN_BYTES_MAX: usize = 1_024;

/// Reads up to `bytes_max` of the body, and gives back how it begins. A longer or slower body is
/// dropped with its connection.
pub(crate) async fn drain(mut body: Incoming, bytes_max: usize) -> Bytes {
    let mut begin = BytesMut::new();
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(data) = frame.data_ref() else {
                continue;
            };
            bytes += data.len();
            let kept = data.len().min(BEGIN_BYTES_MAX - begin.len());
            begin.extend_from_slice(data.get(..kept).unwrap_or(data));
            if bytes > bytes_max {
                return;
            }
        }
    };
    if tokio::time::timeout(DRAIN_MAX, read).await.is_err() {
        tracing::debug!("a sink's answer was not read to its end");
    }
    begin.freeze()
}
