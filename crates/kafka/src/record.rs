//! A record of a topic, taken out of librdkafka's memory.

use std::sync::Arc;

use bytes::Bytes;
use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Headers as _},
};

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// When it was produced, or appended: milliseconds since the epoch of Unix.
    pub timestamp: Option<i64>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Its value; a tombstone has none.
    pub value: Option<Bytes>,
}

impl Record {
    /// Of its value.
    pub(crate) fn bytes(&self) -> usize {
        self.value.as_ref().map_or(0, Bytes::len)
    }

    pub(crate) fn of(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Self {
        let headers = message.headers().map(|headers| {
            let one = |header: rdkafka::message::Header<'_, &[u8]>| {
                let value = header.value.map(Bytes::copy_from_slice);
                (header.key.to_owned(), value)
            };
            headers.iter().map(one).collect()
        });
        Self {
            topic: Arc::clone(topic),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(Bytes::copy_from_slice),
            headers: headers.unwrap_or_default(),
            value: message.payload().map(Bytes::copy_from_slice),
        }
    }
}
