//! What a test can rely on of its Kafka, shown with Kafka's own tools.

use std::process::Output;

use serde_json::json;
use tokio::net::TcpStream;

use super::*;

const TOPIC: &str = "orders";

async fn produce(kafka: &Kafka, bootstrap: &str, more: &[&str], record: &str) -> Output {
    let mut arguments = vec!["--bootstrap-server", bootstrap, "--topic", TOPIC];
    arguments.extend(more);
    let tool = "org.apache.kafka.tools.ConsoleProducer";
    kafka.run_with_input(tool, &arguments, record).await
}

/// The first so many records.
async fn consume(kafka: &Kafka, count: &str) -> String {
    let bootstrap = kafka.bootstrap();
    let arguments = [
        "--bootstrap-server",
        &bootstrap,
        "--topic",
        TOPIC,
        "--from-beginning",
        "--max-messages",
        count,
        "--timeout-ms",
        "60000",
    ];
    let tool = "org.apache.kafka.tools.consumer.ConsoleConsumer";
    let output = kafka.run(tool, &arguments).await;
    succeeded(&output);
    String::from_utf8(output.stdout).unwrap()
}

/// What a broker has acknowledged is there after `kill -9`, in the same place.
#[tokio::test]
async fn it_keeps_its_records_when_it_is_killed() {
    let began = Instant::now();
    let mut kafka = Kafka::start().await;
    println!("started in {:?}", began.elapsed());
    let (bootstrap, pid) = (kafka.bootstrap(), kafka.pid().unwrap());
    kafka.create_topic(TOPIC, 2).await;
    succeeded(&produce(&kafka, &bootstrap, &[], "one\n").await);
    assert_eq!(consume(&kafka, "1").await, "one\n");
    kafka.kill();
    assert_eq!(kafka.pid(), None);
    assert!(TcpStream::connect(&bootstrap).await.is_err());
    let began = Instant::now();
    kafka.restart().await;
    println!("started again in {:?}", began.elapsed());
    assert_eq!(kafka.bootstrap(), bootstrap);
    assert_ne!(kafka.pid(), Some(pid));
    assert_eq!(consume(&kafka, "1").await, "one\n");
    kafka.stop().await;
    assert!(TcpStream::connect(&bootstrap).await.is_err());
    assert!(kafka.log().contains("shut down completely"));
}

/// As a line of the console producer: headers, a tab, the key, a tab, the value.
const EVENTS: &str = "\
ce_specversion:1.0,ce_id:1,ce_source:/Gerüche/雨,ce_type:order.made.v1,ce_partitionkey:ö-7,content-type:text/xml\tkéy\t<Größe/>
content-type:application/cloudevents+json; charset=utf-8\t-\t\
{\"specversion\":\"1.0\",\"id\":\"2\",\"source\":\"/雨\",\"type\":\"t\",\"time\":\"2026-07-01T10:00:00Z\",\"count\":7,\"data\":{\"b\":\"ß\", \"a\": [1, null]}}
content-type:application/cloudevents+json\t-\t\
{\"specversion\":\"1.0\",\"id\":\"3\",\"source\":\"/\",\"type\":\"t\",\"data_base64\":\"/wA=\"}
";

const NO_EVENT: &str = "content-type:application/json,ce_id:4,ce_source:/,ce_type:t\t-\t{}\n";

async fn produce_with_headers(kafka: &Kafka, records: &str) {
    let properties = ["parse.headers=true", "parse.key=true", "null.marker=-"];
    let more = properties.map(|property| ["--reader-property", property]);
    let output = produce(kafka, &kafka.bootstrap(), more.as_flattened(), records).await;
    succeeded(&output);
}

/// A program that has nothing of ours reads the events that are there, and says so when one is none.
#[tokio::test]
async fn its_events_are_read_by_the_cloudevents_package() {
    let kafka = Kafka::start().await;
    kafka.create_topic(TOPIC, 1).await;
    produce_with_headers(&kafka, EVENTS).await;
    let began = Instant::now();
    let events = kafka.read_events(TOPIC, 3).await;
    println!("read in {:?}", began.elapsed());
    let attributes = [
        json!({"specversion": "1.0", "id": "1", "source": "/Gerüche/雨", "type": "order.made.v1",
               "partitionkey": "ö-7", "datacontenttype": "text/xml"}),
        json!({"specversion": "1.0", "id": "2", "source": "/雨", "type": "t",
               "time": "2026-07-01T10:00:00Z", "count": 7}),
        json!({"specversion": "1.0", "id": "3", "source": "/", "type": "t"}),
    ];
    // In Base64: `<Größe/>`, `{"a":[1,null],"b":"ß"}`, and the bytes as they were.
    let data = [
        "PEdyw7bDn2UvPg==",
        "eyJhIjpbMSxudWxsXSwiYiI6IsOfIn0=",
        "/wA=",
    ];
    let keys = [Some("kéy"), None, None];
    for (offset, event) in events.iter().enumerate() {
        let wanted = json!({"attributes": attributes[offset], "data": data[offset],
                            "key": keys[offset], "partition": 0, "offset": offset});
        assert_eq!(*event, wanted);
    }
    assert_eq!(events.len(), 3);
    produce_with_headers(&kafka, NO_EVENT).await;
    let output = kafka.events(TOPIC, 4).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    let wanted = "partition 0, offset 3 cannot be read: ValueError: no specversion";
    assert!(told.contains(wanted), "{told}");
}

/// A client's properties file: this authority's servers are trusted.
fn client(kafka: &Kafka, authority: &Authority, name: &str, lines: &str) -> PathBuf {
    let trusted = kafka.folder.path().join(format!("{name}.authority.pem"));
    write(&trusted, &authority.pem());
    let file = kafka.folder.path().join(name);
    let text = format!(
        "ssl.truststore.type=PEM\nssl.truststore.location={}\n\
         delivery.timeout.ms=20000\nrequest.timeout.ms=10000\nlinger.ms=0\nmax.block.ms=20000\n{lines}",
        trusted.display()
    );
    write(&file, &text);
    file
}

fn sasl(mechanism: &str, module: &str, options: &str) -> String {
    format!(
        "security.protocol=SASL_SSL\nsasl.mechanism={mechanism}\n\
         sasl.jaas.config=org.apache.kafka.common.security.{module} required {options};\n"
    )
}

fn login(password: &str) -> String {
    format!("username=\"{}\" password=\"{password}\"", Kafka::USER)
}

/// Each way in: its name, where it is, what the client says there, and whether that is good.
fn ways_in<'a>(
    by_name: &'a str,
    by_certificate: &'a str,
    identity: &Path,
) -> [(&'static str, &'a str, String, bool); 8] {
    let (right, wrong) = (login(Kafka::PASSWORD), login("wrong"));
    let (plain, scram) = ("plain.PlainLoginModule", "scram.ScramLoginModule");
    let bearer = "oauthbearer.OAuthBearerLoginModule";
    let token = sasl(
        "OAUTHBEARER",
        bearer,
        "unsecuredLoginStringClaim_sub=\"someone\"",
    );
    let scram_256 = sasl("SCRAM-SHA-256", scram, &right);
    let scram_512 = sasl("SCRAM-SHA-512", scram, &right);
    let scram_wrong = sasl("SCRAM-SHA-512", scram, &wrong);
    let nothing = "security.protocol=SSL\n".to_owned();
    let certificate = format!(
        "{nothing}ssl.keystore.type=PEM\nssl.keystore.location={}\n",
        identity.display()
    );
    [
        ("plain", by_name, sasl("PLAIN", plain, &right), true),
        ("scram-256", by_name, scram_256, true),
        ("scram-512", by_name, scram_512, true),
        ("token", by_name, token, true),
        ("certificate", by_certificate, certificate, true),
        ("plain-wrong", by_name, sasl("PLAIN", plain, &wrong), false),
        ("scram-wrong", by_name, scram_wrong, false),
        ("no-certificate", by_certificate, nothing, false),
    ]
}

/// Each way in lets in whom it should, and nobody else.
#[tokio::test]
async fn its_secure_listeners_tell_clients_apart() {
    let authority = Authority::new("kafka");
    let kafka = Kafka::start_secure(&authority).await;
    kafka.create_topic(TOPIC, 1).await;
    let (by_name, by_certificate) = (kafka.bootstrap_sasl(), kafka.bootstrap_certificates());
    let identity = kafka.folder.path().join("client.pem");
    let shown = authority.identity("client", 2);
    write(
        &identity,
        &format!("{}{}", shown.key_pem(), shown.certificate_pem()),
    );
    let mut wanted = String::new();
    for (name, bootstrap, lines, good) in ways_in(&by_name, &by_certificate, &identity) {
        let config = client(&kafka, &authority, name, &lines);
        let config = config.to_string_lossy();
        let record = format!("{name}\n");
        let more = ["--command-config", &*config];
        let output = produce(&kafka, bootstrap, &more, &record).await;
        // The tool ends well also when its record was refused; and where it says so is the logger's.
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        let let_in = output.status.success() && !told.contains("ERROR");
        assert_eq!(let_in, good, "{name}: {told}");
        if good {
            wanted.push_str(&record);
        }
    }
    let count = wanted.lines().count().to_string();
    assert_eq!(consume(&kafka, &count).await, wanted);
}
