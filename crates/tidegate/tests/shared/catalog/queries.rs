//! What the dashboard and the alerts ask for.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use super::{Catalog, root};

const DASHBOARD: &str = "charts/grafana/tidegate.json";
const ALERTS: &str = "charts/prometheus/alerts.yaml";

/// Labels that Prometheus itself adds to what it scrapes, and the one of histograms.
const ALWAYS: [&str; 3] = ["instance", "job", "le"];

/// Fails with what Prometheus' linter says.
pub(super) fn lint(promcheck: &Path, text: &str) {
    let output = run(promcheck, "metrics", text);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Fails at a query that is none, or that asks for a metric or a label that is not there.
pub(super) fn check(promcheck: &Path, catalog: &Catalog) {
    let mut queries = of_dashboard();
    queries.extend(of_alerts());
    assert!(queries.len() > 50, "{}", queries.len());
    let input = Value::from(queries.clone()).to_string();
    let output = run(promcheck, "queries", &input);
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), queries.len());
    for (query, asked) in queries.iter().zip(&answers) {
        assert_eq!(asked["error"], Value::Null, "{query}");
        let mut labels: Vec<&str> = ALWAYS.to_vec();
        for selector in asked["selectors"].as_array().unwrap() {
            let name = selector["metric"].as_str().unwrap();
            let family = name.strip_suffix("_bucket").unwrap_or(name);
            let shown = catalog.get(family);
            let shown = shown.unwrap_or_else(|| panic!("nothing is called {name}: {query}"));
            for label in texts(&selector["labels"]) {
                let is_there = shown.labels.contains(label) || ALWAYS.contains(&label);
                assert!(is_there, "{name} has no label {label}: {query}");
            }
            labels.extend(shown.labels.iter().map(String::as_str));
        }
        for label in texts(&asked["grouping"]) {
            assert!(labels.contains(&label), "no label {label}: {query}");
        }
    }
}

fn texts(array: &Value) -> impl Iterator<Item = &str> {
    array
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn of_dashboard() -> Vec<String> {
    let text = fs::read_to_string(root().join(DASHBOARD)).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let queries = targets
        .flatten()
        .map(|target| target["expr"].as_str().unwrap());
    // What Grafana would put there.
    let filled = queries.map(|query| query.replace("$__rate_interval", "1m"));
    let mut queries: Vec<String> = filled.collect();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let asked = variables
        .iter()
        .filter_map(|one| one["definition"].as_str());
    for variable in asked {
        let inner = variable.strip_prefix("label_values(").unwrap();
        let (metric, label) = inner.strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
        queries.push(format!("sum by ({label}) ({metric})"));
    }
    queries
}

/// Each has what it takes to act on it: a line that says what is wrong, and a section that says what
/// to do.
fn of_alerts() -> Vec<String> {
    let text = fs::read_to_string(root().join(ALERTS)).unwrap();
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let rule = |rule: &Value| {
        let name = rule["alert"].as_str().unwrap();
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}");
        let annotations = &rule["annotations"];
        assert!(annotations["summary"].is_string(), "{name}");
        let runbook = annotations["runbook_url"].as_str().unwrap();
        let (page, section) = runbook.split_once('#').unwrap();
        let page = fs::read_to_string(root().join(page)).unwrap();
        assert_eq!(section, name.to_lowercase());
        assert!(page.contains(&format!("\n## {name}\n")), "{name}");
        rule["expr"].as_str().unwrap().to_owned()
    };
    rules.map(rule).collect()
}

fn run(promcheck: &Path, what: &str, input: &str) -> Output {
    let mut child = Command::new(promcheck)
        .arg(what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It reads all of it before it writes.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}
