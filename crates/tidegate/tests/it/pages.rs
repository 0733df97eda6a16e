//! Lists of the admin door, page by page.

use std::{collections::BTreeSet, fs, io::Write as _, path::Path, process::Command};

use serde_json::{Value, json};
use tidegate_testkit::Client;

use crate::harness::{Tidegate, subscription};

async fn ask(to: &Tidegate, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut client = Client::connect(to.admin).await.unwrap();
    let headers = [("content-type", "application/json")];
    let body = body.to_string();
    let answer = client.send(method, path, &headers, body.as_bytes()).await;
    let answer = answer.unwrap();
    (answer.status, serde_json::from_str(&answer.text()).unwrap())
}

/// The names of each page, of two items at most.
async fn pages(of: &Tidegate, path: &str) -> Vec<Vec<String>> {
    let (mut pages, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let (status, page) = ask(of, "GET", &format!("{path}{query}"), &Value::Null).await;
        assert_eq!(status, 200, "{page}");
        let items = page["items"].as_array().unwrap();
        let names = items.iter().map(|one| one["name"].as_str().unwrap());
        pages.push(names.map(str::to_owned).collect());
        match page["next"].as_str() {
            Some(next) => query = format!("?limit=2&from={}", next.replace('/', "%2F")),
            None => return pages,
        }
    }
}

fn applications(count: usize) -> impl FnOnce(&Path) {
    move |folder: &Path| {
        let folder = folder.join("applications");
        fs::create_dir(&folder).unwrap();
        for number in 0..count {
            let mut file = fs::OpenOptions::new()
                .create(true)
                .append(true)
                // A file has at most a thousand documents.
                .open(folder.join(format!("{}.yaml", number / 500)))
                .unwrap();
            write!(
                file,
                "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Application\n\
                 metadata: {{ name: app-{number:04} }}\nspec:\n  authentication:\n  - none: {{}}\n"
            )
            .unwrap();
        }
    }
}

/// Each item is on one page, in order; what is no page is told.
#[tokio::test]
async fn lists_are_read_page_by_page() {
    let documents: String = ["e", "b", "d", "a", "c"]
        .map(|name| subscription(name, "/s", "t.v1", "http://127.0.0.1:1/"))
        .concat();
    let configuration = "applications: { folder: applications }\n";
    let tidegate = Tidegate::up_prepared(&documents, configuration, applications(4)).await;
    assert_eq!(
        pages(&tidegate, "/api/v1/subscriptions").await,
        [&["a", "b"][..], &["c", "d"], &["e"]]
    );
    assert_eq!(
        pages(&tidegate, "/api/v1/applications").await,
        [["app-0000", "app-0001"], ["app-0002", "app-0003"]]
    );
    let mut begun = BTreeSet::new();
    for name in ["a", "b", "c"] {
        let wanted = json!({ "subscription": format!("default/{name}"), "from": 1, "rate": 1 });
        let (status, replay) = ask(&tidegate, "POST", "/api/v1/replays", &wanted).await;
        assert_eq!(status, 201, "{replay}");
        begun.insert(replay["name"].as_str().unwrap().to_owned());
    }
    let replays = pages(&tidegate, "/api/v1/replays").await;
    assert_eq!(replays.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    let replays: Vec<String> = replays.concat();
    let latest_first: Vec<String> = begun.into_iter().rev().collect();
    assert_eq!(replays, latest_first);
    for (query, status) in [("limit=x", 400), ("form=a", 400), ("from=", 200)] {
        for list in ["subscriptions", "applications", "replays"] {
            let path = format!("/api/v1/{list}?{query}");
            let (found, body) = ask(&tidegate, "GET", &path, &Value::Null).await;
            assert_eq!(found, status, "{path}: {body}");
        }
    }
}

/// The command line shows all of a list that has more than the longest page.
#[tokio::test]
async fn the_command_line_follows_the_pages() {
    let configuration = "applications: { folder: applications }\n";
    let tidegate = Tidegate::up_prepared("", configuration, applications(1_001)).await;
    let (_, page) = ask(
        &tidegate,
        "GET",
        "/api/v1/applications?limit=5000",
        &Value::Null,
    )
    .await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1_000);
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["applications", "list"])
        .env("TIDEGATE_ADMIN", format!("http://{}", tidegate.admin))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1_001);
    assert!(
        text.lines().last().unwrap().starts_with("app-1000 "),
        "{text}"
    );
}
