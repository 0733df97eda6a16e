//! The examples of the command line that need nothing but this repository.

use std::{path::Path, process::Command};

fn run(words: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(words)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Word for word as the help has them, up to where a shell would write their output.
#[test]
fn examples_that_need_nothing_run() {
    for example in [
        "tidegate check --config config/demo/tidegate.yaml",
        "tidegate completion bash",
        "tidegate man",
        "tidegate subscriptions schema",
    ] {
        let words: Vec<&str> = example.split(' ').skip(1).collect();
        let (_, help, _) = run(&[words[0], "--help"]);
        let stands = help.lines().any(|line| line.trim().starts_with(example));
        assert!(stands, "{example} is no example: {help}");
        let (code, out, error) = run(&words);
        assert_eq!(code, Some(0), "{example}: {error}");
        assert!(!out.is_empty(), "{example}");
    }
}

/// Each command has a page of its own, with its examples.
#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let (code, _, error) = run(&["man", "--folder", path]);
    assert_eq!(code, Some(0), "{error}");
    for page in ["tidegate.1", "tidegate-status.1", "tidegate-events-tail.1"] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains("Examples:"), "{page}: {text}");
    }
    let (code, _, error) = run(&["man", "--folder", "/no/such/folder"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("--folder /no/such/folder"), "{error}");
}
