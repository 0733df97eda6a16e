//! Layers, mistakes, and the reference file.

use serde_json::Value;

use super::*;

fn of(text: &str, variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::of("tidegate.yaml", text, variables)
}

/// Defaults, then the file, then the environment.
#[test]
fn later_layers_win() {
    let text = "receive: {listen: \"127.0.0.1:1\", threads: 3}\nbackbone: {dead_letters: {size_max: 64MiB}}\n";
    let config = of(
        text,
        &[("TIDEGATE__RECEIVE__LISTEN", "127.0.0.1:2"), ("OTHER", "x")],
    )
    .unwrap();
    assert_eq!(config.receive.listen.port(), 2);
    assert_eq!(config.receive.threads, 3);
    assert_eq!(
        config.backbone.dead_letters.size_max,
        bytesize::ByteSize::mib(64)
    );
    assert_eq!(config.backbone.dead_letters.stream, "TIDEGATE_DEAD");
    let nested = of("", &[("TIDEGATE__CONSUME__RETRY__ATTEMPTS_MAX", "7")]).unwrap();
    assert_eq!(nested.consume.retry.attempts_max, 7);
    let text = of("", &[("TIDEGATE__SUBSCRIPTIONS__FOLDER", "123")]).unwrap();
    assert_eq!(text.subscriptions.folder, Path::new("123"));
}

/// A process that does not start says everything that is wrong, with key and place.
#[test]
fn all_mistakes_are_reported_at_once() {
    let text =
        "recieve: {listen: x}\nreceive: {listen: nowhere, body_bytes: 1}\nconsume: {ack_wait: 1}\n";
    let variables = [
        ("TIDEGATE__PUBLISH__DEADLINE", "0s"),
        ("TIDEGATE__NO__SUCH", "1"),
    ];
    let mistakes = of(text, &variables).unwrap_err().0;
    for expected in [
        "recieve.listen: unknown section",
        "receive.listen: ",
        "receive.body_bytes: unknown field",
        "consume.ack_wait: ",
        "publish.deadline: must be longer",
        "TIDEGATE__NO__SUCH: no.such: unknown section",
    ] {
        assert!(
            mistakes.iter().any(|one| one.contains(expected)),
            "{expected}: {mistakes:#?}"
        );
    }
    assert_eq!(mistakes.len(), 6, "{mistakes:#?}");
}

/// Text that is no mapping is a mistake, not a panic.
#[test]
fn nonsense_is_a_mistake() {
    for text in [
        "[1, 2]",
        "a: [",
        "just text",
        "receive: 5",
        "receive: {listen: {port: 1}}",
    ] {
        assert!(of(text, &[]).is_err(), "{text}");
    }
    for text in ["", "# only a comment\n", "receive:\n", "receive: {}\n"] {
        assert_eq!(of(text, &[]).unwrap(), Config::default(), "{text:?}");
    }
}

/// The reference file names every key with its default.
#[test]
fn the_reference_file_is_the_defaults() {
    let text = include_str!("../../../../config/tidegate.yaml");
    assert_eq!(of(text, &[]).unwrap(), Config::default());
    let file: Value = serde_saphyr::from_str(text).unwrap();
    let mut missing = Vec::new();
    compare(
        "",
        &serde_json::to_value(Config::default()).unwrap(),
        &file,
        &mut missing,
    );
    assert!(
        missing.is_empty(),
        "keys that the reference file lacks: {missing:?}"
    );
}

fn compare(path: &str, wanted: &Value, file: &Value, missing: &mut Vec<String>) {
    let Value::Object(members) = wanted else {
        return;
    };
    for (name, value) in members {
        let path = format!("{path}.{name}");
        match file.get(name) {
            Some(file) => compare(&path, value, file, missing),
            None => missing.push(path),
        }
    }
}
