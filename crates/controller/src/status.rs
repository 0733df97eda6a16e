//! The status of Tidegate's own kinds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a Subscription stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SubscriptionStatus {
    /// The generation of the resource that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed_generation: Option<i64>,
    /// What holds: Ready, SinkResolved, SinkAvailable, DeadLettersStored.
    pub(crate) conditions: Vec<Condition>,
    /// The address that events go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sink: Option<String>,
    /// The name of its consumer in JetStream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) consumer: Option<String>,
    /// What was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delivery: Option<DeliveryStatus>,
}

/// What was delivered. It is told now and then, and not with every event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeliveryStatus {
    /// Events that wait or are under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lag: Option<u64>,
    /// Dead letters that wait to be sent again or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letters: Option<u64>,
    /// When an event was last delivered, to a few seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_delivered: Option<String>,
    /// When an attempt last failed, to a few seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_failed: Option<String>,
    /// How it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_failure: Option<String>,
    /// Whether its sink takes attempts: Open, RetryAfter, Failing, Gone, NotPermitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) breaker: Option<String>,
}

/// How an Application stands, or a KafkaSource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ApplicationStatus {
    /// The generation of the resource that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed_generation: Option<i64>,
    /// What holds: Ready.
    pub(crate) conditions: Vec<Condition>,
}

/// Something that holds or does not, as Kubernetes has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is meant.
    pub r#type: String,
    /// Whether it holds: `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word for programs; Kyma's kind has Kyma's words.
    #[serde(default)]
    pub reason: String,
    /// Why, for people.
    #[serde(default)]
    pub message: String,
    /// Since when it has this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
    /// The generation of the resource that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl Condition {
    /// One that has just become so, as far as is known.
    pub fn new(
        r#type: &str,
        is_true: Option<bool>,
        reason: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            r#type: r#type.to_owned(),
            status: match is_true {
                Some(true) => "True",
                Some(false) => "False",
                None => "Unknown",
            }
            .to_owned(),
            reason: reason.to_owned(),
            message: message.into(),
            last_transition_time: None,
            observed_generation: None,
        }
    }

    /// Whether it holds.
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// Conditions that had their status before have had it since then; the others since now.
pub(crate) fn since(conditions: &mut [Condition], before: &[Condition], now: &str) {
    for condition in conditions {
        let known = before.iter().find(|known| known.r#type == condition.r#type);
        let known = known.filter(|known| known.status == condition.status);
        let since = known.and_then(|known| known.last_transition_time.clone());
        condition.last_transition_time = since.or_else(|| Some(now.to_owned()));
    }
}

/// What is there of a status; nothing of one that is not understood, which is written anew.
pub(crate) fn before<T: Default + for<'a> Deserialize<'a>>(data: &Value) -> T {
    let status = data.get("status").cloned();
    status
        .and_then(|status| serde_json::from_value(status).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever waits for a transition must not see one at every round.
    #[test]
    fn a_condition_keeps_its_time_as_long_as_its_status() {
        let mut before = vec![
            Condition::new("Ready", Some(true), "Open", ""),
            Condition::new("Sink", Some(true), "Open", ""),
        ];
        since(&mut before, &[], "1");
        let mut now = vec![
            Condition::new("Ready", Some(true), "Else", "other words"),
            Condition::new("Sink", Some(false), "Gone", ""),
        ];
        since(&mut now, &before, "2");
        let times: Vec<_> = now
            .iter()
            .map(|one| one.last_transition_time.as_deref())
            .collect();
        assert_eq!(times, [Some("1"), Some("2")]);
    }
}
