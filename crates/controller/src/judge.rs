//! What is to become of a resource: whether its document can run, and as what.

use kube::{ResourceExt as _, core::DynamicObject};
use serde_json::{Value, json};
use tidegate_document::Mistake;
use tidegate_snapshot::Entry;
use tidegate_subscription::Subscription;

use crate::{
    Error,
    kinds::Kind,
    kyma,
    sinks::{Resolved, Sinks},
};

/// What documents of a cluster may not name.
const NOT_BELOW: &str = "a secret must be { file: … } without .. and not absolute: it is below the \
                         folder of the resource's secrets";

/// What is to become of a resource.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// The Services that it depends on: namespace, name.
    pub(crate) services: Vec<(String, String)>,
    /// Whether it depends on something that is not watched.
    pub(crate) is_polled: bool,
}

/// Whether it can run.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It does.
    Runs {
        entry: Entry,
        /// None for what gateways take.
        subscription: Option<Box<Subscription>>,
    },
    /// Its document is wrong: what ran of it before goes on.
    Invalid(Vec<String>),
    /// There is nowhere to deliver to: nothing is, and what ran before is held.
    NoSink(String),
}

/// The resource as a document, with nothing that its author has not said.
fn document(kind: Kind, object: &DynamicObject) -> Value {
    let api = kind.api();
    let mut metadata = json!({ "name": object.name_any() });
    if let (Some(namespace), Some(metadata)) = (object.namespace(), metadata.as_object_mut()) {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    json!({
        "apiVersion": api.api_version,
        "kind": api.kind,
        "metadata": metadata,
        "spec": object.data.get("spec").cloned().unwrap_or_default(),
    })
}

/// Judges a resource.
pub(crate) async fn judge(
    kind: Kind,
    object: &DynamicObject,
    sinks: &Sinks<'_>,
) -> Result<Judged, Error> {
    let namespace = object.namespace().unwrap_or_default();
    let mut document = document(kind, object);
    let judged = match kind {
        Kind::KymaSubscription => kyma_subscription(document, &namespace, sinks),
        Kind::Subscription => {
            let resolved = sinks.resolve(&mut document, &namespace).await?;
            subscription(document, resolved)
        }
        Kind::Application => alone(application(document)),
        Kind::KafkaSource => alone(kafka_source(document)),
    };
    Ok(judged)
}

/// It depends on nothing else.
fn alone(verdict: Verdict) -> Judged {
    Judged {
        verdict,
        services: Vec::new(),
        is_polled: false,
    }
}

/// Settings of a backend that there is not here stay in the cluster: one is a secret in clear text.
fn without_other_settings(mut document: Value) -> Value {
    if let Some(config) = document
        .pointer_mut("/spec/config")
        .and_then(Value::as_object_mut)
    {
        config.retain(|key, _| key == "maxInFlightMessages");
    }
    document
}

fn kyma_subscription(document: Value, namespace: &str, sinks: &Sinks<'_>) -> Judged {
    let parsed = tidegate_subscription::parse(&document.to_string());
    let of = (namespace, sinks.config.cluster_domain.as_str());
    let sink = match kyma::mistakes(&document, &parsed.mistakes, of) {
        Ok(sink) => sink,
        Err(mistakes) => {
            return Judged {
                verdict: Verdict::Invalid(mistakes),
                services: Vec::new(),
                is_polled: false,
            };
        }
    };
    let kyma::Sink { namespace, name } = sink;
    let verdict = if sinks.services.has(&namespace, &name) {
        runs(without_other_settings(document), parsed.documents)
    } else {
        Verdict::NoSink(format!(
            "Sink validation failed: service {name}.{namespace} not found in the cluster"
        ))
    };
    Judged {
        verdict,
        services: vec![(namespace, name)],
        is_polled: false,
    }
}

fn subscription(document: Value, resolved: Resolved) -> Judged {
    let Resolved {
        mistakes,
        missing,
        services,
        is_polled,
    } = resolved;
    let judged = |verdict| Judged {
        verdict,
        services,
        is_polled,
    };
    if !mistakes.is_empty() {
        return judged(Verdict::Invalid(mistakes));
    }
    if !missing.is_empty() {
        return judged(Verdict::NoSink(missing.join("; ")));
    }
    let parsed = tidegate_subscription::parse(&document.to_string());
    if !parsed.mistakes.is_empty() {
        return judged(Verdict::Invalid(texts(&parsed.mistakes)));
    }
    let is_below = parsed.documents.iter().all(|(_, found)| {
        let secrets = found.secrets();
        secrets.iter().all(|secret| secret.is_below())
    });
    if !is_below {
        return judged(Verdict::Invalid(vec![NOT_BELOW.to_owned()]));
    }
    judged(runs(document, parsed.documents))
}

fn application(document: Value) -> Verdict {
    let parsed = tidegate_application::parse(&document.to_string());
    if !parsed.mistakes.is_empty() {
        return Verdict::Invalid(texts(&parsed.mistakes));
    }
    let is_below = parsed.documents.iter().all(|(_, found)| {
        let mut secrets = found.authentication.iter().filter_map(|one| one.secret());
        secrets.all(|secret| secret.is_below())
    });
    taken(document, is_below)
}

fn kafka_source(document: Value) -> Verdict {
    let parsed = tidegate_application::parse_sources(&document.to_string());
    if !parsed.mistakes.is_empty() {
        return Verdict::Invalid(texts(&parsed.mistakes));
    }
    let is_below = parsed.documents.iter().all(|(_, found)| {
        let mut secrets = found.cluster.secrets();
        secrets.all(|secret| secret.is_below())
    });
    taken(document, is_below)
}

/// By gateways, if its secrets are where it may have some.
fn taken(document: Value, is_below: bool) -> Verdict {
    if !is_below {
        return Verdict::Invalid(vec![NOT_BELOW.to_owned()]);
    }
    Verdict::Runs {
        entry: Entry {
            document,
            held: None,
        },
        subscription: None,
    }
}

fn runs(document: Value, found: Vec<(usize, Subscription)>) -> Verdict {
    let subscription = found.into_iter().next().map(|(_, found)| Box::new(found));
    Verdict::Runs {
        entry: Entry {
            document,
            held: None,
        },
        subscription,
    }
}

/// Without lines: nobody has written the document that is read here.
fn texts(mistakes: &[Mistake]) -> Vec<String> {
    let text = |mistake: &Mistake| match mistake.field.as_str() {
        "" => mistake.message.clone(),
        field => format!("{field}: {}", mistake.message),
    };
    mistakes.iter().map(text).collect()
}
