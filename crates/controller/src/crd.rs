//! The custom resources' definitions, made of the types that read and write them.

mod structural;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::{
    kinds::{GROUP, KYMA_GROUP, KYMA_VERSION, VERSION},
    kyma,
    status::{ApplicationStatus, SubscriptionStatus},
};

/// Where the status of a condition is, for a column.
fn condition(name: &str) -> String {
    format!(".status.conditions[?(@.type==\"{name}\")].status")
}

/// All of them, by the name of a file: Tidegate's own, and Kyma's for clusters without it.
pub fn definitions() -> [(&'static str, Value); 4] {
    [
        ("subscriptions.yaml", subscriptions()),
        ("applications.yaml", applications()),
        ("kafka-sources.yaml", kafka_sources()),
        ("kyma-subscriptions.yaml", kyma_subscriptions()),
    ]
}

fn subscriptions() -> Value {
    let mut spec = structural::of(tidegate_subscription::spec_schema());
    validations(&mut spec);
    let columns = json!([
        column("Ready", "string", &condition("Ready")),
        column("Sink", "string", ".status.sink"),
        column("Lag", "integer", ".status.delivery.lag"),
        column("Dead", "integer", ".status.delivery.deadLetters"),
        column("Age", "date", ".metadata.creationTimestamp"),
    ]);
    let names = json!({
        "kind": "Subscription", "listKind": "SubscriptionList",
        "plural": "subscriptions", "singular": "subscription",
        "shortNames": ["tgsub"], "categories": ["tidegate"],
    });
    let schema = json!({
        "type": "object",
        "description": "Which events go to which sink, and how.",
        "required": ["spec"],
        "properties": {
            "spec": spec,
            "status": status::<SubscriptionStatus>("How it stands; written by Tidegate."),
        },
    });
    definition((GROUP, VERSION, "Namespaced"), &names, &columns, schema)
}

fn applications() -> Value {
    let mut spec = structural::of(tidegate_application::spec_schema());
    let rule = "self.authentication.size() == 1 || !self.authentication.exists(a, has(a.none))";
    add_rule(
        &mut spec,
        rule,
        "none makes the other ways of authentication pointless",
    );
    let columns = json!([
        column("Ready", "string", &condition("Ready")),
        column("Format", "string", ".spec.format"),
        column("Age", "date", ".metadata.creationTimestamp"),
    ]);
    let names = json!({
        "kind": "Application", "listKind": "ApplicationList",
        "plural": "applications", "singular": "application",
        "shortNames": ["tgapp"], "categories": ["tidegate"],
    });
    let schema = json!({
        "type": "object",
        "description": "A connected system: how it proves who it is, and what it may send.",
        "required": ["spec"],
        "properties": {
            "spec": spec,
            "status": status::<ApplicationStatus>("How it stands; written by Tidegate."),
        },
    });
    definition((GROUP, VERSION, "Cluster"), &names, &columns, schema)
}

fn kafka_sources() -> Value {
    let mut spec = structural::of(tidegate_application::source_spec_schema());
    let rule = "has(self.topics) != has(self.topicPattern)";
    add_rule(&mut spec, rule, "must have either topics or topicPattern");
    let columns = json!([
        column("Ready", "string", &condition("Ready")),
        column("Application", "string", ".spec.application"),
        column("Topics", "string", ".spec.topics"),
        column("Age", "date", ".metadata.creationTimestamp"),
    ]);
    let names = json!({
        "kind": "KafkaSource", "listKind": "KafkaSourceList",
        "plural": "kafkasources", "singular": "kafkasource",
        "shortNames": ["tgkafka"], "categories": ["tidegate"],
    });
    let schema = json!({
        "type": "object",
        "description": "Kafka topics whose records are taken as events of an Application.",
        "required": ["spec"],
        "properties": {
            "spec": spec,
            "status": status::<ApplicationStatus>("How it stands; written by Tidegate."),
        },
    });
    definition((GROUP, VERSION, "Cluster"), &names, &columns, schema)
}

fn kyma_subscriptions() -> Value {
    let columns = json!([
        column("Ready", "string", ".status.ready"),
        column("Age", "date", ".metadata.creationTimestamp"),
    ]);
    let names = json!({
        "kind": "Subscription", "listKind": "SubscriptionList",
        "plural": "subscriptions", "singular": "subscription",
        "categories": ["kyma-eventing"],
    });
    let mut spec = structural::of(schema::<kyma::Spec>());
    describe(&mut spec, "Which events go to which Service.");
    let schema = json!({
        "type": "object",
        "description": "Which events go to which Service, as Kyma has it.",
        "properties": {
            "spec": spec,
            "status": status::<kyma::Status>("How it stands."),
        },
    });
    definition(
        (KYMA_GROUP, KYMA_VERSION, "Namespaced"),
        &names,
        &columns,
        schema,
    )
}

fn definition(
    (group, version, scope): (&str, &str, &str),
    names: &Value,
    columns: &Value,
    mut schema: Value,
) -> Value {
    let plural = names
        .get("plural")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if let Some(properties) = schema
        .pointer_mut("/properties")
        .and_then(Value::as_object_mut)
    {
        let words = [
            (
                "apiVersion",
                json!({ "type": "string", "description": "The group and version." }),
            ),
            (
                "kind",
                json!({ "type": "string", "description": "The kind." }),
            ),
            // The API server wants no words of its own things here.
            ("metadata", json!({ "type": "object" })),
        ];
        properties.extend(words.map(|(name, schema)| (name.to_owned(), schema)));
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group,
            "names": names,
            "scope": scope,
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns,
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
}

fn column(name: &str, r#type: &str, path: &str) -> Value {
    json!({ "name": name, "type": r#type, "jsonPath": path })
}

fn status<T: JsonSchema>(description: &str) -> Value {
    let mut status = structural::of(schema::<T>());
    describe(&mut status, description);
    // Several writers may each have conditions of their own.
    let conditions = status.pointer_mut("/properties/conditions");
    let is_own = conditions.as_ref().is_some_and(|conditions| {
        conditions
            .pointer("/items/properties/observedGeneration")
            .is_some()
    });
    if let Some(Value::Object(conditions)) = conditions
        && is_own
    {
        conditions.insert("x-kubernetes-list-type".to_owned(), json!("map"));
        conditions.insert("x-kubernetes-list-map-keys".to_owned(), json!(["type"]));
    }
    status
}

fn schema<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

fn describe(schema: &mut Value, description: &str) {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), json!(description));
    }
}

/// What a schema cannot say and the API server can check: the rest is told in a condition.
fn validations(spec: &mut Value) {
    // In a cluster there is more than Services.
    for sink in ["", "/delivery/properties/deadLetter/properties"] {
        for field in ["apiVersion", "kind"] {
            let pointer = format!("/properties{sink}/sink/properties/ref/properties/{field}");
            if let Some(Value::Object(field)) = spec.pointer_mut(&pointer) {
                field.remove("enum");
            }
        }
    }
    if let Some(sink) = spec.pointer_mut("/properties/sink") {
        add_rule(
            sink,
            "has(self.kafka) != (has(self.uri) || has(self.ref))",
            "must have uri or ref, or else kafka",
        );
    }
    if let Some(place) = spec.pointer_mut("/properties/delivery/properties/tls") {
        let rule = "has(self.certificate) == has(self.key)";
        add_rule(place, rule, "a certificate is shown with its key");
    }
    if let Some(auth) = spec.pointer_mut("/properties/delivery/properties/auth") {
        let rule = "[has(self.basic), has(self.bearer), has(self.oauth2)].exists_one(x, x)";
        add_rule(auth, rule, "must have one of basic, bearer and oauth2");
    }
}

fn add_rule(schema: &mut Value, rule: &str, message: &str) {
    const RULES: &str = "x-kubernetes-validations";
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    let rules = schema.entry(RULES).or_insert_with(|| json!([]));
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({ "rule": rule, "message": message }));
    }
}

#[cfg(test)]
mod tests;
