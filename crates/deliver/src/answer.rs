//! The rest of an answer: read to a bound, so that the connection can be used again.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The outcome is decided by the status; a body that dawdles only costs its connection.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Reads up to `bytes_max` of the body and throws it away. A longer or slower body is dropped
/// with its connection.
pub(crate) async fn drain(mut body: Incoming, bytes_max: usize) {
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
            if bytes > bytes_max {
                return;
            }
        }
    };
    if tokio::time::timeout(DRAIN_MAX, read).await.is_err() {
        tracing::debug!("a sink's answer was not read to its end");
    }
}
