//! Replies: an event that a sink answers with is stored before the one it answers is settled.

use tidegate_backbone::Log;
use tidegate_consume::{Failure, Health, Verdict};
use tidegate_event::{Event, Name, Value};
use tidegate_publish::{Error, Publisher};
use tidegate_subscription::{Reply, Subscription};

/// Counts how many replies led to an event.
const HOPS: &str = "tidegatehops";

/// A reply to a reply to … so many times is a loop.
const HOPS_MAX: i32 = 16;

/// The beginning of the names that only a gateway gives.
const INGRESS: &str = "ingress";

/// What a reply takes over from what it answers, where it says nothing itself.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

/// Publishes one Subscription's replies.
#[derive(Clone, Debug)]
pub(super) struct Replies<L> {
    publisher: Publisher<L>,
    rules: Reply,
    subscription: String,
}

impl<L: Log> Replies<L> {
    /// None, where the Subscription wants none.
    pub(super) fn of(subscription: &Subscription, publisher: &Publisher<L>) -> Option<Self> {
        let rules = subscription.delivery.reply.as_ref()?;
        Some(Self {
            publisher: publisher.clone(),
            rules: rules.clone(),
            subscription: subscription.id(),
        })
    }

    /// What has become of an event whose sink answered with another.
    pub(super) async fn publish(&self, original: &Event, reply: Event) -> Verdict {
        let reply = match self.judged(original, reply) {
            Ok(reply) => reply,
            Err(failure) => return Verdict::Rejected { failure },
        };
        // No Application is called so: a name has no slash.
        match self.publisher.publish(&self.subscription, reply).await {
            Ok(_stored) => Verdict::DELIVERED,
            Err(error) => {
                let failure = Failure::new(error.code(), format!("its reply: {error}"));
                match error {
                    Error::SubjectTooLong(_) | Error::TooLarge { .. } => {
                        Verdict::Rejected { failure }
                    }
                    Error::Busy { .. }
                    | Error::StorageFull { .. }
                    | Error::Unreachable { .. }
                    | Error::Refused(_) => Verdict::Retry {
                        failure,
                        after: None,
                        health: Health::Well,
                    },
                }
            }
        }
    }

    /// The reply as it is published, if it may be.
    fn judged(&self, original: &Event, mut reply: Event) -> Result<Event, Failure> {
        if !self.rules.may_be_from(&reply.source) {
            let source = &reply.source;
            let detail =
                format!("its reply is from {source:?}, which spec.reply.sources does not name");
            return Err(Failure::new("reply/source-not-allowed", detail));
        }
        let hops = match original.extensions.get(HOPS) {
            Some(Value::Integer(hops)) => *hops,
            Some(other) => other.to_text().parse().unwrap_or(0),
            None => 0,
        };
        if hops >= HOPS_MAX {
            let detail = format!("{HOPS_MAX} replies led to this event; its own is not published");
            return Err(Failure::new("reply/too-many-hops", detail));
        }
        // A sink is no gateway, and no replay.
        let names = reply.extensions.iter().map(|(name, _)| name.as_str());
        let names = names.filter(|name| name.starts_with(INGRESS));
        let said: Vec<String> = names.map(str::to_owned).collect();
        for name in said {
            reply.extensions.remove(&name);
        }
        if reply.extensions.get(TRACE[0]).is_none() {
            for name in TRACE {
                if let Some(value) = original.extensions.get(name) {
                    let value = value.clone();
                    reply.extensions.insert(Name::from_static(name), value);
                }
            }
        }
        let hops = Value::Integer(hops.max(0) + 1);
        reply.extensions.insert(Name::from_static(HOPS), hops);
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;
    use tidegate_backbone::memory::{Limits, Memory};
    use tidegate_publish::{Admission, Config, Metrics};

    use super::*;

    fn replies(log: Memory) -> Replies<Memory> {
        let config = Config::default();
        let admission = Admission::new(&config);
        let metrics = Metrics::register(&mut Registry::default());
        Replies {
            publisher: Publisher::new(&config, log, "tidegate.events", admission, metrics),
            rules: Reply {
                sources: vec!["/billing/*".to_owned(), "/audit".to_owned()],
            },
            subscription: "default/s".to_owned(),
        }
    }

    fn reply(source: &str) -> Event {
        Event::new("r", source, "t")
    }

    /// Knative's data plane: where the reply is not accepted, the event comes again.
    #[tokio::test]
    async fn an_event_is_not_settled_before_its_reply_is_stored() {
        let original = Event::new("1", "/s", "t");
        let full = Memory::new(Limits {
            events_max: 0,
            ..Limits::default()
        });
        let verdict = replies(full).publish(&original, reply("/audit")).await;
        let Verdict::Retry { failure, .. } = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(failure.code, "publish/storage-full");
        let tiny = Memory::new(Limits {
            event_bytes_max: 1,
            ..Limits::default()
        });
        let verdict = replies(tiny).publish(&original, reply("/audit")).await;
        let Verdict::Rejected { failure } = verdict else {
            panic!("it will never fit: {verdict:?}");
        };
        assert_eq!(failure.code, "publish/too-large");
    }

    /// A sink may speak for itself alone, and not in a gateway's name; a loop ends.
    #[tokio::test]
    async fn a_reply_is_judged() {
        let log = Memory::default();
        let replies = replies(log.clone());
        let mut original = Event::new("1", "/s", "t");
        let mut set = |name, value: Value| {
            original.extensions.insert(Name::from_static(name), value);
        };
        set("traceparent", "00-1-2-01".into());
        set(HOPS, Value::Integer(HOPS_MAX - 1));
        for source in ["/billing/eu", "/audit"] {
            let mut reply = reply(source);
            let name = Name::from_static("ingressapp");
            reply.extensions.insert(name, "commerce".into());
            assert_eq!(replies.publish(&original, reply).await, Verdict::DELIVERED);
        }
        for kept in log.events() {
            let extensions = kept.event.unwrap().extensions;
            let text = |name| extensions.get(name).map(Value::to_text);
            assert_eq!(text("traceparent").unwrap(), "00-1-2-01");
            assert_eq!(text(HOPS).unwrap(), "16");
            assert_eq!(text("ingressapp"), None);
        }
        let code = async |original: &Event, source: &str| {
            let verdict = replies.publish(original, reply(source)).await;
            let Verdict::Rejected { failure } = verdict else {
                panic!("{verdict:?}");
            };
            failure.code
        };
        for source in ["/billing", "/audit/", "/s", ""] {
            assert_eq!(code(&original, source).await, "reply/source-not-allowed");
        }
        let hops = Value::Integer(HOPS_MAX);
        original.extensions.insert(Name::from_static(HOPS), hops);
        assert_eq!(code(&original, "/audit").await, "reply/too-many-hops");
        assert_eq!(log.events().len(), 2);
    }
}
