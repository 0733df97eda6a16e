//! Applications of a cluster: who may send.

use serde_json::Value;

use crate::cluster::{Cluster, condition, is_ready, send};

const APPLICATION: &str = "applications.eventing.tidegate.dev";

/// Without any, whoever is in the cluster may send, as with Kyma; with one, it has to show who it is.
#[tokio::test]
async fn an_application_counts_at_every_gateway() {
    let cluster = Cluster::with(1, 2, 0).await;
    cluster.publish(0, "order.created", "1").await;
    let none = "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Application\n\
                metadata: { name: commerce }\nspec: { authentication: [{ none: {} }] }\n";
    cluster.apply(none).await;
    cluster
        .until((APPLICATION, "commerce"), "ready", is_ready)
        .await;
    cluster.publish(0, "order.created", "2").await;
    cluster.publish(1, "order.created", "3").await;

    // A secret that is not there: it is told, and refuses everything.
    let key = "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Application\n\
               metadata: { name: commerce }\n\
               spec: { authentication: [{ apiKey: { key: { file: shop/key } } }] }\n";
    cluster.apply(key).await;
    let is_unusable = |one: &Value| condition(one, "Ready")["reason"] == "Unusable";
    cluster
        .until((APPLICATION, "commerce"), "unusable", is_unusable)
        .await;
    let body = br#"{"event-type":"a.b","event-type-version":"v1","event-time":"2026-11-20T00:00:00Z","data":1}"#;
    for gateway in &cluster.gateways {
        let headers = [("content-type", "application/json")];
        let gateway = gateway.receive.unwrap();
        let answer = send(gateway, "POST", "/commerce/v1/events", &headers, body).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    // The secret is there later: nobody has to touch the Application.
    cluster.secret(
        "_applications/shop/key",
        "a key of sixteen or more characters",
    );
    cluster
        .until((APPLICATION, "commerce"), "ready again", is_ready)
        .await;
    let headers = [
        ("content-type", "application/json"),
        ("x-api-key", "a key of sixteen or more characters"),
    ];
    let gateway = cluster.gateways[1].receive.unwrap();
    let answer = send(gateway, "POST", "/commerce/v1/events", &headers, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    cluster
        .kubectl(&format!("delete {APPLICATION} commerce --timeout=60s"))
        .await;
}
