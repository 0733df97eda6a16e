//! The status that Kyma's own kind has, in Kyma's words, for what reads it.

use schemars::JsonSchema;
use serde::Serialize;
use tidegate_subscription::{Matching, Subscription};

use super::Condition;

/// `status` of `eventing.kyma-project.io/v1alpha2`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KymaStatus")]
pub(super) struct Status {
    ready: bool,
    types: Vec<CleanType>,
    conditions: Vec<Condition>,
    backend: Backend,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CleanType {
    original_type: String,
    clean_type: String,
}

#[derive(Serialize, JsonSchema)]
struct Backend {
    types: Vec<ConsumerOfType>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ConsumerOfType {
    original_type: String,
    consumer_name: String,
}

impl Status {
    /// That of a Subscription of Kyma's kind: `mistakes` are those of a newer form of its document.
    pub(super) fn of(
        subscription: &Subscription,
        is_open: bool,
        mistakes: &[String],
    ) -> Option<Self> {
        let types = match &subscription.matching {
            Matching::Standard { types, .. } | Matching::Exact { types } => types,
            Matching::Filters(_) => return None,
        };
        // A wrong form clears what Kyma knew; the delivery of the one before goes on there as here.
        let is_valid = mistakes.is_empty();
        let types = if is_valid { types.as_slice() } else { &[] };
        Some(Self {
            ready: is_valid && is_open,
            types: types
                .iter()
                .map(|one| CleanType {
                    original_type: one.clone(),
                    // Nothing is renamed here.
                    clean_type: one.clone(),
                })
                .collect(),
            conditions: conditions(is_open, mistakes),
            backend: Backend {
                types: types
                    .iter()
                    .map(|one| ConsumerOfType {
                        original_type: one.clone(),
                        consumer_name: subscription.consumer_name(),
                    })
                    .collect(),
            },
        })
    }
}

fn conditions(is_open: bool, mistakes: &[String]) -> Vec<Condition> {
    let condition =
        |r#type, is_true: bool, reasons: [&'static str; 2], message: String| Condition {
            r#type,
            status: if is_true { "True" } else { "False" },
            reason: if is_true { reasons[0] } else { reasons[1] },
            message,
            last_transition_time: None,
        };
    let message = match mistakes {
        [] => String::new(),
        [one] => format!("Subscription validation failed: {one}"),
        several => format!("Subscription validation failed: [{}]", several.join(", ")),
    };
    let valid = condition(
        "Subscription spec valid",
        mistakes.is_empty(),
        [
            "Subscription spec has no validation errors",
            "Subscription spec has validation errors",
        ],
        message,
    );
    if !mistakes.is_empty() {
        return vec![valid];
    }
    let active = condition(
        "Subscription active",
        is_open,
        ["NATS Subscription active", "NATS Subscription not active"],
        String::new(),
    );
    vec![active, valid]
}
