//! From records of a partition to durable events, in order: what they mean, may they, publish. What
//! nobody can read is a dead letter.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use tidegate_application::{Application, Format, KafkaSource};
use tidegate_backbone::{
    AppendError, DeadLetter, Log as _, Stored, Unreadable, jetstream::Jetstream,
};
use tidegate_event::{Event, Name, kafka};
use tidegate_history::Journal;
use tidegate_kafka::{Metrics, Record};
use tidegate_normalize::{Input, Reading, normalize};
use tidegate_publish::Publisher;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    applications::Known,
    intake::Sender,
    pipeline::{journal, worker},
};

/// The namespace of dead letters that are records of a source.
pub(crate) const NAMESPACE: &str = "_kafka";

/// From a failure of the log to the next try, at first and at last.
const AGAIN: Duration = Duration::from_millis(100);
const AGAIN_MAX: Duration = Duration::from_secs(5);

/// Most headers of a record.
const HEADERS_MAX: usize = 1_000;

/// How much is kept of a value that is too large to be kept whole.
const CUT_BYTES: usize = 64 << 10;

/// The last millisecond of the year 9999, behind which there is no date in RFC 3339.
const TIMESTAMP_MAX: u64 = 253_402_300_799_999;

/// What stands behind a source.
pub(super) struct Records {
    source: KafkaSource,
    publisher: Publisher<Jetstream>,
    log: Jetstream,
    applications: Known,
    batch_events_max: usize,
    metrics: Metrics,
    journal: Journal,
    waiting: watch::Sender<Option<String>>,
}

/// Why a record is a dead letter.
struct Poison {
    code: &'static str,
    detail: String,
}

/// What one take has come to.
#[derive(Default)]
struct Count {
    stored: u64,
    dead: u64,
}

impl Records {
    pub(super) fn new(
        source: &KafkaSource,
        publisher: Publisher<Jetstream>,
        log: Jetstream,
        shared: &worker::Shared,
    ) -> Self {
        Self {
            source: source.clone(),
            publisher,
            log,
            applications: shared.applications.clone(),
            batch_events_max: shared.config.receive.batch_events_max,
            metrics: shared.kafka.metrics.clone(),
            journal: shared.journal.clone(),
            waiting: watch::channel(None).0,
        }
    }

    /// What it waits for, if it does.
    pub(super) fn waiting(&self) -> watch::Receiver<Option<String>> {
        self.waiting.subscribe()
    }

    fn wait_for(&self, what: Option<String>) {
        self.waiting.send_if_modified(|was| {
            let changed = *was != what;
            if let (true, Some(what)) = (changed, &what) {
                tracing::warn!(source = self.source.name, what, "a Kafka source waits");
            }
            *was = what;
            changed
        });
    }

    /// As whom it sends, when that is known and may send.
    async fn sender(&self) -> Sender {
        let name = &self.source.application;
        let mut applications = self.applications.clone();
        loop {
            let directory = Arc::clone(&applications.borrow_and_update());
            if let Some(sender) = Sender::acting_as(name, &directory) {
                let Some(wait) = sender.quota().wait(Instant::now()) else {
                    self.wait_for(None);
                    return sender;
                };
                sleep(wait).await;
                continue;
            }
            self.wait_for(Some(format!("there is no Application {name:?}")));
            // An error means that nobody reads documents any more; the process ends then.
            if timeout(AGAIN_MAX, applications.changed())
                .await
                .is_ok_and(|told| told.is_err())
            {
                sleep(AGAIN_MAX).await;
            }
        }
    }

    /// The events of a record.
    fn events(
        &self,
        record: &Record,
        (sender, application): (&Sender, &Application),
    ) -> Result<Vec<Event>, Poison> {
        let headers = headers(record)?;
        let normalized = normalize(Input {
            reading: Reading::Record(application.format),
            application,
            proven: sender.is_known(),
            headers: &headers,
            body: record.value.clone().unwrap_or_default(),
            topic: Some(&record.topic),
            // The same whenever it is read again.
            place: Some(&place(record)),
            batch_events_max: self.batch_events_max,
            received_at: Timestamp::now(),
        });
        let normalized = normalized.map_err(|error| Poison {
            code: error.code(),
            detail: error.to_string(),
        })?;
        let format = normalized.format;
        let mut events = normalized.events.into_vec();
        let directory = self.applications.borrow();
        let hop = kafka::hop(of_record(record));
        for event in &mut events {
            if self.source.partition_key {
                set_key(event, record.key.as_ref());
            }
            event.hop = hop;
            let may = sender.may_send(event, format, &directory);
            may.map_err(|denied| Poison {
                code: denied.code,
                detail: denied.detail,
            })?;
        }
        Ok(events)
    }

    /// Stores what they say, in order, from the first on that is not stored. Of those that were stored
    /// behind it already, the log knows the ids.
    async fn store(&self, records: &[Record], count: &mut Count) {
        let mut pause = AGAIN;
        let mut left = records;
        let mut most = records.len();
        while !left.is_empty() {
            let sender = self.sender().await;
            let application = acting(&self.source, sender.application());
            let (mut events, mut ends) = (Vec::new(), Vec::new());
            let mut poison = None;
            for record in left.iter().take(most) {
                match self.events(record, (&sender, &application)) {
                    Ok(of_record) => events.extend(of_record),
                    Err(found) => {
                        poison = Some((record, found));
                        break;
                    }
                }
                ends.push(events.len());
            }
            let sizes: Vec<usize> = events.iter().map(Event::data_len).collect();
            let name = &sender.application().name;
            let results = self.publisher.publish_all(name, events).await;
            let (stored, failed) = settled(&results, &ends);
            for stored in results.iter().flatten() {
                journal::received(&self.journal, name, stored);
            }
            charge(&sender, &results, &sizes);
            let refused = usize::from(poison.is_some());
            sender.has_sent(results.iter().flatten().count(), refused);
            count.stored += stored as u64;
            let read = ends.len();
            left = left.get(stored..).unwrap_or_default();
            match (failed, poison) {
                (Some(error), _) => match refusal(error) {
                    Some(found) => {
                        let Some((first, rest)) = left.split_first() else {
                            break;
                        };
                        self.bury(first, &found).await;
                        count.dead += 1;
                        left = rest;
                    }
                    None => {
                        // Where others have most of the room, less of it is wanted at once.
                        most = (most / 2).max(1);
                        self.wait_for(Some(error.to_string()));
                        sleep(pause).await;
                        pause = (pause * 2).min(AGAIN_MAX);
                        continue;
                    }
                },
                (None, Some((record, found))) => {
                    self.bury(record, &found).await;
                    count.dead += 1;
                    left = left.get(read - stored + 1..).unwrap_or_default();
                }
                (None, None) => {}
            }
            pause = AGAIN;
        }
        self.wait_for(None);
    }

    /// Keeps a record that nobody can read, or may send.
    async fn bury(&self, record: &Record, poison: &Poison) {
        let mut pause = AGAIN;
        let mut whole = true;
        loop {
            let letter = self.letter(record, poison, whole);
            match self.log.bury(&letter).await {
                Ok(_) => {
                    tracing::warn!(
                        source = self.source.name,
                        record = place(record),
                        code = poison.code,
                        detail = poison.detail,
                        "a record is a dead letter"
                    );
                    return;
                }
                Err(AppendError::TooLarge { .. }) if whole => whole = false,
                Err(error) => {
                    self.wait_for(Some(format!("a dead letter is not kept: {error}")));
                    sleep(pause).await;
                    pause = (pause * 2).min(AGAIN_MAX);
                }
            }
        }
    }

    fn letter(&self, record: &Record, poison: &Poison, whole: bool) -> DeadLetter {
        let mut payload = record.value.clone().unwrap_or_default();
        let mut reason = poison.detail.clone();
        if !whole {
            reason = format!(
                "{reason}; the first {CUT_BYTES} of {} bytes are kept",
                payload.len()
            );
            payload.truncate(CUT_BYTES);
        }
        DeadLetter {
            // Each partition counts its records for itself.
            consumer: format!(
                "kafka-{}-{}-{}",
                self.source.name, record.topic, record.partition
            ),
            namespace: NAMESPACE.to_owned(),
            subscription: self.source.name.clone(),
            event: Err(Unreadable {
                reason: reason.clone(),
                headers: kept(record),
                payload,
            }),
            sequence: u64::try_from(record.offset).unwrap_or(0),
            reason: poison.code,
            detail: format!("record {}: {reason}", place(record)),
            answer: None,
            attempts: 1,
            stored_at: stored_at(record.timestamp),
        }
    }
}

impl tidegate_kafka::Intake for Records {
    async fn take(&self, records: Vec<Record>) {
        let mut count = Count::default();
        self.store(&records, &mut count).await;
        self.metrics
            .taken(&self.source.name, count.stored, count.dead);
    }
}

/// The Application, with what the source says itself.
fn acting(source: &KafkaSource, application: &Application) -> Application {
    Application {
        // Kyma's own is of requests.
        format: source
            .format
            .or(application.format)
            .filter(|format| *format != Format::KymaLegacy),
        mapping: source
            .mapping
            .clone()
            .or_else(|| application.mapping.clone()),
        ..application.clone()
    }
}

/// What is stored counts, and not how often it was tried.
fn charge(sender: &Sender, results: &[Result<Stored, tidegate_publish::Error>], sizes: &[usize]) {
    let of_stored = results.iter().zip(sizes);
    let of_stored = of_stored.filter(|(result, _)| result.is_ok());
    let (events, bytes) = of_stored.fold((0, 0), |(events, bytes), (_, size)| {
        (events + 1, bytes + size)
    });
    sender.quota().charge(events, bytes, Instant::now());
}

/// How many records are stored from the first on, and why the next is not.
fn settled<'a>(
    results: &'a [Result<Stored, tidegate_publish::Error>],
    ends: &[usize],
) -> (usize, Option<&'a tidegate_publish::Error>) {
    let failed = results.iter().position(Result::is_err);
    let Some(failed) = failed else {
        return (ends.len(), None);
    };
    let stored = ends.iter().take_while(|end| **end <= failed).count();
    (
        stored,
        results.get(failed).and_then(|one| one.as_ref().err()),
    )
}

/// Why an event will never be stored; `None` where it may be later.
fn refusal(error: &tidegate_publish::Error) -> Option<Poison> {
    use tidegate_publish::Error;
    match error {
        Error::SubjectTooLong(_) | Error::TooLarge { .. } => Some(Poison {
            code: error.code(),
            detail: error.to_string(),
        }),
        Error::Busy { .. }
        | Error::StorageFull { .. }
        | Error::Unreachable { .. }
        | Error::Refused(_) => None,
    }
}

/// When a record was produced, as far as a date can say it: its producer may have said anything.
fn stored_at(timestamp: Option<i64>) -> SystemTime {
    let millis = timestamp.and_then(|at| u64::try_from(at).ok());
    let millis = millis.filter(|at| *at <= TIMESTAMP_MAX).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// `topic/partition/offset`
fn place(record: &Record) -> String {
    format!("{}/{}/{}", record.topic, record.partition, record.offset)
}

/// The record's key, where the event says nothing of its partition itself.
fn set_key(event: &mut Event, key: Option<&Bytes>) {
    const KEY: &str = "partitionkey";
    let Some(key) = key.and_then(|key| std::str::from_utf8(key).ok()) else {
        return;
    };
    let is_text = !key.is_empty() && !key.chars().any(char::is_control);
    if is_text && event.extensions.get(KEY).is_none() {
        event.extensions.insert(Name::from_static(KEY), key.into());
    }
}

fn of_record(record: &Record) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
    let headers = record.headers.iter();
    headers.map(|(name, value)| (name.as_str(), value.as_deref()))
}

/// A record's headers as formats read them. What no attribute is made of may be anything.
fn headers(record: &Record) -> Result<HeaderMap, Poison> {
    let refused = |detail: String| Poison {
        code: "kafka/headers",
        detail,
    };
    if record.headers.len() > HEADERS_MAX {
        let count = record.headers.len();
        return Err(refused(format!(
            "{count} headers, the limit is {HEADERS_MAX}"
        )));
    }
    let mut headers = HeaderMap::with_capacity(record.headers.len());
    for (name, value) in of_record(record) {
        let Some(value) = value else {
            continue;
        };
        let legal = (HeaderName::try_from(name), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = legal {
            headers.append(name, value);
        } else if name
            .get(..3)
            .is_some_and(|prefix| prefix.eq_ignore_ascii_case("ce_"))
        {
            return Err(refused(format!("header {name:?} can be no attribute")));
        }
    }
    Ok(headers)
}

/// What is kept of a record beside its value: where it is, and its headers, each as text.
fn kept(record: &Record) -> Vec<(ByteString, ByteString)> {
    let mut kept: Vec<(ByteString, ByteString)> = vec![
        ("kafka-topic".into(), (&*record.topic).into()),
        (
            "kafka-partition".into(),
            record.partition.to_string().into(),
        ),
        ("kafka-offset".into(), record.offset.to_string().into()),
    ];
    if let Some(timestamp) = record.timestamp {
        kept.push(("kafka-timestamp".into(), timestamp.to_string().into()));
    }
    if let Some(key) = &record.key {
        kept.push(("kafka-key".into(), as_text(key)));
    }
    for (name, value) in of_record(record).take(HEADERS_MAX) {
        // Where a name is no header's, its line would be somebody else's.
        if let (Ok(name), Some(value)) = (HeaderName::try_from(name), value) {
            kept.push((name.as_str().into(), as_text(value)));
        }
    }
    kept
}

/// Bytes that are no plain text are in base64.
fn as_text(bytes: &[u8]) -> ByteString {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.into(),
        Ok(_) | Err(_) => format!("base64:{}", STANDARD.encode(bytes)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A date behind the year 9999 cannot be written, and whoever tries panics.
    #[test]
    fn any_timestamp_becomes_a_date() {
        for timestamp in [
            None,
            Some(i64::MIN),
            Some(i64::MAX),
            Some(253_402_300_799_999),
        ] {
            let at = stored_at(timestamp);
            let text = humantime::format_rfc3339_millis(at).to_string();
            assert!(text.ends_with('Z'), "{timestamp:?}: {text}");
        }
    }
}
