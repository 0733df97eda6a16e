//! How much each Application has sent: counted where documents describe it, and nowhere else.

use std::{fs, path::Path, process::Command, time::Duration};

use serde_json::Value;
use tidegate_testkit::Client;

use crate::harness::{PATIENCE, Tidegate, binary};

fn document(name: &str, types: &str) -> String {
    format!(
        "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Application\n\
         metadata: {{ name: {name} }}\nspec:\n  authentication:\n  \
         - apiKey: {{ header: x-api-key, key: {{ file: {name}.key }} }}\n  types: ['{types}']\n"
    )
}

fn shops(folder: &Path) {
    let folder = folder.join("applications");
    fs::create_dir(&folder).unwrap();
    for name in ["shop", "idle"] {
        fs::write(
            folder.join(format!("{name}.key")),
            format!("the-one-key-of-{name}"),
        )
        .unwrap();
        fs::write(
            folder.join(format!("{name}.yaml")),
            document(name, "order.**"),
        )
        .unwrap();
    }
}

async fn sent(of: &Tidegate, name: &str) -> Value {
    let mut client = Client::connect(of.admin).await.unwrap();
    let path = format!("/api/v1/applications/{name}");
    let answer = client.send("GET", &path, &[], b"").await.unwrap();
    let shown: Value = serde_json::from_str(&answer.text()).unwrap();
    shown["sent"].clone()
}

const CONFIGURATION: &str = "applications: { folder: applications, poll_interval: 20ms }\n";

/// Stored events, each of a batch; what was refused; and neither for who only names a system.
#[tokio::test]
async fn what_an_application_sends_is_counted() {
    let tidegate = Tidegate::up_prepared("", CONFIGURATION, shops).await;
    let key = ("x-api-key", "the-one-key-of-shop");
    let send = async |headers: &[(&str, &str)], body: &str| {
        let path = "/shop/events";
        let answer = tidegate.send("POST", path, headers, body.as_bytes()).await;
        answer.status
    };
    let event = |id, r#type| {
        let mut headers = binary(id, "shop", r#type);
        headers.push(key);
        headers
    };
    assert_eq!(sent(&tidegate, "shop").await["lastAcceptedAt"], Value::Null);
    assert_eq!(send(&event("1", "order.v1"), "{}").await, 204);
    // Not granted, no event, no key, and the key of another one.
    assert_eq!(send(&event("2", "invoice.v1"), "{}").await, 403);
    assert_eq!(
        send(&[key, ("content-type", "application/json")], "[]").await,
        400
    );
    assert_eq!(send(&binary("3", "shop", "order.v1"), "{}").await, 401);
    let mut strange = binary("4", "shop", "order.v1");
    strange.push(("x-api-key", "the-one-key-of-idle"));
    assert_eq!(send(&strange, "{}").await, 403);
    let one = |id: &str| {
        format!(r#"{{"specversion":"1.0","id":"{id}","source":"shop","type":"order.v1"}}"#)
    };
    let batch = format!("[{},{}]", one("5"), one("6"));
    let content_type = ("content-type", "application/cloudevents-batch+json");
    assert_eq!(send(&[key, content_type], &batch).await, 204);

    let shop = sent(&tidegate, "shop").await;
    assert_eq!(
        (&shop["accepted"], &shop["refused"]),
        (&3.into(), &2.into()),
        "{shop}"
    );
    assert!(
        shop["lastAcceptedAt"].as_str() > shop["since"].as_str(),
        "{shop}"
    );
    let idle = sent(&tidegate, "idle").await;
    assert_eq!(
        (&idle["accepted"], &idle["refused"]),
        (&0.into(), &0.into()),
        "{idle}"
    );
    let of = "tidegate_receive_application_events_total{application=";
    tidegate
        .shows(&[
            &format!("{of}\"shop\",outcome=\"accepted\"}} 3"),
            &format!("{of}\"shop\",outcome=\"refused\"}} 2"),
            &format!("{of}\"idle\",outcome=\"accepted\"}} 0"),
        ])
        .await;
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["applications", "list"])
        .env("TIDEGATE_ADMIN", format!("http://{}", tidegate.admin))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("  accepted 3  refused 2  last 2"), "{text}");
    assert!(text.contains("  accepted 0  refused 0  last -"), "{text}");
}

/// A document that changes loses no count; one that goes takes its series with it.
#[tokio::test]
async fn a_count_outlives_a_change_of_the_document() {
    let tidegate = Tidegate::up_prepared("", CONFIGURATION, shops).await;
    let folder = tidegate.dir.path().join("applications");
    let mut event = binary("1", "shop", "order.v1");
    event.push(("x-api-key", "the-one-key-of-shop"));
    let answer = tidegate.send("POST", "/shop/events", &event, b"{}").await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    fs::write(folder.join("shop.yaml"), document("shop", "invoice.**")).unwrap();
    let began = std::time::Instant::now();
    // Until the change counts.
    while sent(&tidegate, "shop").await["refused"] == 0 {
        assert!(began.elapsed() < PATIENCE, "{}", tidegate.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
        tidegate.send("POST", "/shop/events", &event, b"{}").await;
    }
    let shop = sent(&tidegate, "shop").await;
    assert_ne!(shop["accepted"], 0);
    assert!(shop["lastAcceptedAt"].is_string(), "{shop}");
    fs::remove_file(folder.join("shop.yaml")).unwrap();
    let is_gone = |text: &str| !text.contains("application=\"shop\"");
    tidegate.scrape_until("without the shop", is_gone).await;
    tidegate.shows(&["tidegate_receive_application_events_total{application=\"idle\",outcome=\"accepted\"} 0"]).await;
}
