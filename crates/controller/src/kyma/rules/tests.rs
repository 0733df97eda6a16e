//! Every message of Kyma's validation.

use serde_json::json;

use super::*;

const SINK: &str = "http://billing.shop.svc.cluster.local/events";

fn judged(spec: &Value) -> Vec<String> {
    let document = json!({
        "apiVersion": "eventing.kyma-project.io/v1alpha2",
        "kind": "Subscription",
        "metadata": { "name": "a", "namespace": "shop" },
        "spec": spec,
    });
    let parsed = tidegate_subscription::parse(&document.to_string());
    let judged = mistakes(&document, &parsed.mistakes, ("shop", "cluster.local"));
    judged.err().unwrap_or_default()
}

/// What a good one has, but for what is given.
fn with(other: &Value) -> Value {
    let mut spec = json!({
        "sink": SINK, "source": "commerce", "types": ["order.created.v1"], "typeMatching": "standard",
    });
    let fields = spec.as_object_mut().unwrap();
    fields.extend(other.as_object().unwrap().clone());
    spec
}

/// What a document has in the place of something good, and what is said of it.
fn wrong() -> Vec<(Value, &'static str)> {
    let config = |key: &str, value: &str| json!({ "config": { key: value } });
    let sink = |text: &str| json!({ "sink": text });
    let mut rows = of_events();
    rows.extend([
        (
            config("maxInFlightMessages", "many"),
            r#"spec.config: Invalid value: "many": maxInFlightMessages must be a stringified int value"#,
        ),
        (
            config("qos", "SOME"),
            r#"spec.config: Invalid value: "SOME": must be a valid QoS value AT_LEAST_ONCE or AT_MOST_ONCE"#,
        ),
        (
            config("type", "basic"),
            r#"spec.config: Invalid value: "basic": must be a valid Auth Type value oauth2"#,
        ),
        (
            config("grantType", "password"),
            r#"spec.config: Invalid value: "password": must be a valid Grant Type value client_credentials"#,
        ),
        (
            json!({ "typeMatching": "" }),
            r#"spec.typeMatching: Invalid value: "": must be a valid TypeMatching value exact or standard"#,
        ),
        (sink(""), r#"spec.sink: Invalid value: "": must not be empty"#),
        (
            sink("billing.shop.svc.cluster.local"),
            r#"spec.sink: Invalid value: "billing.shop.svc.cluster.local": must have URL scheme 'http' or 'https'"#,
        ),
        (
            sink("http://billing.shop.example"),
            r#"spec.sink: Invalid value: "http://billing.shop.example": must have valid sink URL suffix svc.cluster.local"#,
        ),
        (
            sink("http://a.billing.shop.svc.cluster.local"),
            r#"spec.sink: Invalid value: "http://a.billing.shop.svc.cluster.local": must have sink URL with 5 sub-domains: a.billing.shop.svc.cluster.local"#,
        ),
        (
            sink("http://billing.else.svc.cluster.local"),
            r#"metadata.namespace: Invalid value: "http://billing.else.svc.cluster.local": must have the same namespace as the subscriber: else"#,
        ),
    ]);
    rows
}

/// Of sources and types.
fn of_events() -> Vec<(Value, &'static str)> {
    let source = |text: &str| json!({ "source": text });
    let types = |types: &[&str]| json!({ "types": types });
    vec![
        (
            source(""),
            r#"spec.source: Invalid value: "": must not be empty"#,
        ),
        (
            source("s%ourc%e"),
            r#"spec.source: Invalid value: "s%ourc%e": must be valid as per RFC 3986"#,
        ),
        (
            types(&[]),
            r#"spec.types: Invalid value: "": must not be empty"#,
        ),
        (
            types(&["a.b", "c.d", "a.b", "c.d", "c.d"]),
            r#"spec.types: Invalid value: "a.b,c.d": must not have duplicate types"#,
        ),
        (
            types(&["order.created.v1", ""]),
            r#"spec.types: Invalid value: "": must not be of length zero"#,
        ),
        (
            types(&["order"]),
            r#"spec.types: Invalid value: "order": must have minimum 2 segments"#,
        ),
        (
            types(&["order", "a.b", "a.b"]),
            r#"spec.types: Invalid value: "a.b": must not have duplicate types"#,
        ),
        (
            types(&["sap.kyma.custom.a.b.c.v1"]),
            r#"spec.types: Invalid value: "sap.kyma.custom.a.b.c.v1": must not have sap.kyma.custom as type prefix"#,
        ),
    ]
}

/// Dashboards and scripts look for these words.
#[test]
fn each_mistake_is_told_in_the_words_that_kyma_has() {
    assert_eq!(judged(&with(&json!({}))), Vec::<String>::new());
    for (spec, message) in wrong() {
        assert_eq!(judged(&with(&spec)), [message], "{spec}");
    }
    let unparsable = judged(&with(&json!({ "sink": "http://a b" })));
    assert!(
        unparsable[0].starts_with(
            r#"spec.sink: Invalid value: "http://a b": failed to parse subscription sink URL: "#
        ),
        "{unparsable:?}"
    );
    // A type of CloudEvents is any text; what has a control character is none.
    let control = judged(&with(&json!({ "types": ["a.\u{1}b"] })));
    assert!(
        control[0].ends_with("must be valid as per RFC 3986"),
        "{control:?}"
    );
}

/// In the order in which Kyma looks at fields.
#[test]
fn several_mistakes_stand_in_brackets() {
    let spec = json!({ "typeMatching": "any", "source": "", "types": [], "sink": "" });
    let judged = judged(&spec);
    let fields: Vec<_> = judged
        .iter()
        .map(|one| one.split(':').next().unwrap())
        .collect();
    assert_eq!(
        fields,
        [
            "spec.typeMatching",
            "spec.source",
            "spec.types",
            "spec.sink"
        ]
    );
    let message = super::super::message(&judged);
    assert!(
        message.starts_with(
            "Subscription validation failed: [spec.typeMatching: Invalid value: \"any\""
        ),
        "{message}"
    );
    assert!(message.ends_with("\"\": must not be empty]"), "{message}");
}
