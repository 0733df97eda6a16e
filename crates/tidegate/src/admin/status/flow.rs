//! What flows through this process, by what it counts anyway.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::admin::Scrape;

/// Events a second, of the process that answers.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Flow {
    /// Seconds that were watched.
    seconds: f64,
    /// Stored.
    stored: f64,
    /// Refused, by code.
    pub(super) refused: BTreeMap<String, f64>,
    /// Taken by sinks, once for each Subscription.
    delivered: f64,
    /// To be tried again.
    retried: f64,
    /// Given up.
    dead_letters: f64,
}

/// What was counted up to a moment.
pub(super) struct Counts {
    at: Instant,
    stored: f64,
    refused: BTreeMap<String, f64>,
    delivered: f64,
    retried: f64,
    dead_letters: f64,
}

impl Counts {
    pub(super) fn of(scrape: &Scrape) -> Self {
        Self::read(&scrape())
    }

    fn read(text: &str) -> Self {
        let sum = |name: &str| samples(text, name).map(|(_, value)| value).sum();
        let mut refused = BTreeMap::new();
        for (labels, value) in samples(text, "tidegate_publish_events_refused_total") {
            let code = labels.split('"').nth(1).unwrap_or_default();
            *refused.entry(code.to_owned()).or_insert(0.0) += value;
        }
        Self {
            at: Instant::now(),
            stored: sum("tidegate_publish_events_stored_total"),
            refused,
            delivered: sum("tidegate_consume_events_delivered_total"),
            retried: sum("tidegate_consume_retries_total"),
            dead_letters: sum("tidegate_consume_dead_letters_total"),
        }
    }

    /// What has come to it after this time.
    pub(super) async fn flow(self, scrape: &Scrape, watched: Duration) -> Flow {
        sleep(watched).await;
        self.until(&Self::of(scrape))
    }

    fn until(&self, later: &Self) -> Flow {
        let seconds = later.at.duration_since(self.at).as_secs_f64().max(0.001);
        let rate = |before: f64, after: f64| (after - before).max(0.0) / seconds;
        let refused = later.refused.iter().map(|(code, after)| {
            let before = self.refused.get(code).copied().unwrap_or(0.0);
            (code.clone(), rate(before, *after))
        });
        Flow {
            seconds,
            stored: rate(self.stored, later.stored),
            refused: refused.filter(|(_, rate)| *rate > 0.0).collect(),
            delivered: rate(self.delivered, later.delivered),
            retried: rate(self.retried, later.retried),
            dead_letters: rate(self.dead_letters, later.dead_letters),
        }
    }
}

/// The labels and values of a counter.
fn samples<'a>(text: &'a str, name: &str) -> impl Iterator<Item = (&'a str, f64)> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) {
            return None;
        }
        let (labels, value) = rest.rsplit_once(' ')?;
        Some((labels, value.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rates are of what came meanwhile, over all labels, and of no other metric that begins alike.
    #[tokio::test(start_paused = true)]
    async fn rates_are_of_what_came_meanwhile() {
        let counted = |stored: u32, full: u32| {
            Counts::read(&format!(
                "# HELP tidegate_publish_events_stored Events\n\
                 tidegate_publish_events_stored_total {stored}\n\
                 tidegate_publish_events_stored_total_of_others 1000\n\
                 tidegate_publish_events_refused_total{{code=\"publish/busy\"}} 7\n\
                 tidegate_publish_events_refused_total{{code=\"publish/storage-full\"}} {full}\n\
                 tidegate_consume_events_delivered_total{{subscription=\"a/b\"}} {stored}\n\
                 tidegate_consume_events_delivered_total{{subscription=\"a/c\"}} {stored}\n"
            ))
        };
        let before = counted(10, 0);
        tokio::time::advance(Duration::from_secs(2)).await;
        let flow = before.until(&counted(30, 4));
        let expected = [("publish/storage-full".to_owned(), 2.0)];
        assert_eq!(flow.refused, BTreeMap::from(expected));
        assert!((flow.stored - 10.0).abs() < 0.01, "{flow:?}");
        assert!((flow.delivered - 20.0).abs() < 0.01, "{flow:?}");
        assert!(flow.retried.abs() < 0.01, "{flow:?}");
    }
}
