//! Everything that `/metrics` can show, shown once: the page that lists it, and what the dashboard
//! and the alerts ask of it.

mod page;
mod queries;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prometheus_client::registry::Registry;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tidegate_telemetry::metrics::{self, Format};
use tidegate_testkit::{Kafka, NatsServer, Sink};

use crate::harness::{PATIENCE, Tidegate, binary, subscription};

/// A user that no server knows, with an end far away. One that asks nobody who he is lets him in.
const CREDENTIALS: &str = "-----BEGIN NATS USER JWT-----\n\
    e30.eyJleHAiOjQxMDI0NDQ4MDB9.e30\n\
    ------END NATS USER JWT------\n\n\
    -----BEGIN USER NKEY SEED-----\n\
    SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n\
    ------END USER NKEY SEED------\n";

/// What a sink is shown, with the same end.
const TOKEN: &str = "e30.eyJleHAiOjQxMDI0NDQ4MDB9.e30";

/// So short an age that events miss a sink that is down, within the test.
const CONFIGURATION: &str = "applications: { folder: applications }\n\
    receive: { tls: { listen: \"127.0.0.1:0\", certificate: certificate.pem, \
        key: key.pem } }\n\
    telemetry: { metrics_interval: 100ms }\n\
    sources: { folder: sources }\n\
    kafka: { statistics_interval: 100ms }\n\
    backbone: { credentials_file: FOLDER/user.creds, events: { age_max: 2s, duplicate_window: 2s } }\n\
    consume: { breaker: { failures: 2 }, retry: { backoff_delay: 50ms } }\n\
    dead_letters: { notice: 200ms }\n";

/// What it has sent is shown before it sends anything.
const APPLICATION: &str = "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Application\n\
    metadata: { name: shop }\nspec: { authentication: [none: {}] }\n";

/// Its partition and its brokers are shown.
const SOURCE: &str = "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: KafkaSource\n\
    metadata: { name: orders }\n\
    spec: { brokers: ['BROKER'], topics: [orders], application: shop }\n";

/// One metric, as a scrape shows it.
#[derive(Debug, Default)]
struct Shown {
    kind: String,
    meaning: String,
    labels: BTreeSet<String>,
}

/// By the name in the text format.
type Catalog = BTreeMap<String, Shown>;

/// A topic with a record that is no event.
async fn with_a_record() -> Kafka {
    let kafka = Kafka::start().await;
    kafka.create_topic("orders", 1).await;
    let to = [
        "--bootstrap-server",
        &kafka.bootstrap(),
        "--topic",
        "orders",
    ];
    let class = "org.apache.kafka.tools.ConsoleProducer";
    let sent = kafka.run_with_input(class, &to, "no event\n").await;
    assert!(sent.status.success());
    kafka
}

/// Whatever there is, in a scrape.
async fn everything() -> String {
    let (nats, kafka) = tokio::join!(NatsServer::start(), with_a_record());
    let down = Sink::start(|_| 503_u16).await;
    let refusing = Sink::start(|_| 400_u16).await;
    let delivery = "{ deadLetter: { retention: { maxAge: 1s } }, \
         auth: { bearer: { token: { file: token } } } }";
    let documents = subscription("down", "/s", "a.v1", &down.url())
        + &format!(
            "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
             metadata: {{ name: refusing }}\nspec:\n  sink: {{ uri: '{}' }}\n  \
             delivery: {delivery}\n",
            refusing.url()
        );
    let url = nats.url();
    let mut tidegate = Tidegate::down(&documents, "", &["--nats", &url]);
    let folder = tidegate.dir.path();
    let configuration = CONFIGURATION.replace("FOLDER", &folder.to_string_lossy());
    fs::write(folder.join("tidegate.yaml"), configuration).unwrap();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["gateway".to_owned()]).unwrap();
    fs::write(folder.join("certificate.pem"), cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    fs::write(folder.join("user.creds"), CREDENTIALS).unwrap();
    fs::write(tidegate.subscriptions().join("token"), TOKEN).unwrap();
    fs::create_dir(folder.join("applications")).unwrap();
    fs::write(folder.join("applications/shop.yaml"), APPLICATION).unwrap();
    fs::create_dir(folder.join("sources")).unwrap();
    let source = SOURCE.replace("BROKER", &kafka.bootstrap());
    fs::write(folder.join("sources/orders.yaml"), source).unwrap();
    tidegate.start().await;
    let mut mended = binary("1", "/s", "a.v1");
    mended[0].1 = "0.3";
    mended.push(("ce-schemaurl", "no url"));
    let answer = tidegate.send("POST", "/events", &mended, b"{}").await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let long = format!("{}.v1", "a".repeat(10_000));
    let too_long = binary("2", "/s", &long);
    let answer = tidegate.send("POST", "/events", &too_long, b"{}").await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let mut stream = TcpStream::connect(tidegate.receive).unwrap();
    stream.write_all(b"no HTTP\r\n\r\n").unwrap();
    let expected = registered();
    let began = Instant::now();
    loop {
        let text = tidegate.scrape(&[]).await.text();
        let shown = catalog(&text);
        let missing = |name: &&String| {
            let forms = ["", "_total", "_info"].map(|suffix| format!("{name}{suffix}"));
            !forms.iter().any(|form| shown.contains_key(form))
        };
        let missing: Vec<_> = expected.iter().filter(missing).collect();
        if missing.is_empty() {
            return text + &of_controller();
        }
        let log = tidegate.log();
        assert!(
            began.elapsed() < PATIENCE,
            "never shown: {missing:?}: {log}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a controller shows, which is another process and needs a cluster: all of it from its
/// beginning.
fn of_controller() -> String {
    let mut registry = Registry::default();
    tidegate_controller::Metrics::register(&mut registry);
    metrics::in_format(metrics::render(&registry), Format::Plain)
}

/// Every name that is registered somewhere, but for those of a controller.
fn registered() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in sources(&root().join("crates")) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        // Those of allocations are there in a build of their own.
        if file.ends_with("allocations.rs") {
            continue;
        }
        for call in code.split("registry.register(").skip(1) {
            let name = call.split('"').nth(1).unwrap();
            if !name.starts_with("tidegate_controller_") {
                names.insert(name.to_owned());
            }
        }
    }
    assert!(names.len() > 40, "{names:?}");
    names
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The metrics of a scrape in the text format.
fn catalog(text: &str) -> Catalog {
    let mut all = Catalog::new();
    for line in text.lines() {
        if let Some((name, meaning)) = said(line, "# HELP ") {
            all.entry(name).or_default().meaning = meaning;
        } else if let Some((name, kind)) = said(line, "# TYPE ") {
            all.entry(name).or_default().kind = kind;
        } else if let Some((name, labels)) = sample(line) {
            let parts = ["_bucket", "_sum", "_count"];
            let family = parts.iter().find_map(|part| name.strip_suffix(part));
            let family = family.filter(|family| all.contains_key(*family));
            let shown = all.get_mut(family.unwrap_or(&name)).unwrap();
            shown.labels.extend(labels);
        }
    }
    all
}

fn said(line: &str, what: &str) -> Option<(String, String)> {
    let (name, rest) = line.strip_prefix(what)?.split_once(' ')?;
    Some((name.to_owned(), rest.to_owned()))
}

/// The name of a sample, and the names of its labels.
fn sample(line: &str) -> Option<(String, Vec<String>)> {
    let end = line.find(['{', ' '])?;
    // What is between quotation marks is a value, with none within in this test.
    let names = line[end..].split('"').step_by(2);
    let names =
        names.filter_map(|part| Some(part.strip_suffix('=')?.trim_matches(['{', ',']).to_owned()));
    Some((line[..end].to_owned(), names.collect()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Nobody has to read the code to know what a number says, and what no one can show any more, or
/// calls otherwise, does not stay on the page.
#[tokio::test]
async fn every_metric_is_on_its_page() {
    let catalog = catalog(&everything().await);
    page::check(&catalog);
}

/// A panel or an alert that asks for what is not there says nothing, for ever. And Prometheus' own
/// linter has nothing to say of what is there.
#[tokio::test]
async fn the_dashboard_and_the_alerts_ask_for_what_is_there() {
    let Some(promcheck) = tidegate_testkit::promcheck_binary() else {
        println!("skipped: TIDEGATE_PROMCHECK is not set");
        return;
    };
    let text = everything().await;
    queries::lint(&promcheck, &text);
    queries::check(&promcheck, &catalog(&text));
}

/// Kyma's names are those of the page, with the labels that stand there and none that a caller
/// writes; and only where they are asked for.
#[tokio::test]
async fn kymas_names_are_shown_where_they_are_wanted() {
    let function = Sink::start(|_| 200_u16).await;
    let document = subscription("function", "shop", "order.v1", &function.url());
    let mut tidegate = Tidegate::up(&document, "").await;
    let text = tidegate.scrape(&[]).await.text();
    assert!(!text.contains("eventing_"), "{text}");
    tidegate.terminate().await;
    let configuration = "telemetry: { metrics_interval: 100ms, kyma_metrics: true }\n";
    fs::write(tidegate.dir.path().join("tidegate.yaml"), configuration).unwrap();
    tidegate.start().await;
    for id in ["1", "2"] {
        let headers = binary(id, "shop", "order.v1");
        let answer = tidegate.send("POST", "/publish", &headers, b"{}").await;
        assert_eq!(answer.status, 204);
    }
    function.answered(2).await;
    let of =
        "{subscription_namespace=\"default\",subscription_name=\"function\",consumer_name=\"sub-";
    let delivered = format!("eventing_ec_nats_delivery_per_subscription_total{of}");
    let is_counted = |text: &str| {
        let line = text.lines().find(|line| line.starts_with(&delivered));
        line.is_some_and(|line| line.ends_with(" 2"))
    };
    let text = tidegate.scrape_until(&delivered, is_counted).await;
    for line in [
        "eventing_epp_health 1",
        "eventing_ec_health 1",
        "eventing_epp_requests_total{code=\"204\",method=\"post\",path=\"/publish\"} 2",
        "eventing_epp_event_type_published_total{code=\"204\"} 2",
        "eventing_epp_backend_duration_milliseconds_count 2",
        "eventing_epp_backend_duration_milliseconds_bucket{le=\"10000\"} 2",
    ] {
        assert!(text.lines().any(|one| one == line), "no {line}: {text}");
    }
    let page = fs::read_to_string(root().join("docs/kyma-compatibility.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `eventing_"));
    let documented: BTreeMap<String, BTreeSet<String>> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let names = |cell: &str| {
                let names = cell.split('`').skip(1).step_by(2);
                names.map(ToOwned::to_owned).collect::<BTreeSet<_>>()
            };
            (names(cells[1]).into_iter().next().unwrap(), names(cells[2]))
        })
        .collect();
    let shown: BTreeMap<String, BTreeSet<String>> = catalog(&text)
        .into_iter()
        .filter(|(name, _)| name.starts_with("eventing_"))
        .map(|(name, mut shown)| {
            shown.labels.remove("le");
            (name, shown.labels)
        })
        .collect();
    assert_eq!(shown, documented);
}
