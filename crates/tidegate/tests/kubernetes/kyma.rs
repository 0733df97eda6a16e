//! What somebody has who comes from Kyma: the same manifests, doors and status.

use serde_json::{Value, json};
use tidegate_testkit::Sink;

use crate::cluster::{Cluster, KYMA, condition, is_ready, kyma, service, sink_of};

/// From kubectl to the sink, with the status that scripts look for.
#[tokio::test]
async fn a_manifest_of_kyma_gets_its_events() {
    let cluster = Cluster::with(2, 2, 2).await;
    let (first, second) = (Sink::start(|_| 200).await, Sink::start(|_| 200).await);
    let name = (KYMA, "orders");
    cluster.apply(&service("billing")).await;
    cluster.apply(&service("shipping")).await;
    let at = |service: &str, sink: &Sink| sink_of(service, &sink.url());
    cluster
        .apply(&kyma("orders", &at("billing", &first), "order.created.v1"))
        .await;
    let ready = cluster.until(name, "ready", is_ready).await;
    let status = &ready["status"];
    assert_eq!(
        status["types"],
        json!([{ "originalType": "order.created.v1", "cleanType": "order.created.v1" }])
    );
    assert_eq!(
        status["backend"]["types"][0]["originalType"],
        "order.created.v1"
    );
    let active = condition(&ready, "Subscription active");
    assert_eq!(
        (&active["status"], &active["reason"]),
        (&"True".into(), &"NATS Subscription active".into())
    );
    let valid = condition(&ready, "Subscription spec valid");
    assert_eq!(
        valid["reason"],
        "Subscription spec has no validation errors"
    );
    for gateway in [0, 1] {
        let data = format!(r#"{{"gateway":{gateway}}}"#);
        cluster.publish(gateway, "order.created", &data).await;
    }
    let received = cluster.received(&first, 2).await;
    assert_eq!(received[0].header("ce-type"), Some("order.created.v1"));

    // Another sink, then another type: nothing goes to where it went before.
    cluster
        .apply(&kyma(
            "orders",
            &at("shipping", &second),
            "order.created.v1",
        ))
        .await;
    for n in 0.. {
        if second.count() > 0 {
            break;
        }
        let data = format!(r#"{{"try":{n}}}"#);
        cluster.publish(0, "order.created", &data).await;
    }
    let before = first.count();
    cluster
        .apply(&kyma("orders", &at("shipping", &second), "order.paid.v1"))
        .await;
    let has_new_type =
        |one: &Value| one["status"]["types"][0]["originalType"] == "order.paid.v1" && is_ready(one);
    cluster.until(name, "of the new type", has_new_type).await;
    let old = second.count();
    cluster.publish(0, "order.created", r#"{"n":3}"#).await;
    cluster.publish(1, "order.paid", r#"{"n":4}"#).await;
    let received = cluster.received(&second, old + 1).await;
    assert_eq!(received[old].header("ce-type"), Some("order.paid.v1"));

    is_gone_when_deleted(&cluster, &second).await;
    assert_eq!(first.count(), before);
}

/// What is deleted is gone for kubectl when it gets nothing any more.
async fn is_gone_when_deleted(cluster: &Cluster, sink: &Sink) {
    let old = sink.count();
    cluster
        .kubectl(&format!("delete {KYMA} orders -n shop --timeout=60s"))
        .await;
    cluster.publish(0, "order.paid", r#"{"n":5}"#).await;
    cluster
        .apply(&kyma(
            "others",
            &sink_of("shipping", &sink.url()),
            "order.paid.v1",
        ))
        .await;
    cluster.until((KYMA, "others"), "ready", is_ready).await;
    cluster.publish(0, "order.paid", r#"{"n":6}"#).await;
    let received = cluster.received(sink, old + 1).await;
    let has = |text: &[u8]| {
        received[old]
            .body
            .windows(text.len())
            .any(|part| part == text)
    };
    assert!(has(br#"{"n":6}"#), "{:?}", received[old]);
}

/// What stands in the place of a good document's spec, and what is said of it.
fn wrong() -> Vec<(String, &'static str)> {
    const GOOD: &str = "http://billing.shop.svc.cluster.local/";
    let wrong = |sink: &str, rest: &str| format!("sink: \"{sink}\"\n  {rest}");
    let good = "source: commerce\n  types: [order.created.v1]";
    let mut rows = of_events();
    rows.extend([
        (
            wrong(
                GOOD,
                &format!("{good}\n  config: {{ maxInFlightMessages: many }}"),
            ),
            "spec.config: Invalid value: \"many\": maxInFlightMessages must be a stringified int value",
        ),
        (
            wrong(GOOD, &format!("{good}\n  config: {{ qos: SOME }}")),
            "spec.config: Invalid value: \"SOME\": must be a valid QoS value AT_LEAST_ONCE or AT_MOST_ONCE",
        ),
        (
            wrong(GOOD, &format!("{good}\n  config: {{ type: basic }}")),
            "spec.config: Invalid value: \"basic\": must be a valid Auth Type value oauth2",
        ),
        (
            wrong(
                GOOD,
                &format!("{good}\n  config: {{ grantType: password }}"),
            ),
            "spec.config: Invalid value: \"password\": must be a valid Grant Type value client_credentials",
        ),
        (
            wrong(GOOD, &format!("{good}\n  typeMatching: any")),
            "spec.typeMatching: Invalid value: \"any\": must be a valid TypeMatching value exact or standard",
        ),
        (
            wrong("", good),
            "spec.sink: Invalid value: \"\": must not be empty",
        ),
        (
            wrong("billing.shop.svc.cluster.local", good),
            "spec.sink: Invalid value: \"billing.shop.svc.cluster.local\": must have URL scheme 'http' or 'https'",
        ),
        (
            wrong("http://billing.example", good),
            "spec.sink: Invalid value: \"http://billing.example\": must have valid sink URL suffix svc.cluster.local",
        ),
        (
            wrong("http://a.b.shop.svc.cluster.local", good),
            "spec.sink: Invalid value: \"http://a.b.shop.svc.cluster.local\": must have sink URL with 5 sub-domains: a.b.shop.svc.cluster.local",
        ),
        (
            wrong("http://billing.else.svc.cluster.local", good),
            "metadata.namespace: Invalid value: \"http://billing.else.svc.cluster.local\": must have the same namespace as the subscriber: else",
        ),
        (
            wrong("http://none.shop.svc.cluster.local", good),
            "Sink validation failed: service none.shop not found in the cluster",
        ),
    ]);
    rows
}

/// Of sources and types.
fn of_events() -> Vec<(String, &'static str)> {
    let wrong = |rest: &str| format!("sink: \"http://billing.shop.svc.cluster.local/\"\n  {rest}");
    vec![
        (
            wrong("source: \"\"\n  types: [a.b]"),
            "spec.source: Invalid value: \"\": must not be empty",
        ),
        (
            wrong("source: \"s%ourc%e\"\n  types: [a.b]"),
            "spec.source: Invalid value: \"s%ourc%e\": must be valid as per RFC 3986",
        ),
        (
            wrong("source: s\n  types: []"),
            "spec.types: Invalid value: \"\": must not be empty",
        ),
        (
            wrong("source: s\n  types: [a.b, a.b]"),
            "spec.types: Invalid value: \"a.b\": must not have duplicate types",
        ),
        (
            wrong("source: s\n  types: [\"\"]"),
            "spec.types: Invalid value: \"\": must not be of length zero",
        ),
        (
            wrong("source: s\n  types: [a]"),
            "spec.types: Invalid value: \"a\": must have minimum 2 segments",
        ),
        (
            wrong("source: s\n  types: [sap.kyma.custom.a.b.c.v1]"),
            "spec.types: Invalid value: \"sap.kyma.custom.a.b.c.v1\": must not have sap.kyma.custom as type prefix",
        ),
    ]
}

/// Each document is one mistake; all of them are told at once, and nothing of them runs.
#[tokio::test]
async fn wrong_documents_are_told_in_a_condition() {
    let cluster = Cluster::with(1, 0, 1).await;
    cluster.apply(&service("billing")).await;
    let rows = wrong();
    let documents: String = rows
        .iter()
        .enumerate()
        .map(|(index, (spec, _))| {
            format!(
                "---\napiVersion: eventing.kyma-project.io/v1alpha2\nkind: Subscription\n\
                 metadata: {{ name: wrong-{index}, namespace: shop }}\nspec:\n  {spec}\n"
            )
        })
        .collect();
    cluster.apply(&documents).await;
    for (index, (_, message)) in rows.iter().enumerate() {
        let name = format!("wrong-{index}");
        let is_told = |one: &Value| !condition(one, "Subscription spec valid").is_null();
        let told = cluster.until((KYMA, &name), "told", is_told).await;
        let valid = condition(&told, "Subscription spec valid");
        assert_eq!(valid["status"], "False");
        assert_eq!(valid["reason"], "Subscription spec has validation errors");
        assert_eq!(
            valid["message"],
            format!("Subscription validation failed: {message}")
        );
        assert_eq!(
            (&told["status"]["ready"], &told["status"]["types"]),
            (&json!(false), &json!([]))
        );
    }
    let events = cluster.events("shop").await;
    assert!(
        events
            .iter()
            .any(|(name, reason, _)| name == "wrong-0" && reason == "UpdateFailed"),
        "{events:?}"
    );
}

/// One that is ready keeps what it has when its document becomes wrong, or its Service goes; and one
/// whose Service comes later has not to wait for the next round.
#[tokio::test]
async fn what_was_good_goes_on_and_what_was_missing_comes() {
    let cluster = Cluster::with(1, 1, 1).await;
    let sink = Sink::start(|_| 200).await;
    let at = sink_of("later", &sink.url());
    let name = (KYMA, "orders");
    cluster
        .apply(&kyma("orders", &at, "order.created.v1"))
        .await;
    let is_missing = |one: &Value| {
        let valid = condition(one, "Subscription spec valid");
        valid["message"]
            .as_str()
            .is_some_and(|text| text.contains("later.shop not found"))
    };
    cluster.until(name, "without a Service", is_missing).await;
    let began = std::time::Instant::now();
    cluster.apply(&service("later")).await;
    cluster.until(name, "ready", is_ready).await;
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());

    cluster.apply(&kyma("orders", &at, "order")).await;
    let is_wrong = |one: &Value| condition(one, "Subscription spec valid")["status"] == "False";
    cluster.until(name, "wrong", is_wrong).await;
    cluster.publish(0, "order.created", r#"{"n":1}"#).await;
    cluster.received(&sink, 1).await;

    cluster
        .apply(&kyma("orders", &at, "order.created.v1"))
        .await;
    cluster.until(name, "ready again", is_ready).await;
    cluster.kubectl("delete service later -n shop").await;
    cluster
        .until(name, "without a Service again", is_missing)
        .await;
    // Held: what comes is kept for it.
    let held = "nothing is delivered";
    cluster.until_held("shop/orders", held).await;
    cluster.publish(0, "order.created", r#"{"n":2}"#).await;
    cluster.apply(&service("later")).await;
    cluster.until(name, "ready at last", is_ready).await;
    cluster.received(&sink, 2).await;
}
