//! `status` of `eventing.kyma-project.io/v1alpha2`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_subscription::{Matching, Subscription};

use super::message;
use crate::Condition;

/// Which events go to which Service.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "its shape is what is wanted of it")]
pub(crate) struct Spec {
    /// Not used.
    id: Option<String>,
    /// The address of a Service in the Subscription's namespace:
    /// `http://<service>.<namespace>.svc.cluster.local`, with a port and a path or without.
    sink: String,
    /// The source of the events; not looked at with the type matching `exact`.
    source: String,
    /// The types of the events.
    types: Vec<String>,
    /// `standard`: source and types as they are sent; `exact`: types with all that is before them.
    #[schemars(extend("default" = "standard"))]
    type_matching: Option<String>,
    /// Settings by name; `maxInFlightMessages` is how many events may be under way at once.
    #[schemars(
        with = "Option<std::collections::BTreeMap<String, String>>",
        extend("default" = { "maxInFlightMessages": "10" })
    )]
    config: Option<()>,
}

/// How a Subscription of Kyma's kind stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KymaStatus")]
#[serde(default)]
pub struct Status {
    /// Whether it gets events.
    #[schemars(required)]
    pub ready: bool,
    /// The types that it gets.
    #[schemars(required)]
    pub types: Vec<CleanType>,
    /// What holds.
    pub conditions: Vec<Condition>,
    /// What it is in JetStream.
    pub backend: Backend,
}

/// A type, and what it is called in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanType {
    /// As the Subscription has it.
    pub original_type: String,
    /// The same: nothing is renamed.
    pub clean_type: String,
}

/// What a Subscription is in JetStream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Backend {
    /// Each type's consumer.
    pub types: Vec<ConsumerOfType>,
}

/// A type's consumer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerOfType {
    /// The type.
    pub original_type: String,
    /// The consumer.
    #[serde(default)]
    pub consumer_name: String,
}

impl Status {
    /// That of a Subscription of Kyma's kind, whose document has no mistakes; `None` of another kind.
    pub fn of(subscription: &Subscription, is_open: bool) -> Option<Self> {
        let types = match &subscription.matching {
            Matching::Standard { types, .. } | Matching::Exact { types } => types,
            Matching::Filters(_) => return None,
        };
        let consumer = |one: &String| ConsumerOfType {
            original_type: one.clone(),
            consumer_name: subscription.consumer_name(),
        };
        let types_of = |one: &String| CleanType {
            original_type: one.clone(),
            clean_type: one.clone(),
        };
        Some(Self {
            ready: is_open,
            types: types.iter().map(types_of).collect(),
            conditions: vec![active(is_open, ""), valid(&[])],
            backend: Backend {
                types: types.iter().map(consumer).collect(),
            },
        })
    }

    /// That of a Subscription whose document has mistakes: all that was known is cleared, though
    /// what was delivered before goes on.
    pub fn invalid(mistakes: &[String]) -> Self {
        Self {
            conditions: vec![valid(mistakes)],
            ..Self::default()
        }
    }

    /// The same, of a valid one that is not ready, and why.
    pub(crate) fn because(mut self, why: &str) -> Self {
        self.ready = false;
        self.conditions = vec![active(false, why), valid(&[])];
        self
    }
}

fn active(is_open: bool, message: &str) -> Condition {
    let reason = if is_open {
        "NATS Subscription active"
    } else {
        "NATS Subscription not active"
    };
    Condition::new("Subscription active", Some(is_open), reason, message)
}

fn valid(mistakes: &[String]) -> Condition {
    let is_valid = mistakes.is_empty();
    let reason = if is_valid {
        "Subscription spec has no validation errors"
    } else {
        "Subscription spec has validation errors"
    };
    let message = message(mistakes);
    Condition::new("Subscription spec valid", Some(is_valid), reason, message)
}
