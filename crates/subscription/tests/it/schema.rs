//! What an editor is told: the schema takes what the parser takes, and knows the shape.

use jsonschema::Validator;
use serde_json::Value;

use crate::{
    tidegate::{EVERYTHING, document},
    wrong::WRONG,
};

fn validator() -> Validator {
    jsonschema::validator_for(&tidegate_subscription::schema()).unwrap()
}

fn value(spec: &str) -> Value {
    serde_saphyr::from_str(&document(spec)).unwrap()
}

/// No editor underlines what runs.
#[test]
fn the_schema_takes_what_the_parser_takes() {
    let validator = validator();
    for spec in [
        EVERYTHING,
        "  sink: { uri: 'https://h/' }\n",
        "  sink: { uri: 'https://h/' }\n  start: all\n",
        "  sink: { uri: 'https://h/' }\n  start: { sequence: 7 }\n",
        "  sink: { uri: 'https://h/' }\n  filters: [{ any: [{ not: { sql: 'TRUE' } }] }]\n",
    ] {
        let mistakes: Vec<String> = validator
            .iter_errors(&value(spec))
            .map(|error| error.to_string())
            .collect();
        assert_eq!(mistakes, Vec::<String>::new(), "{spec}");
    }
}

/// Shapes, names and words are an editor's business; it does not read durations or expressions,
/// and what is built later is not offered.
#[test]
fn the_schema_knows_the_shape() {
    let validator = validator();
    let seen: Vec<&str> = WRONG
        .iter()
        .map(|(spec, ..)| *spec)
        .filter(|spec| {
            !validator.is_valid(&value(&format!("  sink: {{ uri: http://h/ }}\n{spec}\n")))
        })
        .collect();
    for (spec, ..) in WRONG {
        let unseen = [
            "format: batch",
            "wait",
            "exact",
            "prefix",
            "suffix",
            "sql",
            "timeout",
            "headers",
            "Age",
            "Delay",
            "backoffMax",
            "maxSize",
            "since",
            "uri",
        ];
        assert!(
            seen.contains(&spec) || unseen.iter().any(|word| spec.contains(word)),
            "{spec}"
        );
    }
    assert!(seen.len() > 20, "{seen:#?}");
    assert!(
        !validator.is_valid(&value("  pause: true\n")),
        "a sink is needed"
    );
}
