//! Many records in one message: names once, times from the first one on, numbers as short as they
//! are ([postcard](https://postcard.jamesmunns.com)). A delivery that went well takes some 15 bytes.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{Outcome, Reason, Record, What};

/// What a message begins with; another one is of a later version.
const VERSION: u8 = 1;

/// Bytes that are kept of a detail.
const DETAIL_BYTES_MAX: usize = 200;

/// A message that is none of ours, or of a later version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a batch of history is not understood: it is broken, or of a later version")]
pub struct NotUnderstood;

#[derive(Serialize, Deserialize)]
struct Written {
    names: Vec<String>,
    /// Milliseconds since 1970.
    began: u64,
    rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    place: u64,
    /// Milliseconds since the batch began.
    after: u64,
    what: RowWhat,
}

/// Names are by their place among the names.
#[derive(Serialize, Deserialize)]
enum RowWhat {
    Received {
        application: u32,
        duplicate: bool,
    },
    Attempted {
        subscription: u32,
        replay: Option<u32>,
        attempt: u32,
        /// 0 for none.
        status: u16,
        took_micros: u64,
        outcome: RowOutcome,
    },
}

#[derive(Serialize, Deserialize)]
enum RowOutcome {
    Delivered,
    Again { reason: RowReason, delay_ms: u64 },
    Waits { reason: RowReason },
    DeadLetter { reason: RowReason, letter: u64 },
}

#[derive(Serialize, Deserialize)]
struct RowReason {
    code: u32,
    detail: String,
}

/// The message of these records.
pub fn write(records: &[Record]) -> Vec<u8> {
    let began = records.iter().map(|record| record.at).min();
    let began = began.map_or(0, millis);
    let mut names = Names::default();
    let rows = records.iter().map(|record| Row {
        place: record.place,
        after: millis(record.at).saturating_sub(began),
        what: names.row(&record.what),
    });
    let rows = rows.collect();
    let written = Written {
        names: names.all,
        began,
        rows,
    };
    // Only what it writes to could fail, and memory does not.
    postcard::to_extend(&written, vec![VERSION]).unwrap_or_default()
}

/// The records of a message.
pub fn read(message: &[u8]) -> Result<Vec<Record>, NotUnderstood> {
    let (&version, written) = message.split_first().ok_or(NotUnderstood)?;
    if version != VERSION {
        return Err(NotUnderstood);
    }
    let written: Written = postcard::from_bytes(written).map_err(|_| NotUnderstood)?;
    let names: Vec<Arc<str>> = written.names.into_iter().map(Arc::from).collect();
    let records = written.rows.into_iter().map(|row| {
        let since_1970 = Duration::from_millis(written.began.saturating_add(row.after));
        Some(Record {
            place: row.place,
            at: UNIX_EPOCH.checked_add(since_1970)?,
            what: what(row.what, &names)?,
        })
    });
    records.collect::<Option<_>>().ok_or(NotUnderstood)
}

fn millis(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    whole(since_1970.as_millis())
}

fn whole(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[derive(Default)]
struct Names {
    all: Vec<String>,
    known: HashMap<Arc<str>, u32>,
}

impl Names {
    fn of(&mut self, name: &Arc<str>) -> u32 {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push((**name).to_owned());
        self.known.insert(Arc::clone(name), next);
        next
    }

    fn row(&mut self, what: &What) -> RowWhat {
        match what {
            What::Received {
                application,
                duplicate,
            } => RowWhat::Received {
                application: self.of(application),
                duplicate: *duplicate,
            },
            What::Attempted {
                subscription,
                replay,
                attempt,
                status,
                took,
                outcome,
            } => RowWhat::Attempted {
                subscription: self.of(subscription),
                replay: replay.as_ref().map(|replay| self.of(replay)),
                attempt: *attempt,
                status: status.unwrap_or(0),
                took_micros: whole(took.as_micros()),
                outcome: self.outcome(outcome),
            },
        }
    }

    fn outcome(&mut self, outcome: &Outcome) -> RowOutcome {
        match outcome {
            Outcome::Delivered => RowOutcome::Delivered,
            Outcome::Again { reason, delay } => RowOutcome::Again {
                reason: self.reason(reason),
                delay_ms: whole(delay.as_millis()),
            },
            Outcome::Waits { reason } => RowOutcome::Waits {
                reason: self.reason(reason),
            },
            Outcome::DeadLetter { reason, letter } => RowOutcome::DeadLetter {
                reason: self.reason(reason),
                letter: *letter,
            },
        }
    }

    fn reason(&mut self, reason: &Reason) -> RowReason {
        let end = reason.detail.floor_char_boundary(DETAIL_BYTES_MAX);
        RowReason {
            code: self.of(&reason.code),
            detail: reason.detail.get(..end).unwrap_or_default().to_owned(),
        }
    }
}

fn what(row: RowWhat, names: &[Arc<str>]) -> Option<What> {
    let name = |at: u32| names.get(usize::try_from(at).ok()?).map(Arc::clone);
    Some(match row {
        RowWhat::Received {
            application,
            duplicate,
        } => What::Received {
            application: name(application)?,
            duplicate,
        },
        RowWhat::Attempted {
            subscription,
            replay,
            attempt,
            status,
            took_micros,
            outcome,
        } => What::Attempted {
            subscription: name(subscription)?,
            replay: match replay {
                Some(replay) => Some(name(replay)?),
                None => None,
            },
            attempt,
            status: Some(status).filter(|status| *status > 0),
            took: Duration::from_micros(took_micros),
            outcome: {
                let reason = |RowReason { code, detail }| {
                    let code = name(code)?;
                    Some(Reason { code, detail })
                };
                match outcome {
                    RowOutcome::Delivered => Outcome::Delivered,
                    RowOutcome::Again {
                        reason: row,
                        delay_ms,
                    } => Outcome::Again {
                        reason: reason(row)?,
                        delay: Duration::from_millis(delay_ms),
                    },
                    RowOutcome::Waits { reason: row } => Outcome::Waits {
                        reason: reason(row)?,
                    },
                    RowOutcome::DeadLetter {
                        reason: row,
                        letter,
                    } => Outcome::DeadLetter {
                        reason: reason(row)?,
                        letter,
                    },
                }
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_800_000_000_000 + millis)
    }

    fn attempted(place: u64, status: Option<u16>, outcome: Outcome) -> Record {
        Record {
            place,
            at: at(place),
            what: What::Attempted {
                subscription: "shop/billing".into(),
                replay: None,
                attempt: 3,
                status,
                took: Duration::from_micros(12_345),
                outcome,
            },
        }
    }

    fn reason(detail: &str) -> Reason {
        Reason {
            code: "deliver/connect".into(),
            detail: detail.to_owned(),
        }
    }

    /// One of each kind.
    fn all() -> Vec<Record> {
        let received = |place, duplicate| Record {
            place,
            at: at(place),
            what: What::Received {
                application: "commerce".into(),
                duplicate,
            },
        };
        let mut by_replay = attempted(9, Some(204), Outcome::Delivered);
        if let What::Attempted { replay, .. } = &mut by_replay.what {
            *replay = Some("replay-1".into());
        }
        let delay = Duration::from_secs(300);
        vec![
            // Not in the order of time.
            received(50, false),
            received(2, true),
            attempted(50, Some(204), Outcome::Delivered),
            attempted(8, None, Outcome::Waits { reason: reason("") }),
            attempted(
                4,
                Some(503),
                Outcome::Again {
                    reason: reason("it answered 503"),
                    delay,
                },
            ),
            attempted(
                5,
                Some(400),
                Outcome::DeadLetter {
                    reason: reason("nein: ü"),
                    letter: 17,
                },
            ),
            by_replay,
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&write(&all())), Ok(all()));
        assert_eq!(read(&write(&[])), Ok(Vec::new()));
    }

    #[test]
    fn a_delivery_takes_few_bytes() {
        let records = |count| {
            let records = (0..count)
                .map(|number| attempted(5_000_000 + number, Some(204), Outcome::Delivered));
            write(&records.collect::<Vec<_>>()).len()
        };
        let each = (records(1_100) - records(100)) / 1_000;
        assert!(each <= 16, "{each} bytes");
    }

    #[test]
    fn details_are_cut_between_letters() {
        let long = "ü".repeat(1_000);
        let outcome = Outcome::Waits {
            reason: reason(&long),
        };
        let read = read(&write(&[attempted(1, None, outcome)])).unwrap();
        let What::Attempted {
            outcome: Outcome::Waits { reason },
            ..
        } = &read[0].what
        else {
            panic!("{read:?}");
        };
        assert_eq!(reason.detail, "ü".repeat(100));
    }

    /// Whatever is there, it is read or refused.
    #[test]
    fn what_is_broken_is_refused() {
        let message = write(&all());
        for end in 0..message.len() {
            assert!(read(&message[..end]).is_err(), "{end}");
        }
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let mut broken = message.clone();
            let at = rng.usize(0..broken.len());
            broken[at] = rng.u8(..);
            read(&broken).ok();
        }
        assert_eq!(read(&[2, 0, 0, 0]), Err(NotUnderstood), "a later version");
    }
}
