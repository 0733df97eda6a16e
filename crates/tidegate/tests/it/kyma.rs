//! Kyma's recorded answers, request by request, against the real binary.

use std::{env, fs, path::PathBuf};

use serde_json::Value;
use tidegate_testkit::{Client, Sink};

use crate::harness::{Tidegate, binary, subscription};

/// Recorded requests whose answer is another one here, each with its reason in
/// docs/kyma-compatibility.md: name, and our status.
const DIFFERENCES: [(&str, u16); 4] = [
    ("too large binary", 413),
    ("too large structured", 413),
    ("subscribed type w/o dot", 200),
    ("readyz", 200),
];

/// Publishers of a Kyma cluster get the answers that they know.
#[tokio::test]
async fn recorded_requests_get_the_recorded_answers() {
    let Some(vectors) = env::var_os("TIDEGATE_VECTORS").map(PathBuf::from) else {
        println!("skipped: TIDEGATE_VECTORS is not set");
        return;
    };
    let golden = fs::read(vectors.join("kyma-golden/http.json")).unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let tidegate = Tidegate::up(
        &subscriptions(&golden),
        "receive: { body_bytes_max: 64KiB }\n",
    )
    .await;
    let mut judged = 0;
    let mut wrong = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        // Cases without a recorded request are about a backend in trouble.
        if case.get("reqheaders").is_none() {
            continue;
        }
        judged += 1;
        if let Some(difference) = differs(&tidegate, case).await {
            wrong.push(difference);
        }
    }
    assert!(judged > 80, "only {judged} cases");
    assert!(
        wrong.is_empty(),
        "{} of {judged}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

async fn differs(tidegate: &Tidegate, case: &Value) -> Option<String> {
    let name = case["name"].as_str().unwrap();
    let path = case["path"].as_str().unwrap();
    let headers: Vec<(&str, &str)> = case["reqheaders"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let method = case["method"].as_str().unwrap();
    let mut client = Client::connect(tidegate.receive).await.unwrap();
    let answer = client
        .send(method, path, &headers, &body(&case["reqbody"]))
        .await
        .unwrap();
    let different = DIFFERENCES.iter().find(|(known, _)| *known == name);
    let status = different.map_or(case["status"].as_u64(), |(_, status)| {
        Some((*status).into())
    });
    if Some(u64::from(answer.status)) != status {
        return Some(format!(
            "{name}: {} {}, not {status:?}",
            answer.status,
            answer.text()
        ));
    }
    let legacy = path.contains("/v1/events");
    if legacy
        && different.is_none()
        && !same_body(name, &answer.text(), case["body"].as_str().unwrap())
    {
        return Some(format!(
            "{name}: {:?}, not {:?}",
            answer.text(),
            case["body"]
        ));
    }
    None
}

/// Equal to the byte, but for what is random or unordered in the recording.
fn same_body(name: &str, ours: &str, recorded: &str) -> bool {
    match name {
        "legacy no id" | "legacy empty id" => {
            let ours: Value = serde_json::from_str(ours).unwrap();
            ours["event-id"].as_str().is_some_and(|id| id.len() == 36)
                && ours["status"] == ""
                && ours["reason"] == ""
        }
        "subscribed" => {
            let types = |text: &str| {
                let value: Value = serde_json::from_str(text).unwrap();
                let mut types: Vec<String> = value["eventsInfo"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(Value::to_string)
                    .collect();
                types.sort();
                types
            };
            types(ours) == types(recorded)
        }
        _ => ours == recorded,
    }
}

fn body(recorded: &Value) -> Vec<u8> {
    let text = |key: &str| recorded[key].as_str().unwrap_or_default().to_owned();
    if let Some(text) = recorded["utf8"].as_str() {
        return text.as_bytes().to_vec();
    }
    if recorded.get("base64").is_some() {
        // The one recorded binary body.
        assert_eq!(text("base64"), "AAH/");
        return vec![0x00, 0x01, 0xff];
    }
    let Some(count) = recorded["count"].as_u64() else {
        return Vec::new();
    };
    let fill = text("fill").repeat(usize::try_from(count).unwrap());
    format!("{}{fill}{}", text("prefix"), text("suffix")).into_bytes()
}

fn subscriptions(golden: &Value) -> String {
    let mut documents = String::new();
    for (index, recorded) in golden["meta"]["subscriptions"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let types = recorded["types"].as_array().unwrap();
        // Kyma's validation refuses a repeated type, and one of a single segment; the recording
        // bypassed it.
        let mut kept: Vec<&str> = types.iter().filter_map(Value::as_str).collect();
        kept.dedup();
        kept.retain(|r#type| r#type.contains('.'));
        if kept.is_empty() {
            continue;
        }
        documents += &format!(
            "---\napiVersion: eventing.kyma-project.io/v1alpha2\nkind: Subscription\n\
             metadata: {{ name: recorded-{index} }}\nspec:\n  sink: http://127.0.0.1:9/\n  \
             source: {}\n  typeMatching: {}\n  types: {}\n",
            recorded["source"],
            recorded["typeMatching"],
            serde_json::to_string(&kept).unwrap(),
        );
    }
    documents
}

/// What reads the status of Kyma's kind finds it, in Kyma's words; a wrong form of a document is
/// told there, and what ran goes on.
#[tokio::test]
async fn the_status_is_kymas() {
    let function = Sink::start(|_| 200_u16).await;
    let good = subscription("one", "/s", "a.v1", &function.url());
    let tidegate = Tidegate::up(&good, "").await;
    let status = async || {
        let mut client = Client::connect(tidegate.admin).await.unwrap();
        let path = "/api/v1/subscriptions/default/one";
        let answer = client.send("GET", path, &[], b"").await.unwrap();
        let answer: Value = serde_json::from_str(&answer.text()).unwrap();
        answer["kymaStatus"].clone()
    };
    let told = |status: &Value| {
        let conditions = status["conditions"].as_array().unwrap().clone();
        let told = conditions.into_iter().map(|one| {
            let text = |field: &str| one[field].as_str().unwrap().to_owned();
            (text("type"), text("status"), text("reason"))
        });
        told.collect::<Vec<_>>()
    };
    let of = |texts: [&str; 3]| {
        let [r#type, status, reason] = texts.map(ToOwned::to_owned);
        (r#type, status, reason)
    };
    let running = status().await;
    assert_eq!(running["ready"], true);
    assert_eq!(running["types"][0]["originalType"], "a.v1");
    assert_eq!(running["backend"]["types"][0]["originalType"], "a.v1");
    let active = "Subscription active";
    let valid = "Subscription spec valid";
    let both = [
        of([active, "True", "NATS Subscription active"]),
        of([valid, "True", "Subscription spec has no validation errors"]),
    ];
    assert_eq!(told(&running), both);
    let bad = good.replace("a.v1", "nodots");
    fs::write(tidegate.subscriptions().join("subscriptions.yaml"), bad).unwrap();
    tidegate.log_says("must have minimum 2 segments").await;
    let wrong = status().await;
    assert_eq!(wrong["ready"], false);
    let one = [of([
        valid,
        "False",
        "Subscription spec has validation errors",
    ])];
    assert_eq!(told(&wrong), one);
    assert_eq!(
        wrong["conditions"][0]["message"],
        "Subscription validation failed: spec.types[0]: must have minimum 2 segments"
    );
    tidegate
        .send("POST", "/events", &binary("1", "/s", "a.v1"), b"{}")
        .await;
    function.received(1).await;
}
