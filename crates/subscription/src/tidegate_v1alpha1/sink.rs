//! `spec.sink`: an address, or a reference that has one.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;
use tidegate_document::{Mistakes, line_of};
use url::Url;

use crate::sink::address;

/// An address, or a reference that has one, as Knative's `Destination`.
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

pub(super) fn parse(
    spec: Option<Spanned<Spec>>,
    field: &str,
    namespace: &str,
    mistakes: &mut Mistakes,
) -> Option<Url> {
    let Some(spec) = spec else {
        mistakes.add(None, field, "must be set: { uri: http://… } or { ref: … }");
        return None;
    };
    let line = line_of(&spec);
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
