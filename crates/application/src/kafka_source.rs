//! `eventing.tidegate.dev/v1alpha1` KafkaSource: topics whose records are taken as events of an
//! Application.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::Deserialize;
use serde_saphyr::Spanned;
use tidegate_document::{
    Envelope, Mistake, Mistakes,
    kafka::{self, Cluster},
    line_of,
};

use crate::{Format, Mapping, document};

/// Most topics that are named.
const TOPICS_MAX: usize = 256;

/// Longest pattern.
const PATTERN_BYTES_MAX: usize = 512;

/// Longest name of a consumer group.
const GROUP_BYTES_MAX: usize = 249;

/// Topics whose records are taken as events.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaSource {
    /// Its name.
    pub name: String,
    /// Where the topics are.
    pub cluster: Cluster,
    /// Which topics.
    pub topics: Topics,
    /// The consumer group; all processes with this source share the partitions in it.
    pub group: String,
    /// Where a group begins that has no offset yet.
    pub start: Start,
    /// How to read records; without one that is seen from each record.
    pub format: Option<Format>,
    /// The Application that it acts as.
    pub application: String,
    /// Whether a record's key becomes `partitionkey`, where the event has none.
    pub partition_key: bool,
    /// How to read a format that nobody knows but its sender, in the place of the Application's.
    pub mapping: Option<Mapping>,
}

/// Topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topics {
    /// These.
    Named(Vec<String>),
    /// All whose name matches: a regular expression that begins with `^`.
    Matching(String),
}

/// Where a group begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "KafkaStart")]
pub enum Start {
    /// With the oldest record, so that none is missed.
    #[default]
    Earliest,
    /// With those that come from now on. What comes to a partition before it is known is missed.
    Latest,
}

/// Topics whose records are taken as events of an Application.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "KafkaSource")]
struct Spec {
    /// Some of the cluster's brokers, each `host:port`.
    #[schemars(with = "Vec<String>", length(min = 1, max = 32))]
    brokers: Spanned<Vec<String>>,
    /// The topics, by name.
    #[schemars(with = "Option<Vec<String>>", length(min = 1, max = TOPICS_MAX))]
    topics: Option<Spanned<Vec<String>>>,
    /// The topics, by a regular expression that begins with `^`; new ones count too.
    #[schemars(with = "Option<String>", regex(pattern = "^\\^"))]
    topic_pattern: Option<Spanned<String>>,
    /// The consumer group; `tidegate.` and its name, unless it says so.
    #[schemars(with = "Option<String>", length(min = 1, max = GROUP_BYTES_MAX))]
    group: Option<Spanned<String>>,
    /// Where a group begins that has no offset yet.
    #[serde(default)]
    start: Start,
    /// How to read records: `cloudevent`, `kafka-record` (a CAP application's), `generic-json`,
    /// `generic-xml` or another format; without it that is seen from each record.
    format: Option<Format>,
    /// The Application that it acts as: its limits, and the sources and types that it may use.
    #[schemars(with = "String")]
    application: Spanned<String>,
    /// Whether a record's key becomes `partitionkey`, by which Subscriptions can keep order; it does,
    /// unless it says so.
    #[serde(default = "yes")]
    partition_key: bool,
    /// How to read a format that nobody knows but its sender, in the place of the Application's.
    mapping: Option<document::MappingSpec>,
    /// TLS to the brokers; `{}` is that with the machine's own authorities.
    #[schemars(with = "Option<kafka::TlsSpec>")]
    tls: Option<Spanned<kafka::TlsSpec>>,
    /// How brokers know Tidegate.
    #[schemars(with = "Option<kafka::SaslSpec>")]
    sasl: Option<Spanned<kafka::SaslSpec>>,
}

fn yes() -> bool {
    true
}

/// What an editor, or a cluster, needs to know of `spec`.
pub(crate) fn spec_schema() -> Schema {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Spec>()
}

pub(crate) fn parse(document: &str, first_line: usize) -> Result<KafkaSource, Vec<Mistake>> {
    // As Applications, it has no namespace: whoever writes one sends in an Application's name.
    let Envelope {
        name,
        spec,
        mut mistakes,
        ..
    } = Envelope::<Spec>::open(document, first_line, |_, name| name.to_owned())?;
    if spec.application.value.is_empty() {
        let line = line_of(&spec.application);
        mistakes.add(line, "spec.application", "must not be empty");
    }
    let mapping = spec.mapping;
    let source = KafkaSource {
        cluster: kafka::parse(spec.brokers, spec.tls, spec.sasl, "spec", &mut mistakes),
        topics: topics(spec.topics, spec.topic_pattern, &mut mistakes),
        group: group(spec.group, &name, &mut mistakes),
        start: spec.start,
        format: spec.format,
        application: spec.application.value,
        partition_key: spec.partition_key,
        mapping: mapping.map(|spec| document::mapping(spec, &mut mistakes)),
        name,
    };
    if matches!(source.format, Some(Format::KymaLegacy)) {
        let message = "must not be kyma-legacy: its events are requests";
        mistakes.add(None, "spec.format", message);
    }
    if mistakes.found.is_empty() {
        Ok(source)
    } else {
        Err(mistakes.found)
    }
}

fn topics(
    named: Option<Spanned<Vec<String>>>,
    pattern: Option<Spanned<String>>,
    mistakes: &mut Mistakes,
) -> Topics {
    match (named, pattern) {
        (Some(named), None) => {
            let line = line_of(&named);
            if named.value.is_empty() || named.value.len() > TOPICS_MAX {
                let message = format!(
                    "must be from 1 to {TOPICS_MAX} topics, got {}",
                    named.value.len()
                );
                mistakes.add(line, "spec.topics", message);
            }
            for (at, topic) in named.value.iter().enumerate() {
                if !kafka::is_topic(topic) {
                    let message = format!(
                        "must be from 1 to {} letters, digits, '.', '_' and '-', got {topic:?}",
                        kafka::TOPIC_BYTES_MAX
                    );
                    mistakes.add(line, &format!("spec.topics[{at}]"), message);
                }
            }
            Topics::Named(named.value)
        }
        (None, Some(pattern)) => {
            let line = line_of(&pattern);
            let is_short = pattern.value.len() <= PATTERN_BYTES_MAX;
            if !is_short || !pattern.value.starts_with('^') || pattern.value.contains('\0') {
                let message = format!(
                    "must be a regular expression that begins with ^ and has at most \
                     {PATTERN_BYTES_MAX} bytes"
                );
                mistakes.add(line, "spec.topicPattern", message);
            }
            Topics::Matching(pattern.value)
        }
        (None, None) | (Some(_), Some(_)) => {
            let message = "must have either topics or topicPattern";
            mistakes.add(None, "spec", message);
            Topics::Named(Vec::new())
        }
    }
}

fn group(value: Option<Spanned<String>>, name: &str, mistakes: &mut Mistakes) -> String {
    let Some(value) = value else {
        return format!("tidegate.{name}");
    };
    let is_short = (1..=GROUP_BYTES_MAX).contains(&value.value.len());
    if !is_short || value.value.chars().any(char::is_control) {
        let message = format!("must be from 1 to {GROUP_BYTES_MAX} bytes of text");
        mistakes.add(line_of(&value), "spec.group", message);
    }
    value.value
}

#[cfg(test)]
mod tests {
    use tidegate_document::{
        Secret,
        kafka::{Mechanism, Sasl},
    };

    use super::*;

    fn of(spec: &str) -> Result<KafkaSource, Vec<String>> {
        let text = format!(
            "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: KafkaSource\nmetadata: {{ name: orders }}\n\
             spec:\n{spec}"
        );
        let parsed = crate::parse_sources(&text);
        let mistakes: Vec<_> = parsed.mistakes.iter().map(ToString::to_string).collect();
        let mut documents = parsed.documents.into_iter();
        documents.next().map(|(_, one)| one).ok_or(mistakes)
    }

    /// What is left out is what loses nothing.
    #[test]
    fn a_short_document_says_enough() {
        let source = of("  brokers: [k:9092]\n  topics: [orders]\n  application: erp\n").unwrap();
        assert_eq!(source.group, "tidegate.orders");
        assert_eq!(source.start, Start::Earliest);
        assert_eq!(source.topics, Topics::Named(vec!["orders".to_owned()]));
        assert_eq!((source.format, source.cluster.tls), (None, None));
        assert!(source.partition_key);
    }

    /// Everything that can be said.
    #[test]
    fn a_long_document_is_read() {
        let source = of(
            "  brokers: ['k1:9093', 'k2:9093']\n  topicPattern: ^sap[.].*\n  group: mesh\n  \
             start: latest\n  format: generic-json\n  application: erp\n  mapping: { type: /kind }\n  \
             tls: { ca: { file: ca.pem } }\n  sasl: { mechanism: SCRAM-SHA-512, username: u, \
             password: { file: p } }\n",
        )
        .unwrap();
        assert_eq!(source.topics, Topics::Matching("^sap[.].*".to_owned()));
        assert_eq!(source.format, Some(Format::GenericJson));
        assert!(source.mapping.is_some());
        let sasl = Sasl::Password {
            mechanism: Mechanism::ScramSha512,
            username: "u".to_owned(),
            password: Secret::File("p".into()),
        };
        assert_eq!(source.cluster.sasl, Some(sasl));
        assert_eq!(source.cluster.secrets().count(), 2);
    }

    /// Each mistake is told with its place, and all at once.
    #[test]
    fn mistakes_are_told_where_they_are() {
        let usual = "  application: erp\n  brokers: [k:9092]\n";
        for (spec, said) in [
            (
                usual.to_owned(),
                "spec: must have either topics or topicPattern",
            ),
            (
                format!("{usual}  topics: [a]\n  topicPattern: ^a\n"),
                "spec: must have either",
            ),
            (
                format!("{usual}  topics: []\n"),
                "7: orders: spec.topics: must be from 1",
            ),
            (
                format!("{usual}  topics: ['a b']\n"),
                "spec.topics[0]: must be from 1",
            ),
            (
                format!("{usual}  topicPattern: a.*\n"),
                "spec.topicPattern: must be a regular",
            ),
            (
                format!("{usual}  topics: [a]\n  group: ''\n"),
                "8: orders: spec.group:",
            ),
            (format!("{usual}  topics: [a]\n  start: now\n"), "now"),
            (
                format!("{usual}  topics: [a]\n  format: kyma-legacy\n"),
                "spec.format: must not",
            ),
            (
                format!("{usual}  topics: [a]\n  tls: {{ key: {{ file: k }} }}\n"),
                "8: orders: spec.tls.certificate: must be set",
            ),
            (
                format!("{usual}  topics: [a]\n  sasl: {{ mechanism: PLAIN, username: u }}\n"),
                "spec.sasl.password: must be set",
            ),
            (
                format!(
                    "{usual}  topics: [a]\n  sasl: {{ mechanism: OAUTHBEARER, username: u }}\n"
                ),
                "spec.sasl.username: must be left out",
            ),
            (
                "  application: ''\n  brokers: [k]\n  topics: [a]\n".to_owned(),
                "6: orders: spec.brokers[0]: must be host:port",
            ),
        ] {
            let mistakes = of(&spec).unwrap_err();
            let found = mistakes.iter().any(|mistake| mistake.contains(said));
            assert!(found, "{spec}: {mistakes:?}");
        }
    }
}
