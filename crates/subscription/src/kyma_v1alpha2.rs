//! `eventing.kyma-project.io/v1alpha2` Subscription, with Kyma's validation and messages.
//!
//! One rule is wider: a sink may be any http or https address, not only a Service of the cluster.

use std::{collections::HashMap, num::NonZeroU32};

use serde::{Deserialize, de::IgnoredAny};
use serde_saphyr::{Location, Spanned};
use tidegate_document::{Envelope, Kind, Mistake, Mistakes, line_of};
use tidegate_event::{Event, validate};
use url::Url;

use crate::{
    Delivery, Matching, Start, Subscription,
    delivery::{MAX_IN_FLIGHT_DEFAULT, MAX_IN_FLIGHT_MAX},
    id,
    sink::address,
};

const API_VERSION: &str = "eventing.kyma-project.io/v1alpha2";

/// The kind.
pub(crate) const KIND: Kind<Subscription> = Kind {
    api_version: API_VERSION,
    kind: "Subscription",
    parse,
};

/// More types than a landscape has; the bound keeps the search for duplicates short.
const TYPES_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Spec {
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    sink: Option<Spanned<String>>,
    source: Option<Spanned<String>>,
    types: Option<Spanned<Vec<Spanned<String>>>>,
    type_matching: Option<Spanned<String>>,
    config: Option<HashMap<String, Spanned<String>>>,
}

fn parse(document: &str, first_line: usize) -> Result<Subscription, Vec<Mistake>> {
    let envelope = Envelope::<Spec>::open(document, first_line, id)?;
    let identity = (envelope.namespace, envelope.name);
    read(identity, &envelope.spec, envelope.mistakes)
}

/// One that was converted from an older version: `exact`, of any source.
pub(crate) fn exact(
    identity: (String, String),
    sink: Option<Spanned<String>>,
    types: Vec<Spanned<String>>,
    window: Option<Spanned<i64>>,
    mistakes: Mistakes,
) -> Result<Subscription, Vec<Mistake>> {
    let window = window.map(|window| {
        let text = Spanned::new(window.value.to_string(), window.referenced, window.defined);
        HashMap::from([("maxInFlightMessages".to_owned(), text)])
    });
    let spec = Spec {
        _id: None,
        sink,
        source: None,
        types: Some(nowhere(types)),
        type_matching: Some(nowhere("exact".to_owned())),
        config: window,
    };
    read(identity, &spec, mistakes)
}

/// A value that stands in no document.
fn nowhere<T>(value: T) -> Spanned<T> {
    Spanned::new(value, Location::UNKNOWN, Location::UNKNOWN)
}

fn read(
    (namespace, name): (String, String),
    spec: &Spec,
    mut mistakes: Mistakes,
) -> Result<Subscription, Vec<Mistake>> {
    let exact = is_exact(spec, &mut mistakes);
    let source = source(spec, exact, &mut mistakes);
    let types = types(spec, exact, &mut mistakes);
    let max_in_flight = config(spec, &mut mistakes);
    let sink = sink(spec, &mut mistakes);
    match sink {
        Some(sink) if mistakes.found.is_empty() => Ok(Subscription {
            namespace,
            name,
            sink,
            matching: if exact {
                Matching::Exact { types }
            } else {
                Matching::Standard { source, types }
            },
            delivery: Delivery {
                max_in_flight,
                original_type: true,
                ..Delivery::default()
            },
            start: Start::New,
            pause: false,
        }),
        _ => Err(mistakes.found),
    }
}

fn is_exact(spec: &Spec, mistakes: &mut Mistakes) -> bool {
    match spec
        .type_matching
        .as_ref()
        .map(|matching| matching.value.as_str())
    {
        None | Some("standard") => false,
        Some("exact") => true,
        Some(_) => {
            let line = spec.type_matching.as_ref().and_then(line_of);
            let message = "must be a valid TypeMatching value exact or standard";
            mistakes.add(line, "spec.typeMatching", message);
            false
        }
    }
}

fn source(spec: &Spec, exact: bool, mistakes: &mut Mistakes) -> String {
    let line = spec.source.as_ref().and_then(line_of);
    let source = spec.source.as_ref().map_or("", |source| &source.value);
    if !exact && source.is_empty() {
        mistakes.add(line, "spec.source", "must not be empty");
    } else if !exact && validate(&Event::new("1", source, "t")).is_err() {
        mistakes.add(line, "spec.source", "must be valid as per RFC 3986");
    }
    source.to_owned()
}

fn types(spec: &Spec, exact: bool, mistakes: &mut Mistakes) -> Vec<String> {
    let list = spec.types.as_ref();
    let line = list.and_then(line_of);
    let types = list.map(|types| types.value.as_slice()).unwrap_or_default();
    if types.is_empty() {
        mistakes.add(line, "spec.types", "must not be empty");
    }
    if types.len() > TYPES_MAX {
        let message = format!(
            "must not have more than {TYPES_MAX} types, got {}",
            types.len()
        );
        mistakes.add(line, "spec.types", message);
        return Vec::new();
    }
    // One mistake a field, as Kyma reports them, and in its order.
    let repeated = types.iter().enumerate().find(|(index, one)| {
        let mut before = types.iter().take(*index);
        before.any(|other| other.value == one.value)
    });
    let wrong = types.iter().enumerate();
    let mut wrong = wrong.filter_map(|(index, one)| Some((index, one, mistake_of(one, exact)?)));
    let mistake = match repeated {
        Some((index, one)) => Some((index, one, "must not have duplicate types")),
        None => wrong.next(),
    };
    if let Some((index, one, message)) = mistake {
        let line = line_of(one).or(line);
        mistakes.add(line, &format!("spec.types[{index}]"), message);
    }
    types.iter().map(|r#type| r#type.value.clone()).collect()
}

/// What is wrong with a type.
fn mistake_of(r#type: &Spanned<String>, exact: bool) -> Option<&'static str> {
    let value = r#type.value.as_str();
    if value.is_empty() {
        Some("must not be of length zero")
    } else if !value.contains('.') {
        Some("must have minimum 2 segments")
    } else if !exact && value.starts_with("sap.kyma.custom") {
        Some("must not have sap.kyma.custom as type prefix")
    } else if validate(&Event::new("1", "s", value)).is_err() {
        Some("must be valid as per RFC 3986")
    } else {
        None
    }
}

fn config(spec: &Spec, mistakes: &mut Mistakes) -> NonZeroU32 {
    let mut window = MAX_IN_FLIGHT_DEFAULT;
    let mut keys: Vec<_> = spec.config.iter().flatten().collect();
    keys.sort_by_key(|(key, _)| key.as_str());
    for (key, value) in keys {
        let one_of = |legal: &[&str]| legal.contains(&value.value.as_str());
        let message = match key.as_str() {
            "maxInFlightMessages" => match value.value.parse::<i64>() {
                Err(_) => Some("maxInFlightMessages must be a stringified int value".to_owned()),
                Ok(number) if number > i64::from(MAX_IN_FLIGHT_MAX) => Some(format!(
                    "maxInFlightMessages must be at most {MAX_IN_FLIGHT_MAX}"
                )),
                Ok(number) => {
                    // Kyma takes 0 and less; there is no window of that size.
                    let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
                    window = number.unwrap_or(MAX_IN_FLIGHT_DEFAULT);
                    None
                }
            },
            "qos"
                if !one_of(&[
                    "AT_LEAST_ONCE",
                    "AT_MOST_ONCE",
                    "AT-LEAST-ONCE",
                    "AT-MOST-ONCE",
                ]) =>
            {
                Some("must be a valid QoS value AT_LEAST_ONCE or AT_MOST_ONCE".to_owned())
            }
            "type" if !one_of(&["oauth2"]) => {
                Some("must be a valid Auth Type value oauth2".to_owned())
            }
            "grantType" if !one_of(&["client_credentials"]) => {
                Some("must be a valid Grant Type value client_credentials".to_owned())
            }
            _ => None,
        };
        if let Some(message) = message {
            mistakes.add(line_of(value), &format!("spec.config.{key}"), message);
        }
    }
    window
}

fn sink(spec: &Spec, mistakes: &mut Mistakes) -> Option<Url> {
    let line = spec.sink.as_ref().and_then(line_of);
    let sink = spec.sink.as_ref().map_or("", |sink| &sink.value);
    address(sink)
        .map_err(|message| mistakes.add(line, "spec.sink", message))
        .ok()
}
