//! Which events are wanted: by what was wanted when each was stored.

use tidegate_backbone::{Log, Source as _};
use tidegate_event::Event;
use tidegate_subscription::{Matched, Matching};

use super::Running;
use crate::Attempt;

impl<L: Log, A: Attempt> Running<L, A> {
    /// What was wanted before still counts for the events of its time.
    pub(super) fn remember(&mut self, source: &L::Source) {
        let former = source.former().into_iter();
        let read = former.map(|one| {
            let wishes = one.wants.iter().map(|wants| self.understood(wants));
            (one.until, wishes.collect())
        });
        self.former = read.collect();
    }

    fn understood(&self, wants: &str) -> Matching {
        serde_json::from_str(wants).unwrap_or_else(|error| {
            // Written by a version that this one does not know.
            tracing::warn!(%error, "what was wanted before is not understood");
            self.service.subscription.matching.clone()
        })
    }

    pub(super) async fn narrow(&mut self) {
        if self.former.is_empty() {
            return;
        }
        match self.service.log.narrow(&self.service.spec).await {
            Ok(true) => self.former.clear(),
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "the consumer is not narrowed yet"),
        }
    }

    /// By what was wanted when it was stored.
    pub(super) fn matches(&self, sequence: u64, event: &Event) -> Option<Matched> {
        if let Some((replay, _)) = self.service.replay.as_deref()
            && !replay.wants(event)
        {
            return None;
        }
        let mut former = self.former.iter();
        match former.find(|(until, _)| sequence <= *until) {
            Some((_, wishes)) => wishes.iter().find_map(|wish| wish.matches(event)),
            None => self.service.subscription.matches(event),
        }
    }
}
