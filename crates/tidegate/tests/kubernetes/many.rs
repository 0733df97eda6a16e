//! A thousand at once.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::{Cluster, KYMA, PATIENCE, Part, is_ready, kyma, service};

const COUNT: usize = 1_000;

/// So many kubectl at once.
const PARTS: usize = 8;

/// All get ready; and when nothing changes, nothing is written.
#[tokio::test]
async fn a_thousand_subscriptions_get_ready_and_stay_as_they_are() {
    let mut cluster = Cluster::with(0, 0, 2).await;
    cluster.apply(&service("billing")).await;
    let document = |n: usize| {
        let r#type = format!("order.created{n}.v1");
        kyma(
            &format!("orders-{n}"),
            "http://billing.shop.svc.cluster.local/",
            &r#type,
        )
    };
    // kubectl sends one after the other.
    let parts: Vec<String> = (0..PARTS)
        .map(|part| (part..COUNT).step_by(PARTS).map(document).collect())
        .collect();
    let began = Instant::now();
    let applied = parts.iter().map(|part| cluster.apply(part));
    futures_util::future::join_all(applied).await;
    println!("applied in {:?}", began.elapsed());
    let began = Instant::now();
    cluster.start(Part::Controller).await;
    until_all_are_ready(&cluster).await;
    println!(
        "applied, all ready {:?} after the controller was started",
        began.elapsed()
    );
    let controller = &cluster.all(Part::Controller)[0];
    let writes = controller
        .metric("tidegate_controller_writes_total", "")
        .await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", controller.pid())).unwrap();
    let memory = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    println!("{writes} writes, controller {memory}");
    for row in controller
        .scrape()
        .await
        .lines()
        .filter(|row| row.contains("writes_total{"))
    {
        println!("{row}");
    }

    nothing_is_written(&mut cluster, writes).await;
}

async fn until_all_are_ready(cluster: &Cluster) {
    let began = Instant::now();
    loop {
        let list = cluster
            .kubectl(&format!("get {KYMA} -n shop -o json"))
            .await;
        let list: Value = serde_json::from_str(&list).unwrap();
        let ready = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| is_ready(one))
            .count();
        if ready == COUNT {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE + Duration::from_secs(60),
            "{ready} of {COUNT} are ready\n{}",
            cluster.logs()
        );
        // Each look makes the API server read all of them.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// When nothing changes, and when a controller begins anew.
async fn nothing_is_written(cluster: &mut Cluster, writes: f64) {
    // Two rounds of asking every process, and one of a controller that begins anew.
    tokio::time::sleep(Duration::from_secs(22)).await;
    let controller = &cluster.all(Part::Controller)[0];
    let later = controller
        .metric("tidegate_controller_writes_total", "")
        .await;
    assert_eq!(later, writes, "{}", controller.scrape().await);
    let before = versions(cluster).await;
    cluster.all(Part::Controller).clear();
    cluster.start(Part::Controller).await;
    let controller = &cluster.all(Part::Controller)[0];
    let began = Instant::now();
    while controller
        .metric("tidegate_controller_reconciles_total", "result=\"ok\"")
        .await
        < COUNT as f64
    {
        assert!(began.elapsed() < PATIENCE, "{}", controller.scrape().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What is not known at the first look is at the second.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        controller
            .metric("tidegate_controller_writes_total", "")
            .await,
        0.0
    );
    assert_eq!(versions(cluster).await, before);
}

/// What changes with every write.
async fn versions(cluster: &Cluster) -> String {
    let path = "jsonpath={.items[*].metadata.resourceVersion}";
    cluster
        .kubectl(&format!("get {KYMA} -n shop -o {path}"))
        .await
}
