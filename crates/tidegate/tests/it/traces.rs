//! Traces and metrics, as a real collector got them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;
use tidegate_testkit::{Collector, NatsServer, Received, Sink};

use crate::harness::{Tidegate, binary, subscription};

const TYPE: &str = "order.created.v1";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn sending(to: std::net::SocketAddr, protocol: &str, ratio: f64) -> String {
    format!(
        "telemetry:\n  otlp: {{ endpoint: \"http://{to}\", protocol: {protocol} }}\n  \
         traces: {{ ratio: {ratio} }}\nconsume: {{ retry: {{ backoff_delay: 50ms, backoff_max: 50ms }} }}\n"
    )
}

fn span<'a>(spans: &'a [(Value, Value)], name: &str) -> &'a (Value, Value) {
    let mut found = spans.iter().filter(|(span, _)| span["name"] == name);
    let one = found
        .next()
        .unwrap_or_else(|| panic!("no {name}: {spans:?}"));
    assert!(found.next().is_none(), "{name} twice: {spans:?}");
    one
}

fn attribute<'a>(of: &'a Value, name: &str) -> &'a Value {
    let attributes = of.as_array().unwrap().iter();
    let mut found = attributes.filter(|attribute| attribute["key"] == name);
    let value = &found.next().unwrap_or_else(|| panic!("no {name}: {of}"))["value"];
    value.as_object().unwrap().values().next().unwrap()
}

async fn publish(to: &Tidegate, id: &str, traceparent: &str) {
    let mut headers = binary(id, "commerce", TYPE);
    headers.push(("traceparent", traceparent));
    let answer = to.send("POST", "/commerce/events", &headers, b"{}").await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

fn traceparent(request: &Received) -> Vec<String> {
    let value = request.header("traceparent").unwrap();
    value.split('-').map(str::to_owned).collect()
}

/// From whoever published to the request that the sink got, through two processes and over both
/// transports, it is one trace; each span stands under the one before.
#[tokio::test]
async fn one_trace_from_the_publisher_to_the_sink() {
    let Some(collector) = Collector::start().await else {
        return eprintln!("skipped: TIDEGATE_OTEL_COLLECTOR is not set");
    };
    let nats = NatsServer::start().await;
    let sink = Sink::start(|_| 204_u16).await;
    let url = nats.url();
    let document = subscription("billing", "commerce", TYPE, &sink.url());
    let (grpc, http) = (collector.grpc, collector.http);
    let arguments = ["--nats", &url];
    let mut dispatcher =
        Tidegate::up_with(&document, &sending(http, "http/protobuf", 0.0), &arguments).await;
    let mut door = Tidegate::up_with("", &sending(grpc, "grpc", 0.0), &arguments).await;
    publish(&door, "1", &format!("00-{TRACE}-{SPAN}-01")).await;
    let request = sink.received(1).await.remove(0);
    // They send what they have when they end.
    assert_eq!(door.terminate().await.0, Some(0), "{}", door.log());
    assert_eq!(
        dispatcher.terminate().await.0,
        Some(0),
        "{}",
        dispatcher.log()
    );

    let spans = collector.spans(3).await;
    let (received, of_door) = span(&spans, "POST /{application}/events");
    let (published, _) = span(&spans, "publish");
    let (delivered, of_dispatcher) = span(&spans, "deliver default/billing");
    for one in [received, published, delivered] {
        assert_eq!(one["traceId"], TRACE, "{spans:?}");
    }
    assert_eq!(received["parentSpanId"], SPAN);
    assert_eq!(published["parentSpanId"], received["spanId"]);
    assert_eq!(delivered["parentSpanId"], published["spanId"]);
    let told = traceparent(&request);
    assert_eq!(told[1], TRACE);
    assert_eq!(told[2], delivered["spanId"].as_str().unwrap());
    assert_eq!(
        request.header("ce-traceparent").unwrap(),
        format!("00-{TRACE}-{SPAN}-01")
    );
    assert_eq!(
        attribute(&published["attributes"], "cloudevents.event_id"),
        "1"
    );
    assert_eq!(
        attribute(&delivered["attributes"], "http.response.status_code"),
        "204"
    );
    assert_eq!(attribute(of_door, "service.name"), "tidegate");
    assert_ne!(
        attribute(of_door, "service.instance.id"),
        attribute(of_dispatcher, "service.instance.id")
    );

    let metrics = collector.metrics(1).await;
    let stored = |(metric, of): &&(Value, Value)| {
        metric["name"] == "tidegate_publish_events_stored"
            && attribute(of, "service.instance.id") == attribute(of_door, "service.instance.id")
    };
    let (stored, _) = metrics.iter().rfind(stored).unwrap();
    assert_eq!(stored["sum"]["dataPoints"][0]["asDouble"], 1.0, "{stored}");
    let has_histograms = metrics
        .iter()
        .any(|(metric, _)| metric["histogram"].is_object());
    assert!(has_histograms, "{metrics:?}");
}

/// A trace that nobody records shows where it failed all the same, and nothing else.
#[tokio::test]
async fn a_failure_is_told_also_of_a_trace_that_is_not_sampled() {
    let Some(collector) = Collector::start().await else {
        return eprintln!("skipped: TIDEGATE_OTEL_COLLECTOR is not set");
    };
    let calls = Arc::new(AtomicUsize::new(0));
    let sink = Sink::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => 503_u16,
        _ => 200,
    })
    .await;
    let document = subscription("billing", "commerce", TYPE, &sink.url());
    let mut tidegate = Tidegate::up(&document, &sending(collector.grpc, "grpc", 1.0)).await;
    publish(&tidegate, "1", &format!("00-{TRACE}-{SPAN}-00")).await;
    let requests = sink.received(2).await;
    assert_eq!(tidegate.terminate().await.0, Some(0), "{}", tidegate.log());
    let spans = collector.spans(1).await;
    let (failed, _) = span(&spans, "deliver default/billing");
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(failed["traceId"], TRACE);
    assert_eq!(failed["status"]["code"], 2);
    assert_eq!(
        attribute(&failed["attributes"], "error.type"),
        "deliver/status-retryable"
    );
    for request in &requests {
        let told = traceparent(request);
        assert_eq!((told[1].as_str(), told[3].as_str()), (TRACE, "00"));
    }
}

/// Whoever reads of a dead letter in the log finds its event and its trace.
#[tokio::test]
async fn the_log_names_the_event_and_its_trace() {
    let sink = Sink::start(|_| 422_u16).await;
    let document = subscription("billing", "commerce", TYPE, &sink.url());
    // Nobody is there, which is no reason not to make spans.
    let nobody = crate::harness::free_address();
    let tidegate = Tidegate::up(&document, &sending(nobody, "grpc", 0.0)).await;
    publish(&tidegate, "10000481", &format!("00-{TRACE}-{SPAN}-00")).await;
    tidegate.log_says("the event is a dead letter now").await;
    let log = tidegate.log();
    let line = log
        .lines()
        .find(|line| line.contains("is a dead letter now"));
    let line: Value = serde_json::from_str(line.unwrap()).unwrap();
    let told = ["sequence", "id", "trace", "subscription"].map(|name| line[name].to_string());
    let expected = [
        "1",
        "\"10000481\"",
        &format!("\"{TRACE}\""),
        "\"default/billing\"",
    ];
    assert_eq!(told, expected, "{line}");
}
