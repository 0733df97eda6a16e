//! How old the oldest event is that a Subscription has not settled.

use std::{cmp::Reverse, collections::HashMap, time::SystemTime};

use tidegate_backbone::{ControlError, jetstream::Jetstream};
use tidegate_consume::shared::Behind;

/// Most questions of one look: a fifth of a second on a loaded nats-server. Whoever is not asked
/// for now is so in one of the next looks, and until then as old as it was.
const QUESTIONS_MAX: usize = 1_000;

/// Most filters that are asked for one by one. With more, the oldest event that is stored there
/// stands for the oldest that is wanted: it is no younger.
const FILTERS_MAX: usize = 16;

/// What is known, by consumer.
#[derive(Debug, Default)]
pub(super) struct Oldest {
    known: HashMap<String, Known>,
    looks: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// From which place on the event was looked for.
    from: u64,
    /// None where it was gone.
    stored_at: Option<SystemTime>,
    /// In which look.
    looked: u64,
}

impl Oldest {
    /// When the oldest event of a consumer was stored.
    pub(super) fn of(&self, consumer: &str) -> Option<SystemTime> {
        self.known.get(consumer)?.stored_at
    }

    /// Asks for those that have got on since the last look: who stands still costs nothing.
    pub(super) async fn look<'a>(
        &mut self,
        log: &Jetstream,
        all: impl Iterator<Item = &'a Behind>,
    ) -> Result<(), ControlError> {
        let behind: HashMap<&str, &Behind> = all
            .filter(|one| one.undelivered + one.unsettled > 0)
            .map(|one| (one.consumer.as_str(), one))
            .collect();
        self.known
            .retain(|consumer, _| behind.contains_key(consumer.as_str()));
        self.looks += 1;
        let mut answers: HashMap<(&[String], u64), Option<SystemTime>> = HashMap::new();
        let mut questions = 0;
        for one in self.due(behind.into_values()) {
            let filters = asked(&one.filters);
            let from = one.settled_to + 1;
            let stored_at = match answers.get(&(filters, from)) {
                Some(stored_at) => *stored_at,
                None if questions + filters.len().max(1) > QUESTIONS_MAX => continue,
                None => {
                    questions += filters.len().max(1);
                    let stored_at = log.stored_at(filters, from).await?;
                    answers.insert((filters, from), stored_at);
                    stored_at
                }
            };
            let known = Known {
                from,
                stored_at,
                looked: self.looks,
            };
            self.known.insert(one.consumer.clone(), known);
        }
        Ok(())
    }

    /// Those of which it is not known, whoever waits longest first.
    fn due<'a>(&self, behind: impl Iterator<Item = &'a Behind>) -> Vec<&'a Behind> {
        let known = |one: &Behind| self.known.get(&one.consumer);
        let mut due: Vec<&Behind> = behind
            .filter(|one| known(one).is_none_or(|known| known.from != one.settled_to + 1))
            .collect();
        due.sort_by_key(|one| {
            let looked = known(one).map_or(0, |known| known.looked);
            Reverse(self.looks - looked)
        });
        due
    }
}

/// What is asked for; nothing is everything.
fn asked(filters: &[String]) -> &[String] {
    if filters.len() > FILTERS_MAX {
        &[]
    } else {
        filters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(consumer: &str, settled_to: u64) -> Behind {
        Behind {
            consumer: consumer.to_owned(),
            undelivered: 1,
            unsettled: 0,
            settled_to,
            filters: Vec::new(),
        }
    }

    fn known(from: u64, looked: u64) -> Known {
        Known {
            from,
            stored_at: None,
            looked,
        }
    }

    /// Who stands still is not asked for again, and who waits longest is asked for first: with more
    /// of them than one look may ask for, each has its turn.
    #[test]
    fn who_waits_longest_is_asked_for_first() {
        let oldest = Oldest {
            known: [("still", 11, 1), ("late", 5, 2), ("later", 5, 3)]
                .map(|(name, from, looked)| (name.to_owned(), known(from, looked)))
                .into(),
            looks: 4,
        };
        let all = [
            behind("later", 10),
            behind("still", 10),
            behind("late", 10),
            behind("new", 10),
        ];
        let due = oldest.due(all.iter());
        let names: Vec<&str> = due.iter().map(|one| one.consumer.as_str()).collect();
        assert_eq!(names, ["new", "late", "later"]);
    }
}
