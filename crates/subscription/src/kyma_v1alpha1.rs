//! `eventing.kyma-project.io/v1alpha1` Subscription, converted as Kyma's own web hook converted it
//! before it was removed: always `exact`, the filters' one source, their types.

use serde::{Deserialize, de::IgnoredAny};
use serde_saphyr::Spanned;
use tidegate_document::{Envelope, Kind, Mistake, line_of};

use crate::{Subscription, id, kyma_v1alpha2 as converted};

/// The kind.
pub(crate) const KIND: Kind<Subscription> = Kind {
    api_version: "eventing.kyma-project.io/v1alpha1",
    kind: "Subscription",
    parse,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    /// Event Mesh's; nothing of it acts on NATS.
    #[serde(rename = "protocol")]
    _protocol: Option<IgnoredAny>,
    #[serde(rename = "protocolsettings")]
    _protocol_settings: Option<IgnoredAny>,
    sink: Option<Spanned<String>>,
    filter: Option<Filters>,
    config: Option<Config>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filters {
    #[serde(rename = "dialect")]
    _dialect: Option<IgnoredAny>,
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Filter {
    event_source: Spanned<Comparison>,
    event_type: Comparison,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Comparison {
    #[serde(rename = "property")]
    _property: Option<IgnoredAny>,
    #[serde(rename = "type")]
    _type: Option<IgnoredAny>,
    value: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Config {
    max_in_flight_messages: Option<Spanned<i64>>,
}

fn parse(document: &str, first_line: usize) -> Result<Subscription, Vec<Mistake>> {
    let Envelope {
        namespace,
        name,
        spec,
        mut mistakes,
    } = Envelope::<Spec>::open(document, first_line, id)?;
    let filters = spec.filter.map(|filter| filter.filters).unwrap_or_default();
    let mut source: Option<String> = None;
    let mut types = Vec::new();
    for filter in filters {
        let own = filter.event_source.value.value.value.clone();
        if source.as_ref().is_some_and(|source| *source != own) {
            let message = "subscription contains more than 1 eventSource";
            mistakes.add(
                line_of(&filter.event_source),
                "spec.filter.filters",
                message,
            );
        }
        source.get_or_insert(own);
        types.push(filter.event_type.value);
    }
    let window = spec.config.and_then(|config| config.max_in_flight_messages);
    converted::exact((namespace, name), spec.sink, types, window, mistakes)
}
