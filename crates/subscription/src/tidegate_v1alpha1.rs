//! `eventing.tidegate.dev/v1alpha1` Subscription: what Kyma's cannot say. Names follow Knative and
//! the CloudEvents Subscriptions API.

mod credentials;
mod delivery;
mod filters;
mod headers;
mod sink;

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, generate::SchemaSettings, json_schema};
use serde::Deserialize;
use serde_saphyr::Spanned;
use tidegate_document::{Envelope, Kind, Mistake, Mistakes, line_of};

use crate::{Format, Matching, Reply, Start, Subscription, id};

/// Sources of replies.
const SOURCES_MAX: usize = 32;

pub(crate) const API_VERSION: &str = "eventing.tidegate.dev/v1alpha1";

/// The kind.
pub(crate) const KIND: Kind<Subscription> = Kind {
    api_version: API_VERSION,
    kind: "Subscription",
    parse,
};

/// Which events go where, and how.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Spec {
    /// Where events go.
    #[schemars(with = "sink::Spec", required)]
    sink: Option<Spanned<sink::Spec>>,
    /// Which events: all of these have to let one pass. Without any, every event.
    #[serde(default)]
    #[schemars(with = "Vec<filters::Spec>")]
    filters: Vec<Spanned<filters::Spec>>,
    /// How they get there.
    #[serde(default)]
    delivery: delivery::Spec,
    /// Where a new Subscription begins. One that exists goes on from where it is.
    #[schemars(with = "Option<StartSpec>")]
    start: Option<Spanned<StartSpec>>,
    /// Nothing is delivered; what it wants is kept for it.
    #[serde(default)]
    pause: bool,
    /// Events that the sink answers with are published.
    reply: Option<ReplySpec>,
}

/// Events that the sink answers with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Reply")]
struct ReplySpec {
    /// The sources that they may have: each a text, or what one begins with, followed by `*`.
    #[schemars(
        with = "Vec<String>",
        length(min = 1, max = SOURCES_MAX),
        inner(regex(pattern = "^([^*]+\\*?|\\*)$"))
    )]
    sources: Spanned<Vec<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum StartSpec {
    /// `new`: with the events that are stored from now on; `all`: with the oldest that is stored.
    Word(#[schemars(extend("enum" = ["new", "all"]))] String),
    /// A place in the stream: one of the two.
    Place(Place),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
struct Place {
    /// With the first event that was stored at this time or later.
    #[schemars(extend("format" = "date-time"))]
    since: Option<String>,
    /// With the event of this number in the stream.
    #[schemars(range(min = 1))]
    sequence: Option<u64>,
}

/// What an editor needs to know of a document.
pub(crate) fn schema() -> Schema {
    let mut spec = spec_schema().to_value();
    let definitions = spec.as_object_mut().and_then(|spec| spec.remove("$defs"));
    json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Subscription",
        "description": "Which events go to which sink, and how.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": { "const": API_VERSION },
            "kind": { "const": "Subscription" },
            "metadata": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": { "type": "string", "description": "Unique in the namespace." },
                    "namespace": { "type": "string", "default": "default" },
                },
            },
            "spec": spec,
            "status": {},
        },
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// Of its `spec` alone.
pub(crate) fn spec_schema() -> Schema {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Spec>()
}

fn parse(document: &str, first_line: usize) -> Result<Subscription, Vec<Mistake>> {
    let Envelope {
        namespace,
        name,
        spec,
        mut mistakes,
    } = Envelope::<Spec>::open(document, first_line, id)?;
    let sink = sink::parse(spec.sink, &namespace, &mut mistakes);
    let (sink, topic) = sink.map_or((None, None), |one| (Some(one.address), one.topic));
    let filters = filters::parse(spec.filters, &mut mistakes);
    let mut delivery = delivery::parse(spec.delivery, (&namespace, topic), &mut mistakes);
    let line = spec.reply.as_ref().and_then(|spec| line_of(&spec.sources));
    delivery.reply = spec.reply.map(|spec| reply(spec, &mut mistakes));
    if delivery.reply.is_some() && matches!(delivery.format, Format::Batch { .. }) {
        let message = "must be left out: a batch has no reply";
        mistakes.add(line, "spec.reply", message);
    }
    if delivery.reply.is_some() && delivery.topic.is_some() {
        let message = "must be left out: a topic answers nothing";
        mistakes.add(line, "spec.reply", message);
    }
    let start = start(spec.start, &mut mistakes);
    match sink {
        Some(sink) if mistakes.found.is_empty() => Ok(Subscription {
            namespace,
            name,
            sink,
            matching: Matching::Filters(filters),
            delivery,
            start,
            pause: spec.pause,
        }),
        _ => Err(mistakes.found),
    }
}

fn reply(spec: ReplySpec, mistakes: &mut Mistakes) -> Reply {
    const FIELD: &str = "spec.reply.sources";
    let ReplySpec { sources } = spec;
    let line = line_of(&sources);
    if sources.value.is_empty() || sources.value.len() > SOURCES_MAX {
        let message = format!(
            "must be from 1 to {SOURCES_MAX} sources, got {}",
            sources.value.len()
        );
        mistakes.add(line, FIELD, message);
    }
    for source in &sources.value {
        let text = source.strip_suffix('*').unwrap_or(source);
        if source.is_empty() || text.contains('*') {
            let message =
                format!("must be a source, with a * at its end or without, got {source:?}");
            mistakes.add(line, FIELD, message);
        }
    }
    Reply {
        sources: sources.value,
    }
}

fn start(spec: Option<Spanned<StartSpec>>, mistakes: &mut Mistakes) -> Start {
    const FIELD: &str = "spec.start";
    let Some(spec) = spec else {
        return Start::New;
    };
    let line = line_of(&spec);
    let place = match spec.value {
        StartSpec::Word(word) => match word.as_str() {
            "new" => return Start::New,
            "all" => return Start::All,
            _ => {
                let message = format!(
                    "must be new, all, {{ since: TIME }} or {{ sequence: NUMBER }}, got {word:?}"
                );
                mistakes.add(line, FIELD, message);
                return Start::New;
            }
        },
        StartSpec::Place(place) => place,
    };
    match (place.since, place.sequence) {
        (None, Some(0)) => {
            mistakes.add(line, "spec.start.sequence", "must be at least 1");
            Start::New
        }
        (None, Some(sequence)) => Start::Sequence(sequence),
        (Some(since), None) => match since.parse::<Timestamp>() {
            Ok(since) => Start::Since(time_of(since)),
            Err(_) => {
                let message = format!("must be a time such as 2026-11-20T00:00:00Z, got {since:?}");
                mistakes.add(line, "spec.start.since", message);
                Start::New
            }
        },
        (None, None) | (Some(_), Some(_)) => {
            mistakes.add(line, FIELD, "must have either since or sequence");
            Start::New
        }
    }
}

fn time_of(timestamp: Timestamp) -> SystemTime {
    let millis = u64::try_from(timestamp.as_millisecond()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}
