//! `eventing.tidegate.dev/v1alpha1` Application.

use std::{collections::BTreeMap, num::NonZeroU64};

use bytesize::ByteSize;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::Deserialize;
use serde_saphyr::Spanned;
use tidegate_document::{Envelope, Mistake, Mistakes, line_of};
use tidegate_event::{Leniency, Name};

use crate::{
    Application, Authentication, Format, Limits, Mapping, Pattern, Template,
    authentication::{Certificate, ForwardedCertificate},
    mapping::{EXTENSIONS_MAX, path},
    pattern,
};

pub(crate) const API_VERSION: &str = "eventing.tidegate.dev/v1alpha1";

/// Longest name: it is a segment of paths and part of sources.
const NAME_BYTES_MAX: usize = 63;

/// Most patterns in a list.
const PATTERNS_MAX: usize = 1_000;

/// Most ways to prove who it is.
const AUTHENTICATIONS_MAX: usize = 16;

/// How a connected system proves who it is, and what it may send.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(rename = "Application")]
struct Spec {
    /// How to read what comes through a door that takes several formats; without it that is seen
    /// from the request.
    format: Option<Format>,
    /// The namespace of the sources that are made for it.
    #[schemars(with = "Option<String>")]
    namespace: Option<Spanned<String>>,
    /// The company, where a format needs one and its messages have none.
    #[schemars(with = "Option<String>")]
    company: Option<Spanned<String>>,
    /// The zone of its local times, such as `Europe/Berlin`; else UTC.
    #[schemars(with = "Option<String>")]
    timezone: Option<Spanned<String>>,
    /// What to do with extension names that CloudEvents does not allow.
    #[schemars(with = "Option<String>", extend("enum" = ["strict", "lowercase", "drop", null]))]
    extension_names: Option<Leniency>,
    /// Whether an event that nothing tells from another gets an id of its content.
    content_dedup: bool,
    /// The sources that it may use: each a text, with `*` for any part of it.
    #[schemars(with = "Vec<String>")]
    sources: Vec<Spanned<String>>,
    /// The types that it may use; all, unless it says so.
    #[schemars(with = "Vec<String>")]
    types: Vec<Spanned<String>>,
    /// How it proves who it is: any one of these is enough.
    #[schemars(
        with = "Vec<Authentication>",
        required,
        length(min = 1, max = AUTHENTICATIONS_MAX)
    )]
    authentication: Option<Spanned<Vec<Authentication>>>,
    /// How much it may send.
    limits: LimitsSpec,
    /// How to read a format that nobody knows but itself.
    mapping: Option<MappingSpec>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(rename = "Limits")]
struct LimitsSpec {
    /// Most bytes of a body, such as `256KiB`.
    #[schemars(with = "Option<String>")]
    body_bytes: Option<Spanned<ByteSize>>,
    /// Most events of a request.
    #[schemars(with = "Option<u64>", range(min = 1))]
    batch_events: Option<Spanned<usize>>,
    /// Events a second, with one second's worth at once.
    #[schemars(with = "Option<u64>", range(min = 1))]
    events_per_second: Option<Spanned<u64>>,
    /// Bytes of data a second, such as `1MiB`, with ten seconds' worth at once.
    #[schemars(with = "Option<String>")]
    bytes_per_second: Option<Spanned<ByteSize>>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(rename = "Mapping")]
pub(crate) struct MappingSpec {
    /// The id: a text with `{…}` for what stands at a path of the body.
    #[schemars(with = "Option<String>")]
    id: Option<Spanned<String>>,
    /// The source.
    #[schemars(with = "Option<String>")]
    source: Option<Spanned<String>>,
    /// The type.
    #[schemars(with = "Option<String>")]
    r#type: Option<Spanned<String>>,
    /// The subject.
    #[schemars(with = "Option<String>")]
    subject: Option<Spanned<String>>,
    /// The time.
    #[schemars(with = "Option<String>")]
    time: Option<Spanned<String>>,
    /// The path of what becomes the data; the whole body, unless it says so.
    #[schemars(with = "Option<String>")]
    data: Option<Spanned<String>>,
    /// Extensions by name.
    #[schemars(with = "BTreeMap<String, String>")]
    extensions: BTreeMap<String, Spanned<String>>,
    /// The status of the answer, a 2xx.
    #[schemars(with = "Option<u16>", range(min = 200, max = 299))]
    status: Option<Spanned<u16>>,
}

/// What an editor, or a cluster, needs to know of `spec`.
pub(crate) fn spec_schema() -> Schema {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Spec>()
}

pub(crate) fn parse(document: &str, first_line: usize) -> Result<Application, Vec<Mistake>> {
    // Applications have no namespace: their name is a path.
    let Envelope {
        name,
        spec,
        mut mistakes,
        ..
    } = Envelope::<Spec>::open(document, first_line, |_, name| name.to_owned())?;
    if name.len() > NAME_BYTES_MAX {
        let message = format!("must have at most {NAME_BYTES_MAX} characters");
        mistakes.add(None, "metadata.name", message);
    }
    let application = Application {
        name,
        format: spec.format,
        namespace: segment(spec.namespace, "spec.namespace", &mut mistakes),
        company: segment(spec.company, "spec.company", &mut mistakes),
        time_zone: time_zone(spec.timezone, &mut mistakes),
        // What SAP's own systems send is lower-cased rather than refused.
        extension_names: spec.extension_names.unwrap_or(Leniency::Lowercase),
        content_dedup: spec.content_dedup,
        sources: patterns(spec.sources, "spec.sources", &mut mistakes),
        types: patterns(spec.types, "spec.types", &mut mistakes),
        authentication: authentication(spec.authentication, &mut mistakes),
        limits: limits(&spec.limits, &mut mistakes),
        mapping: spec.mapping.map(|spec| mapping(spec, &mut mistakes)),
    };
    let generic = matches!(
        application.format,
        Some(Format::GenericJson | Format::GenericXml)
    );
    if generic && application.mapping.is_none() {
        mistakes.add(None, "spec.mapping", "must be set for a generic format");
    }
    if application.format == Some(Format::KafkaRecord) {
        let message = "must not be kafka-record: no HTTP door takes Kafka records";
        mistakes.add(None, "spec.format", message);
    }
    if mistakes.found.is_empty() {
        Ok(application)
    } else {
        Err(mistakes.found)
    }
}

/// A name that becomes a segment of sources.
fn segment(value: Option<Spanned<String>>, field: &str, mistakes: &mut Mistakes) -> Option<String> {
    let value = value?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    if value.value.is_empty() || value.value.len() > 64 || !value.value.bytes().all(legal) {
        let message = "must be from 1 to 64 letters, digits, '.', '_', '~' and '-'";
        mistakes.add(line_of(&value), field, message);
    }
    Some(value.value)
}

fn time_zone(value: Option<Spanned<String>>, mistakes: &mut Mistakes) -> TimeZone {
    let Some(value) = value else {
        return TimeZone::UTC;
    };
    TimeZone::get(&value.value).unwrap_or_else(|_| {
        let message = format!(
            "must be a zone of the IANA database, such as Europe/Berlin, got {:?}",
            value.value
        );
        mistakes.add(line_of(&value), "spec.timezone", message);
        TimeZone::UTC
    })
}

fn patterns(values: Vec<Spanned<String>>, field: &str, mistakes: &mut Mistakes) -> Vec<Pattern> {
    if values.len() > PATTERNS_MAX {
        let message = format!("must not have more than {PATTERNS_MAX} entries");
        mistakes.add(values.first().and_then(line_of), field, message);
        return Vec::new();
    }
    let mut patterns = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        match Pattern::new(&value.value) {
            Some(pattern) => patterns.push(pattern),
            None => {
                let message = format!("must have from 1 to {} bytes", pattern::BYTES_MAX);
                mistakes.add(line_of(value), &format!("{field}[{index}]"), message);
            }
        }
    }
    patterns
}

fn authentication(
    value: Option<Spanned<Vec<Authentication>>>,
    mistakes: &mut Mistakes,
) -> Vec<Authentication> {
    const FIELD: &str = "spec.authentication";
    let line = value.as_ref().and_then(line_of);
    let methods = value.map(|value| value.value).unwrap_or_default();
    if methods.is_empty() {
        let message = "must name at least one way; `- none: {}` lets everybody in";
        mistakes.add(line, FIELD, message);
    }
    if methods.len() > AUTHENTICATIONS_MAX {
        let message = format!("must not have more than {AUTHENTICATIONS_MAX} entries");
        mistakes.add(line, FIELD, message);
    }
    let open = |method: &Authentication| matches!(method, Authentication::None(_));
    if methods.iter().any(open) && methods.len() > 1 {
        mistakes.add(line, FIELD, "none makes the other ways pointless");
    }
    for (index, method) in methods.iter().enumerate() {
        let (Authentication::Mtls(Certificate {
            common_name,
            subject_alternative_name,
        })
        | Authentication::ForwardedCertificate(ForwardedCertificate {
            common_name,
            subject_alternative_name,
            ..
        })) = method
        else {
            continue;
        };
        if common_name.is_none() && subject_alternative_name.is_none() {
            let message = "must name commonName, subjectAlternativeName or both";
            mistakes.add(line, &format!("{FIELD}[{index}]"), message);
        }
    }
    methods
}

fn limits(spec: &LimitsSpec, mistakes: &mut Mistakes) -> Limits {
    let mut positive = |line: Option<usize>, field: &str, value: Option<u64>| {
        let number = value.and_then(NonZeroU64::new);
        if value.is_some() && number.is_none() {
            mistakes.add(line, &format!("spec.limits.{field}"), "must be at least 1");
        }
        number
    };
    let LimitsSpec {
        body_bytes,
        batch_events,
        events_per_second,
        bytes_per_second,
    } = spec;
    let bytes = |size: &Option<Spanned<ByteSize>>| size.as_ref().map(|size| size.value.as_u64());
    let count = batch_events.as_ref().map(|count| count.value as u64);
    let rate = events_per_second.as_ref().map(|rate| rate.value);
    let line = body_bytes.as_ref().and_then(line_of);
    let body = positive(line, "bodyBytes", bytes(body_bytes));
    let line = batch_events.as_ref().and_then(line_of);
    let batch = positive(line, "batchEvents", count);
    let line = events_per_second.as_ref().and_then(line_of);
    let events = positive(line, "eventsPerSecond", rate);
    let line = bytes_per_second.as_ref().and_then(line_of);
    Limits {
        body_bytes_max: body.map(NonZeroU64::get),
        batch_events_max: batch.and_then(|count| usize::try_from(count.get()).ok()),
        events_per_second: events,
        bytes_per_second: positive(line, "bytesPerSecond", bytes(bytes_per_second)),
    }
}

pub(crate) fn mapping(spec: MappingSpec, mistakes: &mut Mistakes) -> Mapping {
    let mut template = |value: Option<Spanned<String>>, field: &str| {
        let value = value?;
        match Template::parse(&value.value) {
            Ok(template) => Some(template),
            Err(message) => {
                mistakes.add(line_of(&value), &format!("spec.mapping.{field}"), message);
                None
            }
        }
    };
    let mut mapping = Mapping {
        id: template(spec.id, "id"),
        source: template(spec.source, "source"),
        r#type: template(spec.r#type, "type"),
        subject: template(spec.subject, "subject"),
        time: template(spec.time, "time"),
        ..Mapping::default()
    };
    for (name, value) in spec.extensions.into_iter().take(EXTENSIONS_MAX + 1) {
        let field = format!("extensions.{name}");
        if let Some(template) = template(Some(value), &field) {
            mapping.extensions.insert(name, template);
        }
    }
    for name in mapping.extensions.keys() {
        if Name::new(name.as_str()).is_none() {
            let field = format!("spec.mapping.extensions.{name}");
            mistakes.add(None, &field, "must be lower-case letters and digits");
        }
    }
    if mapping.extensions.len() > EXTENSIONS_MAX {
        let message = format!("must not have more than {EXTENSIONS_MAX} entries");
        mistakes.add(None, "spec.mapping.extensions", message);
    }
    if mapping.r#type.is_none() && mistakes.found.is_empty() {
        mistakes.add(None, "spec.mapping.type", "must be set");
    }
    if let Some(data) = spec.data {
        match path(&data.value) {
            Ok(path) => mapping.data = Some(path),
            Err(message) => mistakes.add(line_of(&data), "spec.mapping.data", message),
        }
    }
    if let Some(status) = spec.status {
        if !(200..300).contains(&status.value) {
            let message = "must be a 2xx status";
            mistakes.add(line_of(&status), "spec.mapping.status", message);
        }
        mapping.status = Some(status.value);
    }
    mapping
}
