//! Records in and out of a topic with Kafka's own tools, which know nothing of Tidegate's codec.

use std::process::Output;

use tidegate_testkit::Kafka;

/// A record as the tools take and give it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record {
    pub(crate) key: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) value: String,
}

/// What no text of a test has.
const FIELD: &str = "\u{1}";
const HEADER: &str = "\u{2}";
const VALUE: &str = "\u{3}";

/// What stands in the place of a key that is not there.
const NONE: &str = "<none>";

impl Record {
    pub(crate) fn new(headers: &[(&str, &str)], value: &str) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self {
            key: None,
            headers,
            value: value.to_owned(),
        }
    }

    pub(crate) fn keyed(self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    fn line(&self) -> String {
        let headers: Vec<String> = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}{VALUE}{value}"))
            .collect();
        let key = self.key.as_deref().unwrap_or(NONE);
        format!(
            "{}{FIELD}{key}{FIELD}{}\n",
            headers.join(HEADER),
            self.value
        )
    }
}

/// Sends them, in order.
pub(crate) async fn produce(kafka: &Kafka, topic: &str, records: &[Record]) {
    let input: String = records.iter().map(Record::line).collect();
    let properties = [
        "parse.headers=true".to_owned(),
        "parse.key=true".to_owned(),
        format!("headers.delimiter={FIELD}"),
        format!("headers.separator={HEADER}"),
        format!("headers.key.separator={VALUE}"),
        format!("key.separator={FIELD}"),
        format!("null.marker={NONE}"),
    ];
    let bootstrap = kafka.bootstrap();
    let mut arguments = vec!["--bootstrap-server", &bootstrap, "--topic", topic];
    for property in &properties {
        arguments.extend(["--reader-property", property]);
    }
    let class = "org.apache.kafka.tools.ConsoleProducer";
    succeeded(&kafka.run_with_input(class, &arguments, &input).await);
}

/// The first records of a topic; those of a partition in order.
pub(crate) async fn consume(kafka: &Kafka, topic: &str, count: usize) -> Vec<Record> {
    let (bootstrap, count) = (kafka.bootstrap(), count.to_string());
    let properties = [
        "print.headers=true".to_owned(),
        "print.key=true".to_owned(),
        "print.value=true".to_owned(),
        format!("headers.separator={HEADER}"),
        format!("key.separator={FIELD}"),
        format!("null.literal={NONE}"),
    ];
    let mut arguments = vec![
        "--bootstrap-server",
        &bootstrap,
        "--topic",
        topic,
        "--from-beginning",
        "--max-messages",
        &count,
        "--timeout-ms",
        "60000",
    ];
    for property in &properties {
        arguments.extend(["--formatter-property", property]);
    }
    let class = "org.apache.kafka.tools.consumer.ConsoleConsumer";
    let output = succeeded(&kafka.run(class, &arguments).await);
    output.lines().map(read).collect()
}

/// The tool separates fields alike, and says `name:value` of headers.
fn read(line: &str) -> Record {
    let mut fields = line.splitn(3, FIELD);
    let (headers, key) = (fields.next().unwrap(), fields.next().unwrap());
    let headers = headers.split(HEADER).filter_map(|one| one.split_once(':'));
    Record {
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        key: (key != NONE).then(|| key.to_owned()),
        value: fields.next().unwrap_or_default().to_owned(),
    }
}

pub(crate) fn succeeded(output: &Output) -> String {
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{error}");
    out.into_owned()
}
