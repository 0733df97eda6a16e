//! `/metrics`, as scrapers ask for it.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use tidegate_testkit::{Client, NatsServer, Sink};

use crate::harness::{Tidegate, binary, subscription};

/// Prometheus gets OpenMetrics, and whoever reads only the text format gets that, where a counter is
/// named as its samples are: otherwise it would have no type there.
#[tokio::test]
async fn a_scraper_gets_the_format_that_it_reads() {
    let tidegate = Tidegate::up("", "").await;
    let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.2";
    let open_metrics = tidegate.scrape(&[("accept", accept)]).await;
    let content_type = open_metrics.header("content-type").unwrap();
    assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"));
    let text = open_metrics.text();
    let kind = "# TYPE tidegate_publish_events_stored counter\n";
    assert!(text.contains(kind), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");

    let plain = tidegate.scrape(&[]).await;
    let content_type = plain.header("content-type").unwrap();
    assert!(content_type.starts_with("text/plain; version=0.0.4"));
    let text = plain.text();
    let kind = "# TYPE tidegate_publish_events_stored_total counter\n";
    assert!(text.contains(kind), "{text}");
    assert!(!text.contains("# EOF"), "{text}");
}

/// Who is behind, by how much and for how long, and whose sink is away; and who is not. A
/// Subscription that is taken away takes its series along.
#[tokio::test]
async fn who_is_behind_shows() {
    let down = Sink::start(|_| 503_u16).await;
    let well = Sink::start(|_| 200_u16).await;
    let documents = subscription("behind", "/s", "a.v1", &down.url())
        + &subscription("well", "/s", "a.v1", &well.url());
    let tidegate = Tidegate::up(
        &documents,
        "telemetry: { metrics_interval: 100ms }\n\
         consume: { breaker: { failures: 2 }, retry: { backoff_delay: 50ms } }\n",
    )
    .await;
    for id in ["1", "2", "3"] {
        let answer = tidegate
            .send("POST", "/events", &binary(id, "/s", "a.v1"), b"{}")
            .await;
        assert_eq!(answer.status, 204);
    }
    well.answered(3).await;
    tidegate
        .shows(&[
            "tidegate_consume_sink_available{subscription=\"default/behind\"} 0.0",
            "tidegate_consume_sink_available{subscription=\"default/well\"} 1.0",
            "tidegate_consume_sink_away{subscription=\"default/behind\",reason=\"failing\"} 1.0",
            "tidegate_consume_subscription_open{subscription=\"default/well\"} 1.0",
            "tidegate_consume_events_unsettled{subscription=\"default/well\"} 0.0",
            "tidegate_consume_oldest_pending_age_seconds{subscription=\"default/well\"} 0.0",
            "tidegate_backbone_stream_messages{stream=\"events\"} 3.0",
            "tidegate_backbone_stream_bytes_max{stream=\"dead_letters\"} 1073741824.0",
            "tidegate_backbone_ready 1",
            "tidegate_publish_event_data_bytes_sum 6.0",
            "tidegate_consume_attempts_total{subscription=\"default/well\"} 3",
            "tidegate_consume_stored_to_delivered_seconds_count 3",
            "tidegate_build_info{version=\"0.1.0\"} 1",
        ])
        .await;
    let path = "/api/v1/subscriptions/default/well?watch=10ms";
    let mut client = Client::connect(tidegate.admin).await.unwrap();
    let answer = client.send("GET", path, &[], b"").await.unwrap();
    let shown: Value = serde_json::from_str(&answer.text()).unwrap();
    let counted = json!({ "delivered": 3, "retried": 0, "attempts": 3 });
    assert_eq!(shown["counted"], counted, "{shown}");
    assert_eq!(shown["rates"]["attempts"], 0.0, "{shown}");
    let age = "tidegate_consume_oldest_pending_age_seconds";
    // It has not begun to be tried when it is stored, and grows by itself.
    tidegate.metric_reaches(age, 0.5).await;
    let waiting = tidegate.metric("tidegate_consume_events_undelivered").await
        + tidegate.metric("tidegate_consume_events_unsettled").await;
    assert!((waiting - 3.0).abs() < 0.1, "{waiting}");
    let file = tidegate.subscriptions().join("subscriptions.yaml");
    fs::write(file, subscription("well", "/s", "a.v1", &well.url())).unwrap();
    tidegate.log_says("subscription removed").await;
    let gone = |text: &str| !text.contains("sink_away{subscription=\"default/behind\"");
    tidegate
        .scrape_until("the removed Subscription is gone", gone)
        .await;
}

/// While the log does not answer, that shows, and no number of before stands for one of now.
#[tokio::test]
async fn nothing_old_is_shown_while_the_log_is_away() {
    let mut nats = NatsServer::start().await;
    let url = nats.url();
    let configuration = "telemetry: { metrics_interval: 100ms }\n";
    let document = subscription("all", "/s", "a.v1", "http://127.0.0.1:9/");
    let tidegate = Tidegate::up_with(&document, configuration, &["--nats", &url]).await;
    let lag = "tidegate_consume_events_undelivered{subscription=\"default/all\"} 0.0";
    tidegate.shows(&["tidegate_backbone_ready 1", lag]).await;
    nats.kill();
    let is_away = |text: &str| {
        text.contains("tidegate_backbone_ready 0\n")
            && !text.contains("tidegate_consume_events_undelivered{")
            && !text.contains("tidegate_backbone_stream_bytes{")
    };
    tidegate.scrape_until("away", is_away).await;
    nats.restart().await;
    tidegate.shows(&["tidegate_backbone_ready 1", lag]).await;
}

/// Whatever callers write into events, the number of series stays: of a label that holds it, a
/// caller could make as many as he likes, and take the memory of every Prometheus.
#[tokio::test]
async fn what_callers_send_makes_no_series() {
    const REQUESTS: usize = 20;
    const EVENTS: usize = 500;
    let function = Sink::start(|_| 200_u16).await;
    let all = format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: all }}\nspec: {{ sink: {{ uri: '{}' }} }}\n",
        function.url()
    );
    let tidegate = Tidegate::up(&all, "telemetry: { metrics_interval: 100ms }\n").await;
    let send = async |request: usize, events: usize| {
        let event = |event: usize| {
            let id = format!("{request}-{event}");
            format!(
                "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/s/{id}\",\
                 \"type\":\"type.{id}.v1\",\"data\":{{}}}}"
            )
        };
        let events: Vec<String> = (0..events).map(event).collect();
        let body = format!("[{}]", events.join(","));
        let batch = [("content-type", "application/cloudevents-batch+json")];
        let answer = tidegate
            .send("POST", "/events", &batch, body.as_bytes())
            .await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    };
    let delivered = "tidegate_consume_events_delivered_total";
    let series = async || {
        let text = tidegate.scrape(&[]).await.text();
        let names = text.lines().filter(|line| !line.starts_with('#'));
        let names = names.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()));
        names.collect::<BTreeSet<String>>()
    };
    send(REQUESTS, 1).await;
    tidegate.metric_reaches(delivered, 1.0).await;
    let shown = |text: &str| text.contains("tidegate_consume_sink_available");
    tidegate.scrape_until("the first look is over", shown).await;
    let before = series().await;
    for request in 0..REQUESTS {
        send(request, EVENTS).await;
    }
    let events = u32::try_from(REQUESTS * EVENTS + 1).unwrap();
    tidegate.metric_reaches(delivered, f64::from(events)).await;
    let after = series().await;
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "{new:?}");
}

/// A consumer that a tool of NATS has paused has events, a sink that takes them, and gives nothing.
#[tokio::test]
async fn a_consumer_that_gives_nothing_is_told_of() {
    let nats = NatsServer::start().await;
    let sink = Sink::start(|_| 200_u16).await;
    let documents = subscription("one", "/s", "a.v1", &sink.url());
    let configuration = "telemetry: { metrics_interval: 100ms, stalled_after: 300ms }\n";
    let mut tidegate = Tidegate::down(&documents, configuration, &["--nats", &nats.url()]);
    tidegate.start().await;
    let client = async_nats::connect(nats.url()).await.unwrap();
    let ask = async |path: &str, body: &str| -> Value {
        let subject = format!("$JS.API.CONSUMER.{path}");
        let answer = client.request(subject, body.to_owned().into()).await;
        serde_json::from_slice(&answer.unwrap().payload).unwrap()
    };
    let names = ask("NAMES.TIDEGATE_EVENTS", "").await;
    let consumer = names["consumers"][0].as_str().unwrap();
    let pause = format!("PAUSE.TIDEGATE_EVENTS.{consumer}");
    let paused = ask(&pause, r#"{"pause_until":"2100-01-01T00:00:00Z"}"#).await;
    assert_eq!(paused["paused"], true, "{paused}");

    let event = binary("1", "/s", "a.v1");
    let answer = tidegate.send("POST", "/events", &event, b"{}").await;
    assert_eq!(answer.status, 204);
    let is_told = |is_so: &'static str| {
        move |text: &str| {
            let stalled = |line: &str| line.contains("_stalled{") && line.ends_with(is_so);
            text.lines().any(stalled)
        }
    };
    tidegate.scrape_until("stalled", is_told(" 1.0")).await;
    tidegate
        .log_says("delivers nothing from this consumer")
        .await;
    assert_eq!(sink.count(), 0);

    ask(&pause, "{}").await;
    sink.received(1).await;
    let is_over = |text: &str| !is_told(" 1.0")(text);
    tidegate.scrape_until("stalled no more", is_over).await;
}
