//! Whether a broker is ready, in a few bytes of Kafka's protocol.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// What a request for metadata is, in its first version: length, key 3, version, a number that comes
/// back, no name, no topics.
const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];

/// A broker takes connections before it answers; it is asked anew then.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Whether it names a broker, which is itself. Before that it has not joined its own cluster, and
/// nobody could make a topic.
pub(super) async fn is_ready(address: &str) -> bool {
    timeout(ANSWER_MAX, brokers(address))
        .await
        .is_ok_and(|brokers| brokers.is_ok_and(|brokers| brokers > 0))
}

async fn brokers(address: &str) -> std::io::Result<i32> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&REQUEST).await?;
    let (_length, _number) = (stream.read_i32().await?, stream.read_i32().await?);
    stream.read_i32().await
}
