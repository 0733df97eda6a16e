//! What is away for a while takes nothing with it.

use std::time::Duration;

use serde_json::Value;
use tidegate_testkit::Sink;

use crate::cluster::{Cluster, KYMA, Part, is_ready, kyma, service, sink_of};

/// Deliveries go on without the API server, also of processes that begin meanwhile; what was applied
/// before, and what is applied later, counts.
#[tokio::test]
async fn the_api_server_is_killed_and_comes_back() {
    let mut cluster = Cluster::with(1, 1, 1).await;
    let sink = Sink::start(|_| 200).await;
    let at = sink_of("billing", &sink.url());
    cluster.apply(&service("billing")).await;
    cluster
        .apply(&kyma("orders", &at, "order.created.v1"))
        .await;
    cluster.until((KYMA, "orders"), "ready", is_ready).await;
    cluster.kubernetes.kill_apiserver();
    cluster.publish(0, "order.created", "1").await;
    cluster.received(&sink, 1).await;
    cluster.all(Part::Dispatcher).clear();
    cluster.publish(0, "order.created", "2").await;
    cluster.start(Part::Dispatcher).await;
    cluster.received(&sink, 2).await;
    cluster.kubernetes.restart_apiserver().await;
    cluster.apply(&kyma("payments", &at, "order.paid.v1")).await;
    cluster.until((KYMA, "payments"), "ready", is_ready).await;
    cluster.publish(0, "order.paid", "3").await;
    cluster.received(&sink, 3).await;
    let orders = cluster.get(KYMA, "orders").await;
    assert!(is_ready(&orders), "{orders:#}");
}

/// The other one takes over, and finishes what the killed one had begun.
#[tokio::test]
async fn a_controller_is_killed_and_replaced() {
    let mut cluster = Cluster::with(2, 1, 1).await;
    let sink = Sink::start(|_| 200).await;
    let at = sink_of("billing", &sink.url());
    cluster.apply(&service("billing")).await;
    cluster
        .apply(&kyma("before", &at, "order.created.v1"))
        .await;
    cluster.until((KYMA, "before"), "ready", is_ready).await;
    let mut leader = None;
    for (index, controller) in cluster.all(Part::Controller).iter().enumerate() {
        if controller.metric("tidegate_controller_leader", "").await > 0.0 {
            assert_eq!(leader, None, "two are in charge");
            leader = Some(index);
        }
    }
    let leader = leader.expect("one is in charge");
    // Killed, and nobody tells the others.
    drop(cluster.all(Part::Controller).remove(leader));
    cluster.apply(&kyma("after", &at, "order.paid.v1")).await;
    cluster
        .kubernetes
        .kubectl(&["delete", KYMA, "before", "-n", "shop", "--wait=false"])
        .await;
    cluster.until((KYMA, "after"), "ready", is_ready).await;
    cluster
        .until((KYMA, "before"), "gone", Value::is_null)
        .await;
    cluster.publish(0, "order.paid", "1").await;
    cluster.received(&sink, 1).await;

    // One that ends in order lets another one take over before its lease is over.
    let last = cluster.all(Part::Controller).remove(0);
    cluster.start(Part::Controller).await;
    let began = std::time::Instant::now();
    last.terminate().await;
    let deadline = Duration::from_secs(20);
    while cluster.all(Part::Controller)[0]
        .metric("tidegate_controller_leader", "")
        .await
        < 1.0
    {
        assert!(began.elapsed() < deadline, "{}", cluster.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
