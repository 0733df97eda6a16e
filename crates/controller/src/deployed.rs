//! The objects of its own deployment, as the chart has made them: what somebody changes in them, or
//! deletes, is put back.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta},
};
use serde_json::Value;

/// Who writes them first; another name would be in Helm's way at the next upgrade.
const HELM: &str = "helm";

/// Where the ConfigMap has them, as a list.
const OBJECTS: &str = "objects.json";

/// Most of them that are looked at.
const OBJECTS_MAX: usize = 64;

/// How long one is not there before it is made anew. Helm takes the ConfigMap away after the others,
/// so that one that has just gone may be on its way out with all of them.
const MISSING_MIN: Duration = Duration::from_secs(8);

/// What an API server adds, and what others say.
const NOT_OURS: [&str; 6] = [
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Keeps them.
pub(crate) struct Deployed {
    client: Client,
    namespace: String,
    config_map: String,
    /// Versions of an object and of the ConfigMap that agree.
    agreed: HashMap<String, (String, String)>,
    /// Those that are not there, and since when.
    missing: HashMap<String, Instant>,
    /// Those that could not be put back, and why.
    refused: HashMap<String, String>,
}

/// What was found, and done.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    /// It is as it should be again.
    Reverted { object: String, was: &'static str },
    /// It is not.
    Refused { object: String, why: String },
}

impl Deployed {
    pub(crate) fn new(client: Client, namespace: &str, config_map: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            config_map: config_map.to_owned(),
            agreed: HashMap::new(),
            missing: HashMap::new(),
            refused: HashMap::new(),
        }
    }

    /// Looks at all of them.
    pub(crate) async fn mend(&mut self) -> Result<Vec<Found>, kube::Error> {
        let (objects, version) = self.objects().await?;
        let mut found = Vec::new();
        for object in objects {
            let name = name(&object);
            match self.mend_one(&name, object, &version).await {
                Ok(was) => {
                    self.refused.remove(&name);
                    found.extend(was.map(|was| Found::Reverted { object: name, was }));
                }
                // Somebody was faster, Helm perhaps.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(kube::Error::Api(status)) => {
                    let why = status.message.clone();
                    // Told once, not at each look.
                    if self.refused.insert(name.clone(), why.clone()).as_ref() != Some(&why) {
                        found.push(Found::Refused { object: name, why });
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// What was wrong with it, if it is mended now.
    async fn mend_one(
        &mut self,
        name: &str,
        mut object: DynamicObject,
        version: &str,
    ) -> Result<Option<&'static str>, kube::Error> {
        let Some(api) = self.api(&object) else {
            return Ok(None);
        };
        let its_name = object.name_any();
        let live = api.get_opt(&its_name).await?;
        let was = match &live {
            None => {
                let since = self.missing.entry(name.to_owned());
                if since.or_insert_with(Instant::now).elapsed() < MISSING_MIN {
                    return Ok(None);
                }
                "deleted"
            }
            Some(live) => {
                self.missing.remove(name);
                let versions = (
                    live.resource_version().unwrap_or_default(),
                    version.to_owned(),
                );
                if self.agreed.get(name) == Some(&versions) {
                    return Ok(None);
                }
                // The API server alone knows that 1000m is 1, and what is there by default.
                let dry = PatchParams::apply(HELM).force().dry_run();
                let wanted = api.patch(&its_name, &dry, &Patch::Apply(&object)).await?;
                if essence(&wanted) == essence(live) {
                    self.agreed.insert(name.to_owned(), versions);
                    return Ok(None);
                }
                // As it was looked at, or not at all.
                object.metadata.resource_version = live.resource_version();
                "changed"
            }
        };
        // Helm writes the ConfigMap before Services and Deployments. If that is still the one that
        // was read, none of them was written by an upgrade before it was looked at.
        if self.objects().await?.1 != version {
            return Ok(None);
        }
        let apply = PatchParams::apply(HELM).force();
        api.patch(&its_name, &apply, &Patch::Apply(&object)).await?;
        self.missing.remove(name);
        Ok(Some(was))
    }

    /// What there should be, and which version of the ConfigMap says so; without one, nothing.
    async fn objects(&self) -> Result<(Vec<DynamicObject>, String), kube::Error> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let Some(config_map) = api.get_opt(&self.config_map).await? else {
            return Ok((Vec::new(), String::new()));
        };
        let version = config_map.resource_version().unwrap_or_default();
        let text = config_map.data.and_then(|mut data| data.remove(OBJECTS));
        let objects = parse(&text.unwrap_or_default()).unwrap_or_else(|error| {
            tracing::warn!(name = self.config_map, %error, "what is deployed cannot be read");
            Vec::new()
        });
        Ok((objects, version))
    }

    fn api(&self, object: &DynamicObject) -> Option<Api<DynamicObject>> {
        let types = object.types.as_ref()?;
        let kind = GroupVersionKind::try_from(types).ok()?;
        let namespace = object.namespace()?;
        let resource = ApiResource::from_gvk(&kind);
        Some(Api::namespaced_with(
            self.client.clone(),
            &namespace,
            &resource,
        ))
    }
}

fn parse(text: &str) -> Result<Vec<DynamicObject>, serde_json::Error> {
    let mut objects: Vec<DynamicObject> = serde_json::from_str(text)?;
    objects.truncate(OBJECTS_MAX);
    Ok(objects)
}

/// As people call it.
fn name(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map(|TypeMeta { kind, .. }| &**kind);
    format!(
        "{} {}/{}",
        kind.unwrap_or_default(),
        object.namespace().unwrap_or_default(),
        object.name_any()
    )
}

/// What of an object somebody has said.
fn essence(object: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|name, _| !NOT_OURS.contains(&&**name));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> DynamicObject {
        serde_json::from_str(text).unwrap()
    }

    /// Who wrote it when, and how it is going, is no change of it; everything else is.
    #[test]
    fn only_what_somebody_has_said_counts() {
        let one = object(
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"n",
                "resourceVersion":"1","generation":1},"spec":{"ports":[1]}}"#,
        );
        let later = object(
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"n",
                "resourceVersion":"2","generation":2},"spec":{"ports":[1]},"status":{"b":1}}"#,
        );
        assert_eq!(essence(&one), essence(&later));
        let mut labelled = later.clone();
        labelled.labels_mut().insert("a".to_owned(), "b".to_owned());
        assert_ne!(essence(&one), essence(&labelled));
        let mut other = later;
        other.data["spec"]["ports"] = Value::from(2);
        assert_ne!(essence(&one), essence(&other));
        assert_eq!(name(&one), "Service n/a");
    }

    /// Somebody may have written anything into it.
    #[test]
    fn what_is_no_list_of_objects_is_an_error_and_a_long_one_is_cut() {
        for text in ["", "{}", "[1]", "[{\"metadata\":1}]"] {
            assert!(parse(text).is_err(), "{text}");
        }
        let many = vec![r#"{"metadata":{"name":"a"}}"#; OBJECTS_MAX + 1].join(",");
        assert_eq!(parse(&format!("[{many}]")).unwrap().len(), OBJECTS_MAX);
    }
}
