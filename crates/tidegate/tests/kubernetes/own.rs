//! Tidegate's own Subscription: what a schema refuses, what a condition tells, and references.

use serde_json::Value;
use tidegate_testkit::Sink;

use crate::cluster::{
    Cluster, KYMA, OWN, Part, condition, is_ready, kyma, send, service, sink_of, text,
};

fn own(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: {name}, namespace: shop }}\nspec:\n{spec}\n"
    )
}

/// Sends an event of a region; what a gateway answers has to be good.
async fn publish(cluster: &Cluster, id: &str, region: &str) {
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "commerce"),
        ("ce-type", "order.created.v1"),
        ("ce-region", region),
    ];
    let gateway = cluster.gateways[0].receive.unwrap();
    let answer = send(gateway, "POST", "/events", &headers, b"").await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// A Function is found by its Service, filters count, and the status tells of real deliveries.
#[tokio::test]
async fn references_and_filters_and_a_status_of_deliveries() {
    let cluster = Cluster::with(1, 1, 1).await;
    let sink = Sink::start(|_| 200).await;
    let port = sink
        .url()
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let filters = "  filters:\n  - exact: { type: order.created.v1 }\n  - sql: \"region = 'eu'\"";
    let function = format!(
        "  sink: {{ ref: {{ apiVersion: serverless.kyma-project.io/v1alpha2, kind: Function, name: function, port: {port} }}, uri: /in }}\n{filters}"
    );
    cluster.apply(&own("orders", &function)).await;
    let is_missing = |one: &Value| condition(one, "SinkResolved")["reason"] == "SinkNotFound";
    cluster
        .until((OWN, "orders"), "without its Function", is_missing)
        .await;
    cluster.apply(&service("function")).await;
    let ready = cluster.until((OWN, "orders"), "ready", is_ready).await;
    assert_eq!(
        ready["status"]["sink"],
        format!("http://function.shop.svc.cluster.local:{port}/in")
    );
    assert_eq!(
        ready["status"]["observedGeneration"],
        ready["metadata"]["generation"]
    );
    publish(&cluster, "1", "eu").await;
    publish(&cluster, "2", "us").await;
    let received = cluster.received(&sink, 1).await;
    assert_eq!(received[0].header("ce-id"), Some("1"));
    let has_delivered = |one: &Value| one["status"]["delivery"]["lastDelivered"].is_string();
    let status = cluster
        .until((OWN, "orders"), "told of", has_delivered)
        .await;
    assert_eq!(status["status"]["delivery"]["breaker"], "Open");
    let has_lag = |one: &Value| one["status"]["delivery"]["lag"] == 0;
    cluster.until((OWN, "orders"), "without lag", has_lag).await;
    let table = cluster.kubectl("get tgsub -n shop").await;
    assert!(
        table.contains("READY") && table.contains("LAG") && table.contains("DEAD"),
        "{table}"
    );
    assert!(
        cluster
            .kubectl("get tidegate -n shop")
            .await
            .contains("orders")
    );

    // A sink that fails is told of, and what cannot be delivered is counted.
    let failing = Sink::start(|_| 500).await;
    let at = sink_of("function", &failing.url());
    let spec = format!(
        "  sink: {{ uri: \"{at}\" }}\n  delivery: {{ retry: {{ maxAttempts: 1 }} }}\n{filters}"
    );
    cluster.apply(&own("orders", &spec)).await;
    let is_applied = |one: &Value| one["status"]["sink"] == at && is_ready(one);
    cluster
        .until((OWN, "orders"), "at the other sink", is_applied)
        .await;
    publish(&cluster, "3", "eu").await;
    let has_letter = |one: &Value| one["status"]["delivery"]["deadLetters"] == 1;
    cluster
        .until((OWN, "orders"), "with a dead letter", has_letter)
        .await;
}

/// The API server refuses what a schema can say; the rest is told in a condition.
#[tokio::test]
async fn wrong_documents_are_refused_or_told() {
    let cluster = Cluster::with(1, 0, 1).await;
    let refused = [
        ("  sink: {}", "should have at least 1 properties"),
        (
            "  sink: { uri: http://h/ }\n  delivery: { maxInFlight: 0 }",
            "maxInFlight",
        ),
        (
            "  sink: { uri: http://h/ }\n  delivery: { retry: { backoffPolicy: quadratic } }",
            "Unsupported value",
        ),
        (
            "  sink: { uri: http://h/ }\n  delivery: { tls: { key: { file: k } } }",
            "a certificate is shown with its key",
        ),
        (
            "  sink: { uri: http://h/ }\n  delivery: { auth: {} }",
            "should have at least 1 properties",
        ),
        ("  sinks: { uri: http://h/ }", "spec.sink"),
    ];
    for (spec, message) in refused {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), own("wrong", spec)).unwrap();
        let file = file.path().display().to_string();
        let output = cluster.kubernetes.kubectl(&["apply", "-f", &file]).await;
        assert!(!output.status.success(), "{spec} is taken");
        assert!(text(&output).contains(message), "{spec}: {}", text(&output));
    }
    let told = [
        (
            "  sink: { uri: http://h/ }\n  filters: [{ sql: \"type =\" }]",
            "spec.filters[0].sql",
        ),
        ("  sink: { uri: ftp://h/ }", "must have URL scheme"),
        (
            "  sink: { ref: { kind: Pod, name: a } }",
            "spec.sink.ref.kind",
        ),
        (
            "  sink: { ref: { kind: Service, name: a, namespace: else } }",
            "must be that of the Subscription (shop), got else",
        ),
        (
            "  sink: { uri: http://h/ }\n  delivery: { auth: { bearer: { token: { file: ../else/token } } } }",
            "a secret must be",
        ),
        (
            "  sink: { uri: http://h/ }\n  delivery: { auth: { bearer: { token: { env: HOME } } } }",
            "a secret must be",
        ),
    ];
    for (index, (spec, message)) in told.iter().enumerate() {
        let name = format!("told-{index}");
        cluster.apply(&own(&name, spec)).await;
        let is_told = |one: &Value| {
            let ready = condition(one, "Ready");
            ready["reason"] == "Invalid"
                && ready["message"]
                    .as_str()
                    .is_some_and(|text| text.contains(message))
        };
        cluster.until((OWN, &name), message, is_told).await;
    }
}

/// Two of one name would be one for those who deliver: the older one is it.
#[tokio::test]
async fn a_name_belongs_to_the_older_kind() {
    let cluster = Cluster::with(1, 0, 1).await;
    cluster.apply(&service("billing")).await;
    cluster
        .apply(&kyma(
            "orders",
            "http://billing.shop.svc.cluster.local/",
            "a.b",
        ))
        .await;
    cluster.until((KYMA, "orders"), "ready", is_ready).await;
    // Times of creation are seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    cluster
        .apply(&own(
            "orders",
            "  sink: { uri: \"http://billing.shop.svc.cluster.local/\" }",
        ))
        .await;
    let is_taken = |one: &Value| condition(one, "Ready")["reason"] == "NameTaken";
    cluster
        .until((OWN, "orders"), "told that its name is taken", is_taken)
        .await;
    assert!(is_ready(&cluster.get(KYMA, "orders").await));
    // Deleting the one that does not run leaves the other.
    cluster
        .kubectl(&format!("delete {OWN} orders -n shop --timeout=60s"))
        .await;
    assert!(is_ready(&cluster.get(KYMA, "orders").await));
    cluster.until_held("shop/orders", "").await;
}

/// A cluster need not have Kyma's kind; where it comes later, it counts without a restart.
#[tokio::test]
async fn a_kind_may_be_missing_and_may_come() {
    let mut cluster = Cluster::empty().await;
    let definition = format!("customresourcedefinition/{KYMA}");
    let kept = cluster.kubectl(&format!("get {definition} -o json")).await;
    cluster.kubectl(&format!("delete {definition}")).await;
    cluster.start(Part::Controller).await;
    cluster.start(Part::Dispatcher).await;
    cluster
        .apply(&own(
            "orders",
            "  sink: { uri: \"http://billing.shop.svc.cluster.local/\" }",
        ))
        .await;
    cluster.until((OWN, "orders"), "ready", is_ready).await;
    let mut definition: Value = serde_json::from_str(&kept).unwrap();
    let metadata = definition["metadata"].as_object_mut().unwrap();
    metadata.retain(|field, _| field == "name");
    cluster.apply(&definition.to_string()).await;
    cluster.apply(&service("billing")).await;
    cluster
        .kubectl(&format!("wait --for=condition=Established crd/{KYMA}"))
        .await;
    cluster
        .apply(&kyma(
            "others",
            "http://billing.shop.svc.cluster.local/",
            "a.b",
        ))
        .await;
    cluster.until((KYMA, "others"), "ready", is_ready).await;
}
