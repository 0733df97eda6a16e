//! What is sent, and what it costs when nobody takes it.

use std::{
    io::Read as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use opentelemetry_proto::tonic::collector::{
    metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use prost::Message as _;
use tidegate_telemetry::{
    Config,
    spans::{Kind, What},
};
use tidegate_testkit::Sink;
use tokio::{net::TcpListener, time::Instant};

use super::*;

fn settings(endpoint: &str, more: &[(&str, &str)]) -> Settings {
    let usual = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20secret",
        ),
    ];
    let find = |name: &str| {
        let mut all = more.iter().chain(&usual);
        let found = all.find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Settings::of(&Config::default(), "1", find).unwrap()
}

fn start(settings: &Settings) -> (Tracer, Metrics, Exporter) {
    let metrics = Metrics::default();
    let (tracer, recorded) = Exporter::tracer(settings, metrics.clone());
    let text = || "# TYPE a_things counter\na_things_total 3\n".to_owned();
    let exporter = Exporter::start(settings, "1", (recorded, metrics.clone()), text).unwrap();
    (tracer, metrics, exporter)
}

fn record(tracer: &Tracer) {
    let begun = tracer.begin(None).unwrap();
    tracer.end(begun, None, || What {
        name: "a name".into(),
        kind: Kind::Server,
        attributes: vec![("number", 7_u16.into())],
        links: vec![begun.context()],
    });
}

/// What is refused for now is sent again, whole; headers are those that were asked for. In the end
/// all that is left is sent, and what the metrics say then.
#[tokio::test]
async fn what_is_recorded_arrives() {
    let calls = AtomicUsize::new(0);
    let collector = Sink::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => 503_u16,
        _ => 200,
    })
    .await;
    let (tracer, metrics, exporter) = start(&settings(&collector.url(), &[]));
    record(&tracer);
    let requests = collector.received(2).await;
    let first = ExportTraceServiceRequest::decode(&*requests[0].body).unwrap();
    let again = ExportTraceServiceRequest::decode(&*requests[1].body).unwrap();
    assert_eq!(first, again);
    assert!(
        requests[0].line.starts_with("POST /v1/traces"),
        "{}",
        requests[0].line
    );
    assert_eq!(requests[0].header("authorization"), Some("Bearer secret"));
    assert_eq!(
        requests[0].header("content-type"),
        Some("application/x-protobuf")
    );
    let span = &first.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.name.as_str(), span.links.len()), ("a name", 1));
    assert_eq!(span.links[0].span_id, span.span_id);
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    for _ in 0..3 {
        record(&tracer);
    }
    exporter.stop().await;
    let requests = collector.received(4).await;
    let requests = requests.iter().skip(2);
    let (traces, counted): (Vec<_>, Vec<_>) =
        requests.partition(|request| request.line.contains("/v1/traces"));
    let spans = traces.iter().map(|request| {
        let request = ExportTraceServiceRequest::decode(&*request.body).unwrap();
        request.resource_spans[0].scope_spans[0].spans.len()
    });
    assert_eq!(spans.sum::<usize>(), 3);
    let counted = ExportMetricsServiceRequest::decode(&*counted[0].body).unwrap();
    let metric = &counted.resource_metrics[0].scope_metrics[0].metrics[0];
    assert_eq!(metric.name, "a_things");
    assert_eq!(metrics.lost(), 0);
}

/// What is compressed says so, and is the same.
#[tokio::test]
async fn a_body_may_be_compressed() {
    let collector = Sink::start(|_| 200_u16).await;
    let gzip = [("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
    let (tracer, _metrics, exporter) = start(&settings(&collector.url(), &gzip));
    record(&tracer);
    let requests = collector.received(1).await;
    assert_eq!(requests[0].header("content-encoding"), Some("gzip"));
    let mut body = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&*requests[0].body);
    decoder.read_to_end(&mut body).unwrap();
    let sent = ExportTraceServiceRequest::decode(&*body).unwrap();
    assert_eq!(
        sent.resource_spans[0].scope_spans[0].spans[0].name,
        "a name"
    );
    exporter.stop().await;
}

/// Whoever records waits for no collector, be it slow, gone or one that refuses; what is lost is
/// counted, and no more waits than may.
#[tokio::test(start_paused = true)]
async fn a_collector_that_takes_nothing_costs_nothing() {
    let slow = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = Sink::start(|_| 400_u16).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address_gone = gone.local_addr().unwrap();
    drop(gone);
    let queue = ("OTEL_BSP_MAX_QUEUE_SIZE", "16");
    for (endpoint, protocol) in [
        (format!("http://{}", slow.local_addr().unwrap()), "grpc"),
        (
            format!("http://{}", slow.local_addr().unwrap()),
            "http/protobuf",
        ),
        (format!("http://{address_gone}"), "grpc"),
        (format!("http://{address_gone}"), "http/protobuf"),
        (refusing.url(), "http/protobuf"),
    ] {
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let (tracer, metrics, exporter) = start(&settings(&endpoint, &[queue, protocol]));
        let began = Instant::now();
        for _ in 0..1_000 {
            record(&tracer);
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert!(metrics.lost() >= 1_000 - 2 * 16, "{}", metrics.lost());
        exporter.stop().await;
        assert!(began.elapsed() < LAST_MAX * 3, "{:?}", began.elapsed());
    }
}
