//! What came of a look at a resource, as its status has it.

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;
use serde_json::Value;
use tidegate_snapshot::{Standing, State};
use tidegate_subscription::Subscription;

use super::Seen;
use crate::{
    Condition, KymaStatus,
    fleet::Progress,
    judge::Verdict,
    kinds::Kind,
    status::{self, ApplicationStatus, DeliveryStatus, SubscriptionStatus},
};

/// What is true now.
pub(super) struct Outcome {
    ready: Condition,
    /// Whether its document is right, of a Subscription also whether its sink is known.
    mistakes: Vec<String>,
    no_sink: Option<String>,
    subscription: Option<Box<Subscription>>,
    standing: Option<Box<Standing>>,
}

/// What of a status is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Only what was delivered.
    Delivery,
    /// More than that.
    All,
}

impl Outcome {
    /// Of a document that is wrong.
    pub(super) fn invalid(_seen: &Seen<'_>, mistakes: Vec<String>, reason: &str) -> Self {
        Self {
            ready: Condition::new("Ready", Some(false), reason, mistakes.join("; ")),
            mistakes,
            no_sink: None,
            subscription: None,
            standing: None,
        }
    }

    pub(super) fn of(seen: &Seen<'_>, verdict: Verdict, progress: Option<&Progress>) -> Self {
        match verdict {
            Verdict::Invalid(mistakes) => Self::invalid(seen, mistakes, "Invalid"),
            Verdict::NoSink(why) => Self {
                ready: Condition::new("Ready", Some(false), "SinkNotFound", why.clone()),
                mistakes: Vec::new(),
                no_sink: Some(why),
                subscription: None,
                standing: None,
            },
            Verdict::Runs { subscription, .. } => {
                let at_gateways = matches!(seen.kind, Kind::Application | Kind::KafkaSource);
                let standing = match progress {
                    Some(Progress::Stands(standing)) => Some(standing.clone()),
                    Some(Progress::Unknown | Progress::Nobody | Progress::Behind(..)) | None => {
                        None
                    }
                };
                Self {
                    ready: ready(progress, at_gateways),
                    mistakes: Vec::new(),
                    no_sink: None,
                    subscription,
                    standing,
                }
            }
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        let is_paused = self.ready.reason == "Paused";
        self.ready.is_true() || is_paused
    }

    /// Whether there is nothing to do but to wait.
    pub(super) fn is_on_its_way(&self) -> bool {
        matches!(
            &*self.ready.reason,
            "Opening" | "NoDispatcher" | "NoGateway"
        )
    }

    /// The status of the resource's kind.
    pub(super) fn status(&self, seen: &Seen<'_>, now: &str) -> Value {
        match seen.kind {
            Kind::KymaSubscription => value(&self.of_kyma(seen, now)),
            Kind::Subscription => value(&self.of_subscription(seen, now)),
            Kind::Application | Kind::KafkaSource => {
                let before: ApplicationStatus = status::before(&seen.object.data);
                let mut conditions = vec![self.ready.clone()];
                self.dress(seen, &mut conditions, &before.conditions, now);
                value(&ApplicationStatus {
                    observed_generation: seen.object.metadata.generation,
                    conditions,
                })
            }
        }
    }

    fn of_kyma(&self, seen: &Seen<'_>, now: &str) -> KymaStatus {
        let before: KymaStatus = status::before(&seen.object.data);
        let mut status = match (&self.subscription, &self.no_sink) {
            (Some(subscription), _) => {
                let status = KymaStatus::of(subscription, self.ready.is_true()).unwrap_or_default();
                match self.ready.is_true() {
                    true => status,
                    false => status.because(&self.ready.message),
                }
            }
            (None, Some(why)) => KymaStatus::invalid(std::slice::from_ref(why)),
            (None, None) => KymaStatus::invalid(&self.mistakes),
        };
        status::since(&mut status.conditions, &before.conditions, now);
        status
    }

    fn of_subscription(&self, seen: &Seen<'_>, now: &str) -> SubscriptionStatus {
        let before: SubscriptionStatus = status::before(&seen.object.data);
        let mut conditions = vec![self.ready.clone(), self.sink_resolved()];
        if let Some(standing) = &self.standing {
            conditions.extend([sink_available(standing), letters(standing)]);
        }
        self.dress(seen, &mut conditions, &before.conditions, now);
        let delivery = self.standing.as_deref();
        SubscriptionStatus {
            observed_generation: seen.object.metadata.generation,
            conditions,
            sink: self.subscription.as_ref().map(|one| one.sink.to_string()),
            consumer: self.subscription.as_ref().map(|one| one.consumer_name()),
            delivery: delivery.map(|standing| delivered(standing, before.delivery)),
        }
    }

    fn sink_resolved(&self) -> Condition {
        let (is_true, reason, message) = match (&self.no_sink, &self.subscription) {
            (Some(why), _) => (Some(false), "SinkNotFound", why.clone()),
            (None, Some(subscription)) => {
                let message = format!("events go to {}", subscription.sink);
                (Some(true), "Resolved", message)
            }
            (None, None) => {
                let message = "the document has mistakes".to_owned();
                (None, "Invalid", message)
            }
        };
        Condition::new("SinkResolved", is_true, reason, message)
    }

    fn dress(
        &self,
        seen: &Seen<'_>,
        conditions: &mut [Condition],
        before: &[Condition],
        now: &str,
    ) {
        for condition in conditions.iter_mut() {
            condition.observed_generation = seen.object.metadata.generation;
        }
        status::since(conditions, before, now);
    }

    /// What an Event is about, if it has become ready, or is no more, or is told why not.
    pub(super) fn transition(&self, seen: &Seen<'_>) -> Option<(bool, &'static str, String)> {
        let conditions = seen.object.data.pointer("/status/conditions");
        let conditions: Vec<Condition> = conditions
            .and_then(|conditions| serde_json::from_value(conditions.clone()).ok())
            .unwrap_or_default();
        let is_kyma = seen.kind == Kind::KymaSubscription;
        let main = if is_kyma {
            "Subscription active"
        } else {
            "Ready"
        };
        let before = conditions.iter().find(|one| one.r#type == main);
        let was_ready = before.is_some_and(Condition::is_true);
        let is_ready = self.ready.is_true();
        let is_waiting = matches!(
            &*self.ready.reason,
            "Opening" | "NoDispatcher" | "NoGateway"
        );
        let told = before.map(|one| one.message.as_str()).unwrap_or_default();
        let is_told = !is_kyma && told == self.ready.message;
        let is_told = is_told || conditions.iter().any(|one| self.says(&one.message));
        let name = seen.object.name_any();
        match (was_ready, is_ready) {
            (false, true) => {
                let reason = if is_kyma { "Update" } else { "Ready" };
                Some((
                    true,
                    reason,
                    format!("{name} gets what is stored from now on"),
                ))
            }
            (true, true) => None,
            // It is on its way: that is not worth an Event.
            (false, false) if is_waiting || is_told => None,
            (_, false) => {
                let reason = if is_kyma { "UpdateFailed" } else { "NotReady" };
                Some((false, reason, self.ready.message.clone()))
            }
        }
    }

    fn says(&self, message: &str) -> bool {
        !self.ready.message.is_empty() && message.contains(&*self.ready.message)
    }
}

fn ready(progress: Option<&Progress>, at_gateways: bool) -> Condition {
    let (is_true, reason, message) = match progress {
        None | Some(Progress::Unknown) => {
            let message = "it is not known yet which processes are there".to_owned();
            (None, "Opening", message)
        }
        Some(Progress::Nobody) if at_gateways => {
            let message = "no gateway is running; it counts as soon as one is";
            (Some(false), "NoGateway", message.to_owned())
        }
        Some(Progress::Nobody) => {
            let message = "no dispatcher is running; nothing is kept for it until one is";
            (Some(false), "NoDispatcher", message.to_owned())
        }
        Some(Progress::Behind(behind, of)) => {
            let message = format!("{behind} of {of} processes have not taken it over yet");
            (Some(false), "Opening", message)
        }
        Some(Progress::Stands(standing)) => match (&standing.state, &standing.paused) {
            (State::Unusable(why), _) => (Some(false), "Unusable", why.clone()),
            (State::Opening, _) => {
                let message = "its consumer is not there yet; the dispatcher's log says why";
                (Some(false), "Opening", message.to_owned())
            }
            (State::Open, Some(paused)) => {
                let message =
                    format!("nothing is delivered, and what it wants is kept for it: {paused}");
                (Some(false), "Paused", message)
            }
            (State::Open, None) if at_gateways => {
                (Some(true), "Known", "its events are taken".to_owned())
            }
            (State::Open, None) => (Some(true), "Open", "it gets what is stored".to_owned()),
        },
    };
    Condition::new("Ready", is_true, reason, message)
}

fn sink_available(standing: &Standing) -> Condition {
    match &standing.sink {
        None => Condition::new("SinkAvailable", Some(true), "Open", "it takes attempts"),
        Some((reason, message)) => {
            Condition::new("SinkAvailable", Some(false), reason, message.clone())
        }
    }
}

fn letters(standing: &Standing) -> Condition {
    if standing.refuses_dead_letters {
        let message =
            "its last dead letter could not be stored; the event stays and is tried again";
        return Condition::new("DeadLettersStored", Some(false), "Refused", message);
    }
    let message = "what cannot be delivered is kept";
    Condition::new("DeadLettersStored", Some(true), "Stored", message)
}

/// What was known before a process began anew is not forgotten.
fn delivered(standing: &Standing, before: Option<DeliveryStatus>) -> DeliveryStatus {
    let before = before.unwrap_or_default();
    let time = |millis: u64| {
        let time = Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok()?;
        let time = time.round(k8s_openapi::jiff::Unit::Second).unwrap_or(time);
        Some(time.to_string())
    };
    let failure = standing.failure.as_ref();
    let failed = failure.and_then(|failure| time(failure.at));
    let breaker = standing.sink.as_ref().map(|(reason, _)| reason.clone());
    DeliveryStatus {
        lag: standing.lag,
        dead_letters: standing.dead_letters,
        last_delivered: standing
            .delivered_at
            .and_then(time)
            .max(before.last_delivered),
        last_failure: match failure {
            Some(failure) if failed >= before.last_failed => Some(failure.message.clone()),
            _ => before.last_failure,
        },
        last_failed: failed.max(before.last_failed),
        breaker: Some(breaker.unwrap_or_else(|| "Open".to_owned())),
    }
}

/// What of a status is to be written, if anything.
pub(super) fn change(before: Option<&Value>, now: &Value) -> Option<Change> {
    const DELIVERY: &str = "delivery";
    let Some(Value::Object(before)) = before else {
        return Some(Change::All);
    };
    let Value::Object(now) = now else {
        return None;
    };
    let mut fields: Vec<&String> = now.keys().collect();
    // What Tidegate had written, and has not now.
    for field in [DELIVERY, "sink", "consumer"] {
        fields.extend(before.keys().filter(|known| *known == field));
    }
    let changed = fields
        .into_iter()
        .filter(|field| before.get(*field) != now.get(*field));
    changed
        .map(|field| match field.as_str() {
            DELIVERY => Change::Delivery,
            _ => Change::All,
        })
        .max_by_key(|change| *change == Change::All)
}

fn value(status: &impl Serialize) -> Value {
    serde_json::to_value(status).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A round that finds nothing new writes nothing; what was delivered is written now and then.
    #[test]
    fn only_what_has_changed_is_written() {
        let status = json!({ "conditions": [1], "delivery": { "lag": 1 } });
        assert_eq!(change(None, &status), Some(Change::All));
        assert_eq!(change(Some(&status), &status), None);
        let lag = json!({ "conditions": [1], "delivery": { "lag": 2 } });
        assert_eq!(change(Some(&status), &lag), Some(Change::Delivery));
        let more = json!({ "conditions": [2], "delivery": { "lag": 2 } });
        assert_eq!(change(Some(&status), &more), Some(Change::All));
        // Another controller's own fields are none of ours.
        let others = json!({ "conditions": [1], "delivery": { "lag": 1 }, "ev2hash": 1 });
        assert_eq!(change(Some(&others), &status), None);
    }
}
