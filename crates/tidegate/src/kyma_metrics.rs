//! Kyma's names for what is counted here under other ones, for dashboards and alerts that are there.
//!
//! They are made of the text of a scrape, so that nothing is counted twice. Types and sources of
//! events are no labels, since any caller writes them; which labels are left out beside, and why,
//! stands in docs/kyma-compatibility.md.

mod samples;

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use tidegate_subscription::{Matching, Subscription};

use tokio::sync::watch;

use self::samples::{Sample, samples};
use crate::{
    config::Config,
    pipeline::{Operations, Subscriptions},
};

/// Kyma's routes, by our name of the door: method and path.
const ROUTES: [(&str, &str, &str); 5] = [
    ("publish", "post", "/publish"),
    ("legacy", "post", "/{application}/v1/events"),
    ("subscribed", "get", "/{application}/v1/events/subscribed"),
    ("application_events", "post", "/{application}/events"),
    ("application_events_v2", "post", "/{application}/v2/events"),
];

/// What Kyma calls JetStream.
const BACKEND: &str = "nats";

/// An end of every scrape in OpenMetrics.
const END: &str = "# EOF\n";

/// Whoever knows what a scrape says in Kyma's words.
pub(crate) struct Names {
    subscriptions: watch::Receiver<Subscriptions>,
    stream: String,
}

impl Names {
    /// If they are wanted.
    pub(crate) fn wanted(config: &Config, operations: &Operations) -> Option<Self> {
        config.telemetry.kyma_metrics.then(|| Self {
            subscriptions: operations.subscriptions.clone(),
            stream: config.backbone.events.stream.clone(),
        })
    }

    /// A scrape in OpenMetrics, with Kyma's metrics beside.
    pub(crate) fn beside(&self, text: &str) -> String {
        let all: Vec<Sample<'_>> = samples(text).collect();
        let mut kyma = Kyma {
            all: &all,
            text: text.strip_suffix(END).unwrap_or(text).to_owned(),
        };
        kyma.health();
        kyma.requests();
        kyma.took();
        kyma.published();
        let subscriptions = Arc::clone(&self.subscriptions.borrow());
        kyma.subscriptions(&subscriptions, &self.stream);
        kyma.text + END
    }
}

struct Kyma<'a> {
    all: &'a [Sample<'a>],
    text: String,
}

impl<'a> Kyma<'a> {
    fn health(&mut self) {
        let ready = self.sum(&["tidegate_backbone_ready"]);
        for (name, meaning) in [
            ("eventing_epp_health", "1 while events can be published"),
            ("eventing_ec_health", "1 while events can be delivered"),
        ] {
            self.family(name, "gauge", meaning);
            self.sample(name, &[], &ready.to_string());
        }
    }

    fn requests(&mut self) {
        let (name, total) = ("eventing_epp_requests", "eventing_epp_requests_total");
        self.family(name, "counter", "Requests that were answered");
        for sample in self.named("tidegate_receive_requests_total") {
            let (Some(route), Some(code)) = (route(sample), sample.label("status")) else {
                continue;
            };
            let [method, path] = route;
            self.sample(total, &[("code", code), method, path], sample.value);
        }
    }

    /// How long it took, from head to answer, to the log, and to a sink.
    fn took(&mut self) {
        let name = "eventing_epp_requests_duration_seconds";
        self.family(name, "histogram", "From a request to its answer");
        for sample in self.histogram("tidegate_receive_duration_seconds") {
            if let Some(route) = route(sample) {
                self.part(name, sample, &route, 1.0);
            }
        }
        let name = "eventing_epp_backend_duration_milliseconds";
        self.family(name, "histogram", "From an event to its acknowledgement");
        for sample in self.histogram("tidegate_publish_duration_seconds") {
            self.part(name, sample, &[], 1_000.0);
        }
        let name = "eventing_ec_nats_subscriber_dispatch_duration_seconds";
        self.family(name, "histogram", "How long an attempt at a sink took");
        for sample in self.histogram("tidegate_deliver_attempt_duration_seconds") {
            self.part(name, sample, &[], 1.0);
        }
    }

    fn published(&mut self) {
        let (name, total) = (
            "eventing_epp_event_type_published",
            "eventing_epp_event_type_published_total",
        );
        let stored = self.sum(&[
            "tidegate_publish_events_stored_total",
            "tidegate_publish_events_duplicate_total",
        ]);
        self.family(name, "counter", "Events that are stored");
        self.sample(total, &[("code", "204")], &stored.to_string());
    }

    fn subscriptions(&mut self, subscriptions: &[Arc<Subscription>], stream: &str) {
        let mut ended: HashMap<&str, f64> = HashMap::new();
        for name in [
            "tidegate_consume_events_delivered_total",
            "tidegate_consume_retries_total",
            "tidegate_consume_dead_letters_total",
        ] {
            for sample in self.named(name) {
                let of = sample.label("subscription").unwrap_or_default();
                *ended.entry(of).or_default() += sample.number();
            }
        }
        let open: HashMap<&str, &str> = self
            .named("tidegate_consume_subscription_open")
            .filter_map(|sample| Some((sample.label("subscription")?, sample.value)))
            .collect();
        let delivery = "eventing_ec_nats_delivery_per_subscription";
        let status = "eventing_ec_subscription_status";
        let subscribed = "eventing_ec_event_type_subscribed";
        self.family(delivery, "counter", "Attempts that have ended");
        for one in subscriptions {
            let consumer = one.consumer_name();
            let count = ended.get(one.id().as_str()).copied().unwrap_or_default();
            let labels = labels(one, &consumer);
            self.sample(&format!("{delivery}_total"), &labels, &count.to_string());
        }
        self.family(status, "gauge", "1 while the Subscription gets events");
        for one in subscriptions {
            let consumer = one.consumer_name();
            let [namespace, name, consumer] = labels(one, &consumer);
            let backend = ("eventing_backend", BACKEND);
            let labels = [namespace, name, consumer, backend, ("stream_name", stream)];
            let is_open = open.get(one.id().as_str()).copied();
            self.sample(status, &labels, is_open.unwrap_or("0"));
        }
        self.family(subscribed, "counter", "1 for each type of a Subscription");
        for one in subscriptions {
            let (Matching::Standard { types, .. } | Matching::Exact { types }) = &one.matching
            else {
                continue;
            };
            let consumer = one.consumer_name();
            let [namespace, name, consumer] = labels(one, &consumer);
            for r#type in types {
                let r#type = escaped(r#type);
                let labels = [namespace, name, consumer, ("event_type", r#type.as_str())];
                self.sample(&format!("{subscribed}_total"), &labels, "1");
            }
        }
    }

    fn named(&self, name: &'a str) -> impl Iterator<Item = &'a Sample<'a>> + use<'a> {
        self.all.iter().filter(move |sample| sample.name == name)
    }

    /// The parts of a histogram.
    fn histogram(&self, name: &'a str) -> impl Iterator<Item = &'a Sample<'a>> + use<'a> {
        let parts = ["_bucket", "_sum", "_count"];
        let is_part = move |sample: &&Sample<'_>| {
            let part = sample.name.strip_prefix(name);
            part.is_some_and(|part| parts.contains(&part))
        };
        self.all.iter().filter(is_part)
    }

    fn sum(&self, names: &[&str]) -> f64 {
        let all = self.all.iter();
        let named = all.filter(|sample| names.contains(&sample.name));
        named.map(Sample::number).sum()
    }

    fn family(&mut self, name: &str, kind: &str, meaning: &str) {
        self.write(format_args!(
            "# HELP {name} {meaning}.\n# TYPE {name} {kind}\n"
        ));
    }

    /// A part of a histogram under another name; its limits and its sum in another unit.
    fn part(&mut self, name: &str, of: &Sample<'_>, labels: &[(&str, &str)], unit: f64) {
        let part = of.name.rsplit('_').next().unwrap_or_default();
        let limit = of.label("le").map(|limit| scaled(limit, unit));
        let value = match part {
            "sum" => scaled(of.value, unit),
            _ => of.value.to_owned(),
        };
        let mut labels = labels.to_vec();
        labels.extend(limit.as_deref().map(|limit| ("le", limit)));
        self.sample(&format!("{name}_{part}"), &labels, &value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.text.push_str(name);
        for (index, (name, value)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            self.write(format_args!("{before}{name}=\"{value}\""));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{after} {value}\n"));
    }

    fn write(&mut self, what: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(what)
            .expect("writing to a string does not fail");
    }
}

/// Method and path of a door that Kyma has.
fn route(sample: &Sample<'_>) -> Option<[(&'static str, &'static str); 2]> {
    let door = sample.label("door")?;
    let (_, method, path) = ROUTES.iter().find(|(ours, ..)| *ours == door)?;
    Some([("method", *method), ("path", *path)])
}

/// A Subscription, in Kyma's words. Its name is one of Kubernetes, with nothing to escape.
fn labels<'a>(subscription: &'a Subscription, consumer: &'a str) -> [(&'static str, &'a str); 3] {
    [
        ("subscription_namespace", &subscription.namespace),
        ("subscription_name", &subscription.name),
        ("consumer_name", consumer),
    ]
}

fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

/// The number in another unit; infinity stays.
fn scaled(number: &str, unit: f64) -> String {
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => (value * unit).to_string(),
        _ => number.to_owned(),
    }
}
