//! `spec.sink`: an address, a reference that has one, or a Kafka topic.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;
use tidegate_document::{Mistakes, kafka, line_of};
use url::Url;

use crate::{Topic, TopicName, sink::address};

/// The attribute that says which events belong together (CloudEvents Partitioning extension).
const PARTITION_KEY: &str = "partitionkey";

/// An address, or a reference that has one, as Knative's `Destination`; or a Kafka topic.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Sink", extend("minProperties" = 1))]
pub(super) struct Spec {
    /// An http or https address; beside `ref` it is relative to that.
    #[schemars(with = "Option<String>")]
    uri: Option<Spanned<String>>,
    /// What has an address.
    #[schemars(with = "Option<Reference>")]
    r#ref: Option<Spanned<Reference>>,
    /// A topic.
    #[schemars(with = "Option<KafkaSpec>")]
    kafka: Option<Spanned<KafkaSpec>>,
}

/// A Kafka topic.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KafkaSink")]
struct KafkaSpec {
    /// Some of the cluster's brokers, each `host:port`.
    #[schemars(with = "Vec<String>", length(min = 1, max = 32))]
    brokers: Spanned<Vec<String>>,
    /// The topic: a name, with `{attribute}` for what an event says, such as `orders-{type}`.
    #[schemars(with = "String")]
    topic: Spanned<String>,
    /// The attribute whose text is the record's key; `partitionkey`, unless it says so.
    #[schemars(with = "Option<String>", regex(pattern = "^[a-z0-9]+$"))]
    key: Option<Spanned<String>>,
    /// TLS to the brokers; `{}` is that with the machine's own authorities.
    #[schemars(with = "Option<kafka::TlsSpec>")]
    tls: Option<Spanned<kafka::TlsSpec>>,
    /// How brokers know Tidegate.
    #[schemars(with = "Option<kafka::SaslSpec>")]
    sasl: Option<Spanned<kafka::SaslSpec>>,
}

/// What a document says of a sink.
pub(super) struct Parsed {
    pub(super) address: Url,
    pub(super) topic: Option<Topic>,
}

/// A Service; on Kubernetes also a Kyma Function, or what tells its address as Knative has it, since
/// only a cluster knows that.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Reference {
    /// Its group and version, `v1` unless it says so.
    #[schemars(extend("enum" = ["v1"]))]
    api_version: Option<String>,
    /// Its kind, such as `Service`.
    #[schemars(extend("enum" = ["Service"]))]
    kind: String,
    /// The Subscription's own, unless it says so.
    namespace: Option<String>,
    /// Its name.
    name: String,
    /// The Service's port, 80 unless it says so.
    port: Option<u16>,
}

/// A sink of any kind.
pub(super) fn parse(
    spec: Option<Spanned<Spec>>,
    namespace: &str,
    mistakes: &mut Mistakes,
) -> Option<Parsed> {
    const FIELD: &str = "spec.sink";
    let Some(spec) = spec else {
        let message = "must be set: { uri: http://… }, { ref: … } or { kafka: … }";
        mistakes.add(None, FIELD, message);
        return None;
    };
    if let (None, None, Some(kafka)) = (&spec.value.uri, &spec.value.r#ref, &spec.value.kafka) {
        let line = line_of(kafka);
        return topic(spec.value.kafka?.value, line, mistakes);
    }
    let address = http(spec, FIELD, namespace, mistakes)?;
    Some(Parsed {
        address,
        topic: None,
    })
}

/// One that is an address.
pub(super) fn http(
    spec: Spanned<Spec>,
    field: &str,
    namespace: &str,
    mistakes: &mut Mistakes,
) -> Option<Url> {
    let line = line_of(&spec);
    if let Some(kafka) = &spec.value.kafka {
        let message = "must be left out: it is either a topic or an address";
        mistakes.add(line_of(kafka), &format!("{field}.kafka"), message);
        return None;
    }
    let base = match &spec.value.r#ref {
        Some(reference) => Some(resolved(reference, field, namespace, mistakes)?),
        None => None,
    };
    match (base, &spec.value.uri) {
        (None, None) => {
            mistakes.add(line, field, "must have uri or ref");
            None
        }
        (Some(base), None) => Some(base),
        (base, Some(uri)) => {
            // Beside a reference it is relative to that, as in Knative.
            let text = match &base {
                Some(base) => base.join(&uri.value).map(|url| url.to_string()),
                None => Ok(uri.value.clone()),
            };
            let found = text
                .map_err(|error| format!("failed to parse subscription sink URL: {error}"))
                .and_then(|text| address(&text));
            found
                .map_err(|message| mistakes.add(line_of(uri), &format!("{field}.uri"), message))
                .ok()
        }
    }
}

fn topic(spec: KafkaSpec, line: Option<usize>, mistakes: &mut Mistakes) -> Option<Parsed> {
    const FIELD: &str = "spec.sink.kafka";
    let KafkaSpec {
        brokers,
        topic,
        key,
        tls,
        sasl,
    } = spec;
    let cluster = kafka::parse(brokers, tls, sasl, FIELD, mistakes);
    let name = TopicName::parse(&topic.value)
        .map_err(|message| mistakes.add(line_of(&topic), &format!("{FIELD}.topic"), message))
        .ok()?;
    let key = match key {
        None => PARTITION_KEY.to_owned(),
        Some(key) => {
            if !is_attribute(&key.value) {
                let message = "must be an attribute: lower-case letters and digits";
                mistakes.add(line_of(&key), &format!("{FIELD}.key"), message);
            }
            key.value
        }
    };
    // What people see of it. Of a broker that is wrong, a mistake is told already.
    let broker = cluster.brokers.first().map_or("", String::as_str);
    match Url::parse(&format!("kafka://{broker}/{name}")) {
        Ok(address) => {
            let topic = Some(Topic { cluster, name, key });
            Some(Parsed { address, topic })
        }
        Err(error) => {
            let message = format!("no address can be made of it: {error}");
            mistakes.add(line, &format!("{FIELD}.brokers[0]"), message);
            None
        }
    }
}

fn is_attribute(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !text.is_empty() && text.bytes().all(legal)
}

/// The address of what is referred to. A Service is found by its name in the cluster's DNS; other
/// kinds have an address that only the cluster knows.
fn resolved(
    reference: &Spanned<Reference>,
    field: &str,
    own: &str,
    mistakes: &mut Mistakes,
) -> Option<Url> {
    let Reference {
        api_version,
        kind,
        namespace,
        name,
        port,
    } = &reference.value;
    let version = api_version.as_deref().unwrap_or("v1");
    if (version, kind.as_str()) != ("v1", "Service") {
        let message = format!("must be a Service of v1, got {kind} of {version}");
        mistakes.add(line_of(reference), &format!("{field}.ref.kind"), message);
        return None;
    }
    let namespace = namespace.as_deref().unwrap_or(own);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let text = format!("http://{name}.{namespace}.svc.cluster.local{port}/");
    address(&text)
        .map_err(|message| mistakes.add(line_of(reference), &format!("{field}.ref"), message))
        .ok()
}
