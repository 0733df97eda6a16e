//! What variables mean.

use super::*;

fn of(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    with(Config::default(), variables)
}

fn with(config: Config, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::of(&config, "1.2.3", |name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn configured(endpoint: &str, protocol: Protocol) -> Config {
    let mut config = Config::default();
    config.otlp.endpoint = Some(endpoint.parse().unwrap());
    config.otlp.protocol = protocol;
    config
}

fn url(endpoint: Option<&Endpoint>) -> String {
    endpoint.unwrap().url.to_string()
}

/// Without an address nothing is sent, and nobody has to say so.
#[test]
fn by_itself_nothing_is_exported() {
    let settings = of(&[]).unwrap();
    assert!(settings.traces.is_none() && settings.metrics.is_none());
    assert_eq!(settings.targets(), None);
    assert_eq!(settings.resource["service.name"], "tidegate");
    assert_eq!(settings.resource["service.version"], "1.2.3");
}

/// An address of all gets the signal's path over HTTP; a signal's own is taken as it is.
#[test]
fn addresses_are_as_the_specification_says() {
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/base/");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/");
    let settings = of(&[all]).unwrap();
    assert_eq!(
        url(settings.traces.as_ref()),
        "http://c:4318/base/v1/traces"
    );
    assert_eq!(
        url(settings.metrics.as_ref()),
        "http://c:4318/base/v1/metrics"
    );
    let settings = of(&[all, own]).unwrap();
    assert_eq!(url(settings.traces.as_ref()), "https://t/");
    assert_eq!(
        settings.targets().unwrap(),
        "traces to https://t:443, metrics to http://c:4318"
    );
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let settings = of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), grpc]).unwrap();
    assert_eq!(url(settings.metrics.as_ref()), "http://c:4317/");
    assert_eq!(settings.traces.unwrap().protocol, Protocol::Grpc);
}

/// Variables count more than the configuration; an empty one is none.
#[test]
fn the_environment_counts_more() {
    let config = || configured("http://file:4317", Protocol::Grpc);
    let settings = with(config(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap();
    assert_eq!(url(settings.traces.as_ref()), "http://file:4317/");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://environment:4318"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x,b=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "c=2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
    ];
    let settings = with(config(), &variables).unwrap();
    let (traces, metrics) = (settings.traces.unwrap(), settings.metrics.unwrap());
    assert_eq!(traces.protocol, Protocol::Grpc);
    assert_eq!(metrics.url.as_str(), "http://environment:4318/v1/metrics");
    assert_eq!(metrics.headers["authorization"], "Bearer x");
    assert_eq!(traces.headers.len(), 1);
    assert_eq!(traces.timeout, Duration::from_millis(250));
    assert_eq!(metrics.ca, Some("/ca.pem".into()));
    let off = with(config(), &[("OTEL_SDK_DISABLED", "TRUE")]).unwrap();
    assert_eq!(off.targets(), None);
    let none = with(config(), &[("OTEL_METRICS_EXPORTER", "none")]).unwrap();
    assert!(none.metrics.is_none() && none.traces());
}

/// The samplers by their names.
#[test]
fn samplers_are_known_by_their_names() {
    for (name, argument, by_parent, ratio) in [
        ("always_on", "0.5", false, 1.0),
        ("always_off", "0.5", false, 0.0),
        ("traceidratio", "0.5", false, 0.5),
        ("parentbased_always_on", "0.5", true, 1.0),
        ("parentbased_always_off", "0.5", true, 0.0),
        ("parentbased_traceidratio", "0.5", true, 0.5),
        ("parentbased_traceidratio", "", true, 1.0),
    ] {
        let variables = [
            ("OTEL_TRACES_SAMPLER", name),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ];
        let sampler = of(&variables).unwrap().sampler;
        assert_eq!(sampler, Sampler { by_parent, ratio }, "{name}");
    }
    let usual = of(&[]).unwrap().sampler;
    assert_eq!((usual.by_parent, usual.ratio), (true, 0.01));
}

/// What a resource is, one attribute after the other.
#[test]
fn the_resource_is_what_is_said_of_it() {
    let attributes = "deployment.environment=test, service.name=a%20b,";
    let settings = of(&[("OTEL_RESOURCE_ATTRIBUTES", attributes)]).unwrap();
    assert_eq!(settings.resource["service.name"], "a b");
    assert_eq!(settings.resource["deployment.environment"], "test");
    let name = ("OTEL_SERVICE_NAME", "mesh");
    let settings = of(&[("OTEL_RESOURCE_ATTRIBUTES", attributes), name]).unwrap();
    assert_eq!(settings.resource["service.name"], "mesh");
}

/// A mistake names its variable, and no secret; no queue is without a bound.
#[test]
fn mistakes_name_the_variable() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c");
    for (variable, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization:secret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a\u{fc}b=secret"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
    ] {
        let error = of(&[(variable, value), endpoint]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{variable}: ")), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let many = ("OTEL_BSP_MAX_QUEUE_SIZE", "100000000");
    let batch = ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "99999999");
    let settings = of(&[many, batch]).unwrap();
    assert_eq!(
        (settings.queue_max, settings.batch_max),
        (QUEUE_MAX, QUEUE_MAX)
    );
}

/// A file that is no use is known before anything begins, whichever signal names it.
#[tokio::test]
async fn files_that_are_no_use_are_mistakes() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c");
    assert!(of(&[endpoint]).unwrap().check().is_ok());
    let certificate = ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "gone.pem");
    let key = ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "gone.key");
    for named in [
        vec![
            endpoint,
            ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "gone.pem"),
        ],
        vec![endpoint, certificate, key],
    ] {
        let wrong = of(&named).unwrap().check().unwrap_err().to_string();
        assert!(wrong.starts_with("gone.pem: "), "{wrong}");
    }
}
