//! On a log that fails by script, with paused time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
};

use bytes::Bytes;
use prometheus_client::registry::Registry;
use tidegate_backbone::{
    ConsumerSpec, ControlError, DeadLetter, Delivery, LettersOf, MessageId, Pending, Receipt,
    Settle, SettleError, Source, SourceError,
};

use super::*;

/// Answers appends by a script, then with success, and keeps what it was asked.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    answers: VecDeque<Result<Stored, AppendError>>,
    asked: Vec<(String, Option<MessageId>)>,
}

impl Scripted {
    fn answering(answers: impl IntoIterator<Item = Result<Stored, AppendError>>) -> Self {
        let log = Self::default();
        log.0.lock().unwrap().answers.extend(answers);
        log
    }

    fn asked(&self) -> Vec<(String, Option<MessageId>)> {
        self.0.lock().unwrap().asked.clone()
    }
}

impl Log for Scripted {
    type Source = Nothing;

    async fn append(&self, append: &Append) -> Result<Stored, AppendError> {
        let mut inner = self.0.lock().unwrap();
        inner
            .asked
            .push((append.subject.clone(), append.message_id.clone()));
        let sequence = inner.asked.len() as u64;
        inner.answers.pop_front().unwrap_or(Ok(Stored {
            sequence,
            duplicate: false,
        }))
    }

    async fn bury(&self, _: &DeadLetter) -> Result<Stored, AppendError> {
        unreachable!("publishing buries nothing")
    }

    async fn letters_of(&self, _: &LettersOf) -> Result<BTreeMap<u64, u64>, ControlError> {
        unreachable!("publishing buries nothing")
    }

    async fn last(&self) -> Result<u64, ControlError> {
        unreachable!("publishing consumes nothing")
    }

    async fn stored_behind(&self, _: &[String], _: u64) -> Result<u64, ControlError> {
        unreachable!("publishing consumes nothing")
    }

    async fn open(&self, _: ConsumerSpec) -> Result<Nothing, ControlError> {
        unreachable!("publishing consumes nothing")
    }

    async fn narrow(&self, _: &ConsumerSpec) -> Result<bool, ControlError> {
        unreachable!("publishing consumes nothing")
    }

    async fn remove(&self, _: &str) -> Result<(), ControlError> {
        unreachable!("publishing consumes nothing")
    }

    async fn consumers(&self) -> Result<Vec<Pending>, ControlError> {
        unreachable!("publishing consumes nothing")
    }

    async fn consumer(&self, _: &str) -> Result<Option<Pending>, ControlError> {
        unreachable!("publishing consumes nothing")
    }

    fn now(&self) -> std::time::SystemTime {
        std::time::SystemTime::UNIX_EPOCH
    }

    async fn ready(&self) -> Result<(), ControlError> {
        Ok(())
    }
}

#[derive(Debug)]
struct Nothing;

impl Source for Nothing {
    type Receipt = Nothing;

    async fn pull(&mut self, _: usize) -> Result<Vec<Delivery<Nothing>>, SourceError> {
        std::future::pending().await
    }

    fn former(&self) -> Vec<tidegate_backbone::Former> {
        Vec::new()
    }

    async fn unsettled(&mut self) -> Result<u64, ControlError> {
        unreachable!()
    }

    async fn close(self) {}
}

impl Receipt for Nothing {
    async fn settle(&self, _: Settle) -> Result<(), SettleError> {
        Ok(())
    }

    async fn settle_surely(&self, _: Settle) -> Result<(), SettleError> {
        Ok(())
    }
}

fn publisher(log: &Scripted, config: &Config) -> Publisher<Scripted> {
    let metrics = Metrics::register(&mut Registry::default());
    Publisher::new(
        config,
        log.clone(),
        "tidegate.events",
        Admission::new(config),
        metrics,
    )
}

fn event(id: &str) -> Event {
    let mut event = Event::new(id, "/shop", "order.created.v1");
    event.data = Some(Bytes::from_static(b"{}"));
    event
}

fn unreachable_log() -> Result<Stored, AppendError> {
    Err(AppendError::Unreachable {
        detail: "gone".to_owned(),
    })
}

/// A server that is away for a moment costs the sender nothing, and the repeated append carries
/// the same id, so that it cannot become a second event.
#[tokio::test(start_paused = true)]
async fn a_short_outage_is_retried_under_the_same_id() {
    let log = Scripted::answering([
        unreachable_log(),
        Err(AppendError::TimedOut {
            waited: Duration::from_secs(1),
        }),
    ]);
    let stored = publisher(&log, &Config::default())
        .publish("app", event("1"))
        .await
        .unwrap();
    assert!(!stored.duplicate);
    let asked = log.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|ask| ask == &asked[0]));
    assert_eq!(asked[0].1, Some(message_id("app", "/shop", "1")));
}

/// Nothing waits past its deadline, and what is not known to be stored is never called stored.
#[tokio::test(start_paused = true)]
async fn a_long_outage_ends_at_the_deadline() {
    let log = Scripted::answering(std::iter::repeat_with(unreachable_log).take(1_000));
    let config = Config {
        deadline: Duration::from_secs(3),
        ..Config::default()
    };
    let began = Instant::now();
    let error = publisher(&log, &config)
        .publish("app", event("1"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "publish/unreachable");
    assert!(
        began.elapsed() <= config.deadline,
        "took {:?}",
        began.elapsed()
    );
    assert!(
        log.asked().len() > 3,
        "it gave up after {} tries",
        log.asked().len()
    );
}

/// A full log is said at once: trying again helps nobody.
#[tokio::test(start_paused = true)]
async fn lasting_failures_are_not_repeated() {
    let full = AppendError::Full {
        detail: "maximum bytes exceeded".to_owned(),
    };
    let large = AppendError::TooLarge {
        bytes: 9,
        bytes_max: 8,
    };
    let refused = AppendError::Refused {
        code: 1,
        detail: "no".to_owned(),
    };
    for (failure, code) in [
        (full, "publish/storage-full"),
        (large, "publish/too-large"),
        (refused, "publish/refused"),
    ] {
        let log = Scripted::answering([Err(failure)]);
        let error = publisher(&log, &Config::default())
            .publish("app", event("1"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(log.asked().len(), 1);
    }
}

/// Of a batch, each event's fate is told apart, in order.
#[tokio::test(start_paused = true)]
async fn a_batch_says_which_events_are_stored() {
    let full = AppendError::Full {
        detail: "full".to_owned(),
    };
    let log = Scripted::answering([
        Ok(Stored {
            sequence: 1,
            duplicate: false,
        }),
        Err(full),
    ]);
    let events = vec![event("1"), event("2"), event("3")];
    let results = publisher(&log, &Config::default())
        .publish_all("app", events)
        .await;
    assert!(results[0].is_ok());
    assert_eq!(
        results[1].as_ref().unwrap_err().code(),
        "publish/storage-full"
    );
    assert!(results[2].is_ok());
}

/// What of a batch failed for the moment is repeated, and nothing else of it; each outcome is told
/// of its own event, also beside one that can never be stored.
#[tokio::test(start_paused = true)]
async fn of_a_batch_only_what_failed_is_repeated() {
    let stored = |sequence| {
        Ok(Stored {
            sequence,
            duplicate: false,
        })
    };
    let rounds = [
        stored(11),
        unreachable_log(),
        stored(13),
        unreachable_log(),
        stored(14),
        unreachable_log(),
        stored(16),
    ];
    let log = Scripted::answering(rounds);
    let mut events: Vec<_> = ["1", "2", "never", "3", "4"].map(event).into();
    events[2].r#type = "t".repeat(subject::BYTES_MAX).into();
    let publisher = publisher(&log, &Config::default());
    let results = publisher.publish_all("app", events).await;
    let told = results.iter().map(|result| match result {
        Ok(stored) => stored.sequence.to_string(),
        Err(error) => error.code().to_owned(),
    });
    let told: Vec<_> = told.collect();
    let never = results[2].as_ref().unwrap_err().code();
    assert_eq!(told, ["11", "14", never, "13", "16"]);
    assert!(matches!(results[2], Err(Error::SubjectTooLong(_))));
    let ids = ["1", "2", "3", "4", "2", "4", "4"];
    let ids = ids.map(|id| Some(message_id("app", &event(id).source, id)));
    let asked: Vec<_> = log.asked().into_iter().map(|(_, id)| id).collect();
    assert_eq!(asked, ids);
}

/// A batch waits no longer for a log that stays away than one event does.
#[tokio::test(start_paused = true)]
async fn a_batch_ends_at_the_deadline_too() {
    let log = Scripted::answering(std::iter::repeat_with(unreachable_log).take(1_000));
    let config = Config::default();
    let began = Instant::now();
    let events = vec![event("1"), event("2")];
    let results = publisher(&log, &config).publish_all("app", events).await;
    assert!(began.elapsed() <= config.deadline);
    for result in results {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    }
}

/// When there is no room for all of a batch, nothing of it is stored.
#[tokio::test(start_paused = true)]
async fn a_batch_without_room_is_refused_whole() {
    let log = Scripted::default();
    let config = Config {
        in_flight_max: 2,
        ..Config::default()
    };
    let publisher = publisher(&log, &config);
    let _other = publisher.admission.enter(1, 1).unwrap();
    let results = publisher
        .publish_all("app", vec![event("1"), event("2")])
        .await;
    assert!(
        results
            .iter()
            .all(|result| result.as_ref().unwrap_err().code() == "publish/busy")
    );
    assert!(log.asked().is_empty());
}

/// Deduplication can be switched off; the table in the server then costs nothing.
#[tokio::test(start_paused = true)]
async fn without_deduplication_there_is_no_message_id() {
    let log = Scripted::default();
    let config = Config {
        deduplicate: false,
        ..Config::default()
    };
    publisher(&log, &config)
        .publish("app", event("1"))
        .await
        .unwrap();
    assert_eq!(log.asked()[0].1, None);
}
