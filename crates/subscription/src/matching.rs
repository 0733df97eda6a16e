//! Which events a Subscription wants.

use serde::{Deserialize, Serialize};
use tidegate_event::Event;

use crate::{
    Decision, Filter, Subscription, filter,
    interest::{self, Interest},
    kyma,
};

/// Which events a Subscription wants. As JSON it is kept with the Subscription's consumer, so its
/// form stays readable from one version to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Matching {
    /// Events of this source with one of these types.
    Standard {
        /// Equal to the event's source.
        source: String,
        /// One equal to the event's type.
        types: Vec<String>,
    },
    /// Events whose type is one of these, by itself or after Kyma's cleaning; any source.
    Exact {
        /// The types, as the sink sees them.
        types: Vec<String>,
    },
    /// Events that all of these let pass.
    Filters(Vec<Filter>),
}

/// An event is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// The type that the sink sees, when it is not the event's own.
    pub r#type: Option<String>,
}

impl Subscription {
    /// What the log can filter by: at least what it wants, and no two parts of it overlap.
    pub fn interests(&self) -> Vec<Interest<'_>> {
        interest::of(&self.matching)
    }

    /// Whether it wants the event, and how the sink sees it.
    pub fn matches(&self, event: &Event) -> Option<Matched> {
        self.matching.matches(event)
    }

    /// Whether it wants the event, and which part of it says so.
    pub fn decide(&self, event: &Event) -> Decision {
        let said = |passes: bool, path: &str, part: String| Decision {
            passes,
            path: path.to_owned(),
            part,
        };
        match &self.matching {
            Matching::Filters(filters) => filter::decide(filters, event),
            Matching::Standard { source, .. } if *source != *event.source => {
                let part = format!("source is {:?}, not {source:?}", &*event.source);
                said(false, "spec.source", part)
            }
            Matching::Standard { types, .. } | Matching::Exact { types } => {
                let matched = self.matches(event);
                let seen = matched
                    .as_ref()
                    .and_then(|matched| matched.r#type.as_deref());
                let seen = seen.unwrap_or(&event.r#type);
                let part = match types.iter().position(|one| one == seen) {
                    Some(at) => format!("type {seen:?} is types[{at}]"),
                    None => format!("type {:?} is none of them", &*event.r#type),
                };
                said(matched.is_some(), "spec.types", part)
            }
        }
    }
}

impl Matching {
    /// Whether the event is wanted, and how the sink sees it.
    pub fn matches(&self, event: &Event) -> Option<Matched> {
        match self {
            Self::Standard { source, types } => {
                let wanted =
                    *source == *event.source && types.iter().any(|one| *one == *event.r#type);
                wanted.then(Matched::default)
            }
            Self::Exact { types } => exact(types, event, || names(event)),
            Self::Filters(filters) => {
                let passes = filters.iter().all(|filter| filter.passes(event));
                passes.then(Matched::default)
            }
        }
    }
}

/// As [`Matching::Exact`] has it; `names` are those of the event after Kyma's cleaning.
pub(crate) fn exact(
    types: &[String],
    event: &Event,
    names: impl FnOnce() -> Vec<String>,
) -> Option<Matched> {
    if types.iter().any(|one| *one == *event.r#type) {
        return Some(Matched::default());
    }
    let cleaned = names().into_iter().find(|name| types.contains(name))?;
    Some(Matched {
        r#type: Some(cleaned),
    })
}

/// What Kyma's cleaning may have made of an event's type.
pub(crate) fn names(event: &Event) -> Vec<String> {
    let cleaned = [
        kyma::cleaned_prefixed_type(&event.r#type),
        kyma::legacy_type(event),
        Some(kyma::source_and_type(&event.source, &event.r#type)),
    ];
    cleaned.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use tidegate_event::Name;

    use super::*;

    fn subscription(matching: Matching) -> Subscription {
        Subscription {
            namespace: "default".to_owned(),
            name: "s".to_owned(),
            sink: "http://h/".parse().unwrap(),
            matching,
            delivery: crate::Delivery::default(),
            start: crate::Start::New,
            pause: false,
        }
    }

    fn exact_on(r#type: &str) -> Subscription {
        subscription(Matching::Exact {
            types: vec![r#type.to_owned()],
        })
    }

    fn legacy(source: &'static str, r#type: &'static str, version: &str) -> Event {
        let mut event = Event::new("1", source, r#type);
        event
            .extensions
            .insert(Name::from_static("eventtypeversion"), version.into());
        event
    }

    /// Sources that differ only in what Kyma cleans away are different ones.
    #[test]
    fn standard_compares_source_and_type_to_the_byte() {
        let wants = subscription(Matching::Standard {
            source: "system>prod".to_owned(),
            types: vec!["order.created.v1".to_owned()],
        });
        let event = |source: &'static str, r#type: &'static str| Event::new("1", source, r#type);
        assert!(
            wants
                .matches(&event("system>prod", "order.created.v1"))
                .is_some()
        );
        assert!(
            wants
                .matches(&event("systemprod", "order.created.v1"))
                .is_none()
        );
        assert!(
            wants
                .matches(&event("system>prod", "order.created.v10"))
                .is_none()
        );
    }

    /// Manifests written for Kyma's cleaned types go on working, and the sink sees that type.
    #[test]
    fn exact_recognises_what_kyma_would_have_renamed() {
        let wanted = "sap.kyma.custom.testapp.order.created.v1";
        let subscription = exact_on(wanted);
        let prefixed = Event::new("1", "x", "sap.kyma.custom.test-app.order.created.v1");
        for event in [&prefixed, &legacy("test-app", "order.created.v1", "v1")] {
            let matched = subscription.matches(event).unwrap();
            assert_eq!(matched.r#type.as_deref(), Some(wanted));
        }
        assert_eq!(
            subscription.matches(&Event::new("1", "x", wanted)),
            Some(Matched::default())
        );
        assert_eq!(
            subscription.matches(&legacy("other", "order.created.v1", "v1")),
            None
        );
        assert_eq!(
            subscription.matches(&Event::new("1", "test-app", "order.created.v1")),
            None
        );
    }

    /// A hand-built `<source>.<type>` is a subject of Kyma's.
    #[test]
    fn exact_recognises_source_and_type_together() {
        let subscription = exact_on("commerce.order.created.v1");
        assert!(
            subscription
                .matches(&Event::new("1", "commerce", "order.created.v1"))
                .is_some()
        );
        assert!(
            subscription
                .matches(&Event::new("1", "com.merce", "order.created.v1"))
                .is_some()
        );
        assert!(
            subscription
                .matches(&Event::new("1", "c4c", "order.created.v1"))
                .is_none()
        );
    }

    /// A legacy type of several objects is joined as Kyma joins it.
    #[test]
    fn legacy_objects_are_joined() {
        let subscription = exact_on("sap.kyma.custom.app.toomanydotsobject.do.v1");
        assert!(
            subscription
                .matches(&legacy("a-pp", "too.many.dots.object.do.v1", "v1"))
                .is_some()
        );
    }
}
