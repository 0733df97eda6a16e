//! Pauses by command, as the control task applies them.

use std::{collections::HashMap, sync::Arc};

use tidegate_subscription::Subscription;

use super::State;
use crate::pipeline::pauses::{Ask, Done, Pause, Paused, Pausing, Refused};

impl State {
    /// Whoever asked may have gone; that changes nothing.
    pub(super) async fn answer_of_pause(&mut self, ask: Ask) {
        match ask {
            Ask::Pause(pause, answer) => answer.send(self.pause(pause).await).is_ok(),
            Ask::Resume(id, answer) => answer.send(self.resume(id).await).is_ok(),
        };
    }

    async fn pause(&mut self, pause: Pause) -> Result<Done, Refused> {
        let id = pause.subscription.clone();
        let document = self.document(&id);
        let document = document.ok_or_else(|| Refused::NoSubscription(id.clone()))?;
        let consumer = document.consumer_name();
        let (is_new, pause) = self.pauses.pause(&consumer, pause).await?;
        if is_new {
            let (who, reason) = (pause.who.as_deref(), pause.reason.as_deref());
            tracing::info!(
                subscription = id,
                who,
                reason,
                "subscription paused by command"
            );
        }
        // Also one that another process was asked for.
        let opened = self.bring().await;
        Ok((self.pausing(id, is_new), opened))
    }

    async fn resume(&mut self, id: String) -> Result<Done, Refused> {
        let document = self.document(&id);
        if let Some(document) = document
            && document.pause
            && let (_, Some(paused)) = self.pauses.over(document)
        {
            let (subscription, paused) = (id, Box::new(paused));
            return Err(Refused::ByDocument {
                subscription,
                paused,
            });
        }
        let is_known = document.is_some();
        let taken = self.pauses.resume(&id).await?;
        if taken.is_none() && !is_known {
            return Err(Refused::NoSubscription(id));
        }
        if taken.is_some() {
            tracing::info!(subscription = id, "subscription resumed by command");
        }
        let opened = self.bring().await;
        Ok((self.pausing(id, taken.is_some()), opened))
    }

    fn pausing(&self, subscription: String, is_new: bool) -> Pausing {
        let document = self.document(&subscription);
        Pausing {
            paused: document.and_then(|document| self.pauses.over(document).1),
            subscription,
            is_new,
        }
    }

    fn document(&self, id: &str) -> Option<&Arc<Subscription>> {
        self.documents.iter().find(|document| document.id() == id)
    }

    /// What is to run, and what pauses some of it, by id.
    pub(super) fn wanted(&self) -> (HashMap<String, Arc<Subscription>>, HashMap<String, Paused>) {
        let mut paused = HashMap::new();
        let over = |document: &Arc<Subscription>| {
            let (subscription, pause) = self.pauses.over(document);
            let id = subscription.id();
            paused.extend(pause.map(|pause| (id.clone(), pause)));
            (id, subscription)
        };
        let wanted = self.documents.iter().map(over).collect();
        (wanted, paused)
    }

    /// Looks whether others were asked to pause or resume; whether they were.
    pub(super) async fn look_at_pauses(&mut self) -> bool {
        match self.pauses.look().await {
            Ok(are_new) => are_new,
            Err(error) => {
                tracing::debug!(%error, "whether there are other pauses is not known");
                false
            }
        }
    }

    /// A Subscription is gone for good, and so is its pause.
    pub(super) async fn forget_pause(&mut self, id: &str) -> Result<(), Refused> {
        if self.pauses.by_command(id).is_some() {
            self.pauses.resume(id).await?;
            tracing::info!(
                subscription = id,
                "pause of a removed subscription taken away"
            );
        }
        Ok(())
    }

    /// Names pauses without a Subscription. That may be one whose document comes back.
    pub(super) fn meet_pauses(&self) {
        for pause in self.pauses.without(|id| self.document(id).is_some()) {
            tracing::warn!(
                subscription = pause.subscription,
                since = pause.since,
                "a pause has no subscription; tidegate subscriptions resume takes it away"
            );
        }
    }
}
