//! SAP systems against the real program: what they send arrives, and they get the answer they
//! want.

use std::{collections::BTreeMap, env, fs, path::PathBuf, process::Command};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tidegate_testkit::{Received, Sink};
use tokio::time::timeout;

use crate::harness::{PATIENCE, Tidegate};

/// What stands in the place of a method where a case is no request.
const RECORD: &str = "KAFKA";

struct Case {
    name: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    expected: Value,
}

impl Case {
    /// Whether its path says which Application sends.
    fn names_application(&self) -> bool {
        let system = self.expected["connectedSystem"]["name"].as_str().unwrap();
        self.path.starts_with(&format!("/{system}/"))
    }
}

/// Every documented case: the answer, and the events as the Function gets them.
#[tokio::test]
async fn every_documented_request_arrives_as_the_documented_events() {
    let Some(cases) = cases() else {
        return;
    };
    assert!(cases.len() >= 29, "{} cases", cases.len());
    let (records, cases): (Vec<_>, Vec<_>) =
        cases.into_iter().partition(|case| case.method == RECORD);
    records.iter().for_each(record);
    let function = Sink::start(|_| 204_u16).await;
    let (named, unnamed): (Vec<_>, Vec<_>) =
        cases.iter().partition(|case| case.names_application());
    // Doors that name an Application are behind documents; brokers come as somebody unknown.
    let with_documents = Tidegate::up_prepared(
        &subscriptions(&cases, &function.url()),
        "applications: { folder: applications }\n",
        |folder| {
            fs::create_dir(folder.join("applications")).unwrap();
            fs::write(folder.join("applications/all.yaml"), applications(&named)).unwrap();
        },
    )
    .await;
    let without = Tidegate::up(&subscriptions(&cases, &function.url()), "").await;
    let mut sent = 0;
    for (tidegate, cases) in [(&with_documents, named), (&without, unnamed)] {
        for case in cases {
            answered(tidegate, case).await;
            let expected = case.expected["events"].as_array().unwrap();
            let arriving = function.received(sent + expected.len());
            let received = timeout(PATIENCE / 3, arriving)
                .await
                .unwrap_or_else(|_| panic!("{} does not arrive: {}", case.name, tidegate.log()));
            let mut found: Vec<Value> = received.iter().skip(sent).map(event).collect();
            sent += expected.len();
            let mut expected = expected.clone();
            for (found, expected) in found.iter_mut().zip(&mut expected) {
                if expected["id"] == "$UUID" {
                    assert_eq!(found["id"].as_str().unwrap().len(), 36, "{}", case.name);
                    expected["id"] = found["id"].clone();
                }
            }
            // Two events of one request may be delivered in any order.
            for list in [&mut found, &mut expected] {
                list.sort_by_key(|event| event["id"].to_string());
            }
            assert_eq!(found, expected, "{}", case.name);
        }
    }
}

/// A Kafka record comes through no HTTP door; the same process says what it becomes.
fn record(case: &Case) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("value");
    fs::write(&file, &case.body).unwrap();
    let system = case.expected["connectedSystem"]["name"].as_str().unwrap();
    let headers = case.headers.iter();
    let headers =
        headers.flat_map(|(name, value)| ["--header".to_owned(), format!("{name}: {value}")]);
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["applications", "test", "--format", "kafka-record"])
        .args(["--application", system])
        .args(headers)
        .arg(&file)
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut found: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for event in &mut found {
        let event = event.as_object_mut().unwrap();
        event.retain(|name, _| !name.starts_with("ingress"));
    }
    assert_eq!(
        Value::Array(found),
        case.expected["events"],
        "{}",
        case.name
    );
}

async fn answered(tidegate: &Tidegate, case: &Case) {
    let name = &case.name;
    let headers: Vec<(&str, &str)> = case
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let answer = tidegate
        .send(&case.method, &case.path, &headers, &case.body)
        .await;
    let wanted = &case.expected["response"];
    let any_2xx = wanted["any2xx"] == true && (200..300).contains(&answer.status);
    assert!(
        any_2xx || u64::from(answer.status) == wanted["status"].as_u64().unwrap(),
        "{name}: {} {}",
        answer.status,
        answer.text()
    );
    for (header, value) in wanted["headers"].as_object().into_iter().flatten() {
        let found = answer.header(&header.to_lowercase()).unwrap_or_default();
        let value = value.as_str().unwrap();
        assert!(
            found.eq_ignore_ascii_case(value),
            "{name}: {header}: {found}"
        );
    }
    for text in wanted["bodyContains"].as_array().into_iter().flatten() {
        assert!(
            answer.text().contains(text.as_str().unwrap()),
            "{name}: {}",
            answer.text()
        );
    }
    if wanted["body"].is_object() {
        let body: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(body, wanted["body"], "{name}");
    }
}

/// A delivered request as a structured event, without what the gateway says.
fn event(received: &Received) -> Value {
    let mut event = BTreeMap::new();
    let mut content_type = String::new();
    for (name, value) in &received.headers {
        if name == "content-type" {
            content_type.clone_from(value);
            event.insert("datacontenttype".to_owned(), json!(value));
        }
        let Some(name) = name.strip_prefix("ce-") else {
            continue;
        };
        // `originaltype` is what a Kyma Subscription adds on the way out.
        if !name.starts_with("ingress") && name != "originaltype" {
            let text = percent_decode_str(value).decode_utf8().unwrap();
            event.insert(name.to_owned(), json!(text));
        }
    }
    let data = if content_type.contains("json") {
        serde_json::from_slice(&received.body).unwrap()
    } else {
        json!(String::from_utf8_lossy(&received.body))
    };
    event.insert("data".to_owned(), data);
    // A header has no types.
    if let Some(repost) = event.get_mut("xsaprepost") {
        *repost = json!(*repost == "true");
    }
    json!(event)
}

fn subscriptions(cases: &[Case], sink: &str) -> String {
    // Exact matching looks at the type alone, as in Kyma.
    let mut wanted = BTreeMap::new();
    for case in cases {
        for event in case.expected["events"].as_array().unwrap() {
            wanted.insert(event["type"].to_string(), event["source"].to_string());
        }
    }
    wanted
        .into_iter()
        .enumerate()
        .map(|(number, (kind, source))| {
            format!(
                "---\napiVersion: eventing.kyma-project.io/v1alpha2\nkind: Subscription\n\
                 metadata: {{ name: s{number}, namespace: default }}\n\
                 spec: {{ sink: {sink}, typeMatching: exact, source: {source}, types: [{kind}] }}\n"
            )
        })
        .collect()
}

fn applications(cases: &[&Case]) -> String {
    let mut documents = BTreeMap::new();
    for case in cases {
        let system = &case.expected["connectedSystem"];
        let name = system["name"].as_str().unwrap();
        let mut spec = json!({"authentication": [{"none": {}}], "sources": ["**"]});
        for setting in ["namespace", "timezone", "mapping"] {
            if !system[setting].is_null() {
                spec[setting] = system[setting].clone();
            }
        }
        let document = json!({
            "apiVersion": "eventing.tidegate.dev/v1alpha1", "kind": "Application",
            "metadata": {"name": name}, "spec": spec,
        });
        let richer =
            |have: &Value| have["spec"].to_string().len() > document["spec"].to_string().len();
        if !documents.get(name).is_some_and(richer) {
            documents.insert(name.to_owned(), document);
        }
    }
    let texts = documents
        .values()
        .map(|document| format!("---\n{document}\n"));
    texts.collect()
}

fn cases() -> Option<Vec<Case>> {
    let folder = PathBuf::from(env::var_os("TIDEGATE_VECTORS")?).join("sap-cases");
    let mut cases = Vec::new();
    for file in fs::read_dir(&folder).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap();
        let Some(name) = name.strip_suffix(".expected.json") else {
            continue;
        };
        let head = fs::read_to_string(folder.join(format!("{name}.http"))).unwrap();
        let mut lines = head.lines();
        let mut first = lines.next().unwrap().split(' ');
        let expected: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let payload = fs::read(folder.join(expected["payload"].as_str().unwrap())).unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        cases.push(Case {
            method: first.next().unwrap().to_owned(),
            path: first.next().unwrap().to_owned(),
            headers: headers
                .filter(|(name, _)| *name != "Host")
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: payload.trim_ascii_end().to_vec(),
            name: name.to_owned(),
            expected,
        });
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Some(cases)
}
