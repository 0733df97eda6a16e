//! `sink.ref` of Tidegate's Subscription: the address of what it refers to.

use kube::{
    Api, Client,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{Config, services::Services};

/// Where a Subscription has sinks.
const FIELDS: [(&str, &str); 2] = [
    ("/spec/sink", "spec.sink"),
    (
        "/spec/delivery/deadLetter/sink",
        "spec.delivery.deadLetter.sink",
    ),
];

/// Who knows what has an address.
pub(crate) struct Sinks<'a> {
    pub(crate) client: &'a Client,
    pub(crate) services: &'a Services,
    pub(crate) config: &'a Config,
}

/// A reference, as Knative has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    api_version: Option<String>,
    kind: String,
    namespace: Option<String>,
    name: String,
    port: Option<u16>,
}

/// What came of a look at a document's sinks.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// What is wrong with a reference.
    pub(crate) mistakes: Vec<String>,
    /// What is not there, or has no address yet.
    pub(crate) missing: Vec<String>,
    /// The Services that it depends on: namespace, name.
    pub(crate) services: Vec<(String, String)>,
    /// Whether it depends on something that is not watched.
    pub(crate) is_polled: bool,
}

impl Sinks<'_> {
    /// Puts addresses in the place of references.
    pub(crate) async fn resolve(
        &self,
        document: &mut Value,
        namespace: &str,
    ) -> Result<Resolved, kube::Error> {
        let mut resolved = Resolved::default();
        for (pointer, field) in FIELDS {
            let Some(sink) = document.pointer_mut(pointer) else {
                continue;
            };
            let Some(reference) = sink.get("ref").cloned() else {
                continue;
            };
            // What does not look like one is told by those who read the document.
            let Ok(reference) = serde_json::from_value::<Reference>(reference) else {
                continue;
            };
            let base = self
                .base(&reference, (namespace, field), &mut resolved)
                .await?;
            let Some(base) = base else { continue };
            let uri = sink.get("uri").and_then(Value::as_str);
            let url = uri.map_or_else(|| Ok(base.clone()), |uri| base.join(uri));
            match url {
                Ok(url) => *sink = json!({ "uri": url.as_str() }),
                Err(error) => {
                    let message = format!("{field}.uri: is no address beside ref: {error}");
                    resolved.mistakes.push(message);
                }
            }
        }
        Ok(resolved)
    }

    async fn base(
        &self,
        reference: &Reference,
        (own, field): (&str, &str),
        resolved: &mut Resolved,
    ) -> Result<Option<Url>, kube::Error> {
        let Reference {
            api_version,
            kind,
            namespace,
            name,
            port,
        } = reference;
        let namespace = namespace.as_deref().unwrap_or(own);
        if namespace != own {
            let message = format!(
                "{field}.ref.namespace: must be that of the Subscription ({own}), got {namespace}; an \
                 address by uri may be anywhere"
            );
            resolved.mistakes.push(message);
            return Ok(None);
        }
        let version = api_version.as_deref().unwrap_or("v1");
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let is_service = (group, kind.as_str()) == ("", "Service");
        // A Function has a Service of its name.
        let is_function = group == "serverless.kyma-project.io" && kind == "Function";
        if is_service || is_function {
            let service = (namespace.to_owned(), name.clone());
            resolved.services.push(service);
            if !self.services.has(namespace, name) {
                let message = format!("service {name}.{namespace} not found in the cluster");
                resolved.missing.push(message);
                return Ok(None);
            }
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            let domain = &self.config.cluster_domain;
            let text = format!("http://{name}.{namespace}.svc.{domain}{port}/");
            return Ok(Url::parse(&text).ok());
        }
        if group.is_empty() {
            let message = format!(
                "{field}.ref.kind: must be a Service, a Function or something of Knative's that has an \
                 address, got {kind} of {version}"
            );
            resolved.mistakes.push(message);
            return Ok(None);
        }
        resolved.is_polled = true;
        let kind = GroupVersionKind::gvk(group, version, kind);
        self.addressable(&kind, namespace, name, resolved).await
    }

    /// What tells its address in its status.
    async fn addressable(
        &self,
        kind: &GroupVersionKind,
        namespace: &str,
        name: &str,
        resolved: &mut Resolved,
    ) -> Result<Option<Url>, kube::Error> {
        let api = ApiResource::from_gvk(kind);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &api);
        let told = |what: &str| format!("{} {name}.{namespace} {what}", kind.kind);
        match api.get_opt(name).await {
            Ok(Some(found)) => {
                let url = found.data.pointer("/status/address/url");
                let url = url.and_then(Value::as_str);
                let url = url.and_then(|url| Url::parse(url).ok());
                if url.is_none() {
                    resolved.missing.push(told("has no address yet"));
                }
                Ok(url)
            }
            Ok(None) => {
                resolved.missing.push(told("not found in the cluster"));
                Ok(None)
            }
            // Not even its group is there.
            Err(kube::Error::Api(status)) if status.code == 404 => {
                resolved.missing.push(told("not found in the cluster"));
                Ok(None)
            }
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                let message = told("may not be read by the controller: its role has to say so");
                resolved.missing.push(message);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
