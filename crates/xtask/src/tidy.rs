//! The project's own rules: what no other tool knows.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::process::cargo;

/// What may stand at the top.
const TOP: [&str; 17] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "charts",
    "config",
    "crates",
    "deny.toml",
    "docs",
    "loadtest",
    "rust-toolchain.toml",
    "target",
    "clippy.toml",
    "compose.yaml",
];

/// Which room may use which; the rest may use nothing of ours.
const EDGES: [(&str, &[&str]); 26] = [
    ("tidegate-event", &[]),
    ("tidegate-document", &[]),
    (
        "tidegate-application",
        &["tidegate-event", "tidegate-document"],
    ),
    ("tidegate-identity", &["tidegate-application"]),
    ("tidegate-cesql", &[]),
    (
        "tidegate-subscription",
        &["tidegate-cesql", "tidegate-event", "tidegate-document"],
    ),
    ("tidegate-backbone", &["tidegate-event"]),
    ("tidegate-telemetry", &["tidegate-event"]),
    ("tidegate-otlp", &["tidegate-event", "tidegate-telemetry"]),
    ("tidegate-snapshot", &["tidegate-backbone"]),
    (
        "tidegate-controller",
        &[
            "tidegate-application",
            "tidegate-backbone",
            "tidegate-document",
            "tidegate-snapshot",
            "tidegate-subscription",
        ],
    ),
    ("tidegate-history", &[]),
    ("tidegate-tls", &[]),
    (
        "tidegate-receive",
        &[
            "tidegate-event",
            "tidegate-subscription",
            "tidegate-telemetry",
            "tidegate-tls",
        ],
    ),
    (
        "tidegate-normalize",
        &["tidegate-event", "tidegate-application"],
    ),
    (
        "tidegate-publish",
        &["tidegate-event", "tidegate-backbone", "tidegate-telemetry"],
    ),
    (
        "tidegate-consume",
        &[
            "tidegate-event",
            "tidegate-subscription",
            "tidegate-backbone",
            "tidegate-telemetry",
        ],
    ),
    (
        "tidegate-deliver",
        &[
            "tidegate-event",
            "tidegate-subscription",
            "tidegate-telemetry",
        ],
    ),
    (
        "tidegate-kafka",
        &[
            "tidegate-document",
            "tidegate-event",
            "tidegate-subscription",
        ],
    ),
    ("tidegate-testkit", &[]),
    (
        "tidegate-simulation",
        &[
            "tidegate-event",
            "tidegate-subscription",
            "tidegate-backbone",
            "tidegate-consume",
            "tidegate-deliver",
        ],
    ),
    (
        "tidegate-fuzz",
        &[
            "tidegate-event",
            "tidegate-application",
            "tidegate-cesql",
            "tidegate-normalize",
        ],
    ),
    ("tidegate-instructions", &["*"]),
    ("xtask", &[]),
    ("tidegate-loadtest", &["tidegate-testkit"]),
    ("tidegate", &["*"]),
];

/// A longer file has more than one reason to exist.
const LINES_MAX: usize = 500;

const README_LINES_MAX: usize = 120;

/// Rooms whose codes reach people.
const CODE_ROOMS: [&str; 5] = ["event", "identity", "normalize", "publish", "receive"];

pub(crate) fn run() -> anyhow::Result<()> {
    let mut mistakes = Vec::new();
    top(&mut mistakes)?;
    edges(&mut mistakes)?;
    let sources = sources()?;
    for file in &sources {
        source(file, &mut mistakes)?;
    }
    error_pages(&sources, &mut mistakes)?;
    for page in files(Path::new("docs"), "md")?
        .into_iter()
        .chain(files_at_top()?)
    {
        links(&page, &mut mistakes)?;
    }
    let readme = fs::read_to_string("README.md")?.lines().count();
    if readme > README_LINES_MAX {
        mistakes.push(format!(
            "README.md has {readme} lines, the limit is {README_LINES_MAX}"
        ));
    }
    if mistakes.is_empty() {
        println!("tidy: {} source files are in order", sources.len());
        return Ok(());
    }
    bail!(
        "{} untidy places:\n  {}",
        mistakes.len(),
        mistakes.join("\n  ")
    )
}

fn top(mistakes: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(".")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !TOP.contains(&name.as_str()) {
            mistakes.push(format!("{name}: does not belong at the top"));
        }
    }
    Ok(())
}

fn edges(mistakes: &mut Vec<String>) -> anyhow::Result<()> {
    let said = cargo("metadata")
        .args(["--no-deps", "--format-version", "1", "--locked"])
        .output()?;
    let metadata: Value = serde_json::from_slice(&said.stdout).context("cargo metadata")?;
    for package in metadata
        .pointer("/packages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = package
            .pointer("/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let allowed = EDGES
            .iter()
            .find(|(room, _)| *room == name)
            .map(|(_, allowed)| *allowed);
        let Some(allowed) = allowed else {
            mistakes.push(format!("{name}: a room that tidy does not know"));
            continue;
        };
        let used = package
            .pointer("/dependencies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for dependency in used {
            let used = dependency
                .pointer("/name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let for_tests = dependency.pointer("/kind").and_then(Value::as_str) == Some("dev");
            let ours = EDGES.iter().any(|(room, _)| *room == used);
            if ours && !for_tests && !allowed.contains(&used) && !allowed.contains(&"*") {
                mistakes.push(format!("{name} must not use {used}"));
            }
        }
    }
    Ok(())
}

fn source(file: &Path, mistakes: &mut Vec<String>) -> anyhow::Result<()> {
    let text = fs::read_to_string(file)?;
    if !text.starts_with("//!") {
        mistakes.push(format!(
            "{}: does not begin with what it is for (//!)",
            file.display()
        ));
    }
    let is_test = file
        .components()
        .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
    let code = text
        .find("\n#[cfg(test)]\nmod tests {")
        .map_or(&*text, |at| text.get(..at).unwrap_or(&text));
    let lines = code.lines().count();
    if !is_test && lines > LINES_MAX {
        mistakes.push(format!(
            "{}: {lines} lines, the limit is {LINES_MAX}",
            file.display()
        ));
    }
    Ok(())
}

/// Every code that reaches people has its page.
fn error_pages(sources: &[PathBuf], mistakes: &mut Vec<String>) -> anyhow::Result<()> {
    let mut codes = BTreeSet::new();
    for file in sources
        .iter()
        .filter(|file| file.components().any(|part| part.as_os_str() == "src"))
    {
        let text = fs::read_to_string(file)?;
        for literal in text.split('"').skip(1).step_by(2) {
            let code = literal.split_once('/').filter(|(room, name)| {
                CODE_ROOMS.contains(room)
                    && !name.is_empty()
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            });
            if let Some((room, name)) = code {
                codes.insert(format!("{room}-{name}"));
            }
        }
    }
    for code in codes {
        if !Path::new("docs/errors")
            .join(format!("{code}.md"))
            .is_file()
        {
            mistakes.push(format!(
                "docs/errors/{code}.md: the page of an error code is missing"
            ));
        }
    }
    Ok(())
}

/// Relative links lead somewhere.
fn links(page: &Path, mistakes: &mut Vec<String>) -> anyhow::Result<()> {
    let text = fs::read_to_string(page)?;
    let folder = page.parent().unwrap_or(Path::new("."));
    for link in text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        let path = link.split('#').next().unwrap_or_default();
        if !path.is_empty() && !path.contains("://") && !folder.join(path).exists() {
            mistakes.push(format!("{}: the link {link} leads nowhere", page.display()));
        }
    }
    Ok(())
}

fn sources() -> anyhow::Result<Vec<PathBuf>> {
    let mut sources = files(Path::new("crates"), "rs")?;
    sources.extend(files(Path::new("loadtest"), "rs")?);
    Ok(sources)
}

fn files_at_top() -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(".")?.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect())
}

fn files(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|have| have == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
