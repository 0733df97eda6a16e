//! The pages that tell how to connect a system: each is tried as it stands.

use std::{collections::BTreeMap, fs, path::Path};

use tidegate_testkit::Sink;

use crate::harness::{Tidegate, subscription};

/// What every page has for its secret.
const SECRET: &str = "change-me-0123456789";

/// A page's request.
struct Curl {
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
}

/// A reader copies the document and the command, and gets the answer that the page promises.
#[tokio::test]
async fn every_page_works_as_it_stands() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connect");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name != "README.md" {
            assert!(
                index.contains(&format!("({name})")),
                "{name} is not in the index"
            );
            pages.insert(name, fs::read_to_string(&file).unwrap());
        }
    }
    assert!(pages.len() >= 15, "{} pages", pages.len());
    let sink = Sink::start(|_| 204_u16).await;
    let nobody = subscription("none", "/none", "none.v1", &sink.url());
    let tidegate =
        Tidegate::up_prepared(&nobody, "applications: { folder: applications }\n", |dir| {
            let applications = dir.join("applications");
            fs::create_dir_all(applications.join("secrets")).unwrap();
            for (name, page) in &pages {
                let document = block(page, "yaml");
                for rest in document.split("file: ").skip(1) {
                    let secret = rest.split([' ', '}']).next().unwrap();
                    fs::write(applications.join(secret), SECRET).unwrap();
                }
                fs::write(applications.join(name).with_extension("yaml"), document).unwrap();
            }
        })
        .await;
    for (name, page) in &pages {
        let curl = curl(page);
        let headers: Vec<(&str, &str)> = curl
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let answer = tidegate
            .send("POST", &curl.path, &headers, curl.body.as_bytes())
            .await;
        assert_eq!(answer.status, curl.status, "{name}: {}", answer.text());
        // Without the secret nobody gets in.
        let without: Vec<(&str, &str)> = headers
            .iter()
            .copied()
            .filter(|(name, _)| *name != "x-api-key")
            .collect();
        let body = curl.body.replace(SECRET, "guessed");
        let answer = tidegate
            .send("POST", &curl.path, &without, body.as_bytes())
            .await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text());
    }
}

/// The first block of a language.
fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let fence = format!("```{language}\n");
    let (_, rest) = page.split_once(&fence).expect("a block of this language");
    rest.split_once("```").expect("an end of the block").0
}

fn curl(page: &str) -> Curl {
    let mut words = words(block(page, "sh")).into_iter();
    let mut curl = Curl {
        path: String::new(),
        headers: Vec::new(),
        body: String::new(),
        status: 0,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "-H" => {
                let header = words.next().unwrap();
                let (name, value) = header.split_once(": ").unwrap();
                curl.headers.push((name.to_owned(), value.to_owned()));
            }
            "-d" => curl.body = words.next().unwrap(),
            "curl" | "-i" => {}
            url => url
                .strip_prefix("http://127.0.0.1:8080")
                .expect("the default address")
                .clone_into(&mut curl.path),
        }
    }
    let (_, answer) = page.split_once("The answer is `").expect("an answer");
    curl.status = answer.split('`').next().unwrap().parse().unwrap();
    curl
}

/// The words of a command, as a shell reads them: single quotes, and a backslash at a line's end.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in command.replace("\\\n", " ").split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(ToOwned::to_owned));
        }
    }
    words
}
