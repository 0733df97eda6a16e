//! What somebody changes behind Tidegate's back is changed back, and told.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::jetstream::{self, stream::DiscardPolicy};
use futures_util::StreamExt as _;
use serde_json::Value;
use tidegate_testkit::Sink;

use crate::cluster::{
    Cluster, KYMA, NAMESPACE, PATIENCE, Part, chart, is_ready, kyma, printed, service, sink_of,
};

/// As the goal is.
const REVERTED_WITHIN: Duration = Duration::from_secs(30);

/// Waits until an Event has this reason.
async fn told(cluster: &Cluster, reason: &str) {
    let began = Instant::now();
    loop {
        let events = cluster.events(NAMESPACE).await;
        if events.iter().any(|(_, told, _)| told == reason) {
            return;
        }
        assert!(
            began.elapsed() < REVERTED_WITHIN,
            "no {reason}: {events:?}\n{}",
            cluster.logs()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The metric of what was changed back.
async fn counted(cluster: &mut Cluster, what: &str) {
    let what = format!("what=\"{what}\"");
    let controller = &cluster.all(Part::Controller)[0];
    let drifts = controller
        .metric("tidegate_controller_drifts_total", &what)
        .await;
    assert!(drifts >= 1.0, "{what}");
}

/// One Subscription whose sink answers what it is told.
async fn ready(cluster: &Cluster) -> (Sink, Arc<AtomicU16>) {
    let answer = Arc::new(AtomicU16::new(503));
    let sink = {
        let answer = Arc::clone(&answer);
        Sink::start(move |_| answer.load(Ordering::Relaxed)).await
    };
    cluster.apply(&service("billing")).await;
    let at = sink_of("billing", &sink.url());
    cluster
        .apply(&kyma("orders", &at, "order.created.v1"))
        .await;
    cluster.until((KYMA, "orders"), "ready", is_ready).await;
    (sink, answer)
}

/// A consumer is made anew where it was: what it had not delivered comes.
#[tokio::test]
async fn a_deleted_consumer_is_made_anew_where_it_was() {
    let mut cluster = Cluster::with(1, 1, 1).await;
    let (sink, answer) = ready(&cluster).await;
    // While its sink is away, there is something to lose.
    for n in 0..20 {
        cluster.publish(0, "order.created", &n.to_string()).await;
    }
    cluster.received(&sink, 1).await;
    let client = async_nats::connect(cluster.nats.url()).await.unwrap();
    let stream = jetstream::new(client).get_stream("TIDEGATE_EVENTS").await;
    let stream = stream.unwrap();
    let names: Vec<_> = stream.consumer_names().collect().await;
    assert!(!names.is_empty());
    for name in names {
        stream.delete_consumer(&name.unwrap()).await.unwrap();
    }
    told(&cluster, "ConsumerReverted").await;
    let before = sink.count();
    answer.store(200, Ordering::Relaxed);
    let began = Instant::now();
    loop {
        let all = sink.received(sink.count()).await;
        let ids = all.iter().skip(before);
        let ids: BTreeSet<_> = ids.map(|one| one.header("ce-id").unwrap()).collect();
        if ids.len() == 20 {
            break;
        }
        let (came, logs) = (ids.len(), || cluster.logs());
        assert!(began.elapsed() < PATIENCE, "{came} of 20\n{}", logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    counted(&mut cluster, "consumer").await;
}

/// What decides whether something is kept is as it is configured.
#[tokio::test]
async fn an_edited_stream_and_a_hand_in_the_register_are_reverted() {
    let mut cluster = Cluster::with(1, 1, 1).await;
    let (sink, answer) = ready(&cluster).await;
    answer.store(200, Ordering::Relaxed);
    let client = async_nats::connect(cluster.nats.url()).await.unwrap();
    let jetstream = jetstream::new(client);
    let stream = jetstream.get_stream("TIDEGATE_EVENTS").await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.max_messages = 5;
    config.discard = DiscardPolicy::Old;
    jetstream.update_stream(&config).await.unwrap();
    told(&cluster, "StreamReverted").await;
    counted(&mut cluster, "stream").await;
    let now = jetstream.get_stream("TIDEGATE_EVENTS").await.unwrap();
    let now = now.cached_info().config.clone();
    assert_eq!((now.max_messages, now.discard), (-1, DiscardPolicy::New));

    let registered = jetstream.get_stream("KV_TIDEGATE_EVENTS_RESOURCES").await;
    let registered = registered.unwrap();
    let subject = "$KV.TIDEGATE_EVENTS_RESOURCES.subscription_shop_orders";
    let last = || registered.get_last_raw_message_by_subject(subject);
    let written = last().await.unwrap();
    let hand = jetstream.publish(subject, "somebody's".into()).await;
    hand.unwrap().await.unwrap();
    told(&cluster, "RegisterReverted").await;
    counted(&mut cluster, "register").await;
    assert_eq!(last().await.unwrap().payload, written.payload);
    cluster.publish(0, "order.created", "21").await;
    cluster.received(&sink, 1).await;
}

/// Its own objects are as the chart made them: what is changed by hand, what is deleted. What the
/// chart says nothing about stays, and Helm has the last word, in an upgrade and when it takes all away.
#[tokio::test]
async fn its_own_objects_are_as_they_were_deployed() {
    let mut cluster = Cluster::with(1, 0, 0).await;
    let (scale, annotate) = (
        "-n tidegate scale deployment tidegate-gateway --replicas=0",
        "-n tidegate annotate deployment tidegate-gateway seen=yes",
    );
    cluster.kubectl(annotate).await;
    cluster.kubectl(scale).await;
    let gateway = "-n tidegate get deployment tidegate-gateway -o json";
    let replicas = |text: &str| {
        let deployment: Value = serde_json::from_str(text).unwrap();
        deployment["spec"]["replicas"].as_u64()
    };
    until(&cluster, gateway, |text| replicas(text) == Some(2)).await;
    assert!(cluster.kubectl(gateway).await.contains("\"seen\": \"yes\""));
    told(&cluster, "ObjectReverted").await;
    let metric = "tidegate_controller_drifts_total";
    let before = &cluster.all(Part::Controller)[0];
    assert!(before.metric(metric, "what=\"object\"").await >= 1.0);

    cluster
        .kubectl("-n tidegate delete service tidegate-gateway")
        .await;
    let service = "-n tidegate get service tidegate-gateway -o name --ignore-not-found";
    until(&cluster, service, |text| !text.is_empty()).await;

    // Helm changes the same.
    let chart = chart();
    let upgrade = ["upgrade", "tidegate", &chart, "-n", NAMESPACE];
    let upgrade = [&upgrade[..], &["--set", "gateway.replicas=3"]].concat();
    printed(&cluster.kubernetes.helm(&upgrade).await);
    cluster.kubectl(scale).await;
    until(&cluster, gateway, |text| replicas(text) == Some(3)).await;
    // While all of it is taken away, nothing is made anew.
    let dispatcher = "-n tidegate delete deployment tidegate-dispatcher";
    cluster.kubectl(dispatcher).await;
    let reads = "-n tidegate get deployments,services,configmaps -o name";
    gone(&cluster, reads, "deployment.apps/tidegate-dispatcher").await;
    let list = "-n tidegate delete configmap tidegate-deployed";
    cluster.kubectl(list).await;
    let uninstall = ["uninstall", "tidegate", "-n", NAMESPACE];
    printed(&cluster.kubernetes.helm(&uninstall).await);
    gone(&cluster, reads, "tidegate").await;
}

/// For some looks of the controller.
async fn gone(cluster: &Cluster, line: &str, what: &str) {
    let began = Instant::now();
    // Shorter than what is missing is waited for, however long a look takes here.
    while began.elapsed() < Duration::from_secs(3) {
        let left = cluster.kubectl(line).await;
        assert!(!left.contains(what), "{left}\n{}", cluster.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn until(cluster: &Cluster, line: &str, is_so: impl Fn(&str) -> bool) {
    let began = Instant::now();
    loop {
        let text = cluster.kubectl(line).await;
        if is_so(&text) {
            return;
        }
        let logs = || cluster.logs();
        assert!(began.elapsed() < REVERTED_WITHIN, "{text}\n{}", logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
