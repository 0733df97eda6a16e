//! What the log in memory holds: events, dead letters, message ids, consumers.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, SystemTime},
};

use tidegate_event::Event;
use tokio::time::Instant;

use super::{Kept, Limits, consumer::Consumer};
use crate::{
    AppendError, ConsumerSpec, ControlError, DeadLetter, Former, LettersOf, MessageId, Pending,
    Start, Stored, Unreadable, subject::matches,
};

#[derive(Debug)]
pub(super) struct State {
    limits: Limits,
    started: Instant,
    /// The event at index i has the sequence i + 1; nothing is ever taken away.
    events: Vec<Kept>,
    ids: Ids,
    /// By their places.
    dead_letters: BTreeMap<u64, DeadLetter>,
    buried: HashMap<(String, u64), u64>,
    consumers: BTreeMap<String, Consumer>,
    incarnations: u64,
    openings: u64,
    /// How often it died.
    deaths: u64,
}

impl State {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            started: Instant::now(),
            events: Vec::new(),
            ids: Ids::default(),
            dead_letters: BTreeMap::new(),
            buried: HashMap::new(),
            consumers: BTreeMap::new(),
            incarnations: 0,
            openings: 0,
            deaths: 0,
        }
    }

    pub(super) fn events(&self) -> Vec<Kept> {
        self.events.clone()
    }

    pub(super) fn dead_letters(&self) -> Vec<DeadLetter> {
        self.dead_letters.values().cloned().collect()
    }

    pub(super) fn append(
        &mut self,
        subject: &str,
        id: Option<MessageId>,
        event: Result<Event, Unreadable>,
    ) -> Result<Stored, AppendError> {
        let (bytes, bytes_max) = (size(&event), self.limits.event_bytes_max);
        if bytes > bytes_max {
            return Err(AppendError::TooLarge { bytes, bytes_max });
        }
        self.ids.forget(self.limits.duplicate_window);
        if let Some(sequence) = id.as_ref().and_then(|id| self.ids.sequence(id)) {
            return Ok(Stored {
                sequence,
                duplicate: true,
            });
        }
        if self.events.len() >= self.limits.events_max {
            return Err(full(self.limits.events_max));
        }
        let sequence = self.last_sequence() + 1;
        self.events.push(Kept {
            sequence,
            subject: subject.into(),
            event,
            stored_at: self.wall_clock(),
        });
        if let Some(id) = id {
            self.ids.remember(id, sequence);
        }
        Ok(Stored {
            sequence,
            duplicate: false,
        })
    }

    pub(super) fn bury(&mut self, letter: &DeadLetter) -> Result<Stored, AppendError> {
        let key = (letter.consumer.clone(), letter.sequence);
        if let Some(&sequence) = self.buried.get(&key) {
            return Ok(Stored {
                sequence,
                duplicate: true,
            });
        }
        if self.dead_letters.len() >= self.limits.dead_letters_max {
            return Err(full(self.limits.dead_letters_max));
        }
        let sequence = count(self.buried.len()) + 1;
        self.dead_letters.insert(sequence, letter.clone());
        self.buried.insert(key, sequence);
        Ok(Stored {
            sequence,
            duplicate: false,
        })
    }

    pub(super) fn letters(&self, of: &LettersOf) -> BTreeMap<u64, u64> {
        let events = of.events.iter();
        let letters = events.filter_map(|event| {
            let letter = *self.buried.get(&(of.consumer.clone(), *event))?;
            let is_kept = letter >= of.from && self.dead_letters.contains_key(&letter);
            is_kept.then_some((*event, letter))
        });
        letters.collect()
    }

    pub(super) fn stored_behind(&self, filters: &[String], place: u64) -> u64 {
        let is_of = |kept: &&Kept| {
            filters.is_empty() || filters.iter().any(|filter| matches(filter, &kept.subject))
        };
        let behind = self.events.iter().filter(|kept| kept.sequence > place);
        count(behind.filter(is_of).count())
    }

    pub(super) fn discard(&mut self, letter: u64) {
        self.dead_letters.remove(&letter);
    }

    /// Opens a consumer and says which incarnation of its name it is.
    /// Its incarnation, and the number of this opening.
    pub(super) fn open(&mut self, spec: ConsumerSpec) -> (u64, u64) {
        let last = self.last_sequence();
        self.openings += 1;
        if let Some(consumer) = self.consumers.get_mut(&spec.name) {
            consumer.update(spec, last);
            return (consumer.incarnation(), self.openings);
        }
        self.incarnations += 1;
        let next = match spec.start {
            Start::New => self.last_sequence() + 1,
            Start::All => 1,
            Start::Sequence(sequence) => sequence.max(1),
            Start::Since(time) => {
                let mut events = self.events.iter();
                let first = events.find(|kept| kept.stored_at >= time);
                first.map_or(self.last_sequence() + 1, |kept| kept.sequence)
            }
        };
        let name = spec.name.clone();
        self.consumers
            .insert(name, Consumer::new(spec, next, self.incarnations));
        (self.incarnations, self.openings)
    }

    pub(super) fn former(&self, name: &str) -> Vec<Former> {
        let consumer = self.consumers.get(name);
        consumer.map(Consumer::former).unwrap_or_default()
    }

    pub(super) fn narrow(&mut self, name: &str) -> bool {
        let last = self.last_sequence();
        let consumer = self.consumers.get_mut(name);
        consumer.is_none_or(|consumer| consumer.narrow(last))
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.consumers.remove(name);
    }

    /// The consumer of that incarnation with the events that it reads from.
    pub(super) fn consumer(
        &mut self,
        name: &str,
        incarnation: u64,
    ) -> Option<(&mut Consumer, &[Kept])> {
        let consumer = self.consumers.get_mut(name)?;
        (consumer.incarnation() == incarnation).then_some((consumer, &self.events))
    }

    pub(super) fn redeliver(&mut self, consumer: &str) {
        if let Some(consumer) = self.consumers.get_mut(consumer) {
            consumer.redeliver();
        }
    }

    pub(super) fn sync(&mut self) {
        for consumer in self.consumers.values_mut() {
            consumer.sync();
        }
    }

    pub(super) fn deaths(&self) -> u64 {
        self.deaths
    }

    pub(super) fn die(&mut self) {
        self.deaths += 1;
        for consumer in self.consumers.values_mut() {
            if !consumer.is_exclusive() {
                consumer.forget();
            }
        }
    }

    /// `now` is what the wall clock says from now on.
    pub(super) fn set_clock(&mut self, now: SystemTime) {
        self.started = Instant::now();
        self.limits.started_at = now;
    }

    pub(super) fn unpin(&mut self, consumer: &str) {
        if let Some(consumer) = self.consumers.get_mut(consumer) {
            *consumer.owner() = None;
        }
    }

    pub(super) fn pending(&self) -> Vec<Pending> {
        self.consumers
            .values()
            .map(|consumer| consumer.pending(&self.events))
            .collect()
    }

    pub(super) fn pending_of(&self, name: &str) -> Option<Pending> {
        let consumer = self.consumers.get(name)?;
        Some(consumer.pending(&self.events))
    }

    pub(super) fn ready(&self) -> Result<(), ControlError> {
        if self.events.len() >= self.limits.events_max {
            return Err(ControlError {
                action: "asking the log".to_owned(),
                detail: full(self.limits.events_max).to_string(),
            });
        }
        Ok(())
    }

    pub(super) fn last_sequence(&self) -> u64 {
        count(self.events.len())
    }

    pub(super) fn wall_clock(&self) -> SystemTime {
        self.limits.started_at + self.started.elapsed()
    }
}

fn count(items: usize) -> u64 {
    u64::try_from(items).expect("a count of items in memory fits 64 bits")
}

fn full(items_max: usize) -> AppendError {
    AppendError::Full {
        detail: format!("it holds {items_max} messages, its limit"),
    }
}

fn size(event: &Result<Event, Unreadable>) -> usize {
    match event {
        Ok(event) => {
            let optional = [
                &event.datacontenttype,
                &event.dataschema,
                &event.subject,
                &event.time,
            ];
            let optional: usize = optional.into_iter().flatten().map(|text| text.len()).sum();
            let extensions = event.extensions.iter();
            let extensions: usize = extensions
                .map(|(name, value)| name.as_str().len() + value.to_text().len())
                .sum();
            event.id.len()
                + event.source.len()
                + event.r#type.len()
                + optional
                + extensions
                + event.data_len()
        }
        Err(unreadable) => {
            let headers = unreadable.headers.iter();
            unreadable.payload.len()
                + headers
                    .map(|(name, value)| name.len() + value.len())
                    .sum::<usize>()
        }
    }
}

/// The message ids of the duplicate window.
#[derive(Debug, Default)]
struct Ids {
    sequences: HashMap<MessageId, u64>,
    by_age: VecDeque<(Instant, MessageId)>,
}

impl Ids {
    fn sequence(&self, id: &MessageId) -> Option<u64> {
        self.sequences.get(id).copied()
    }

    fn remember(&mut self, id: MessageId, sequence: u64) {
        self.sequences.insert(id.clone(), sequence);
        self.by_age.push_back((Instant::now(), id));
    }

    fn forget(&mut self, window: Duration) {
        while self
            .by_age
            .front()
            .is_some_and(|(since, _)| since.elapsed() >= window)
        {
            if let Some((_, id)) = self.by_age.pop_front() {
                self.sequences.remove(&id);
            }
        }
    }
}
