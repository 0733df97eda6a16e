//! That the definitions are complete, and that those in the chart are these.

use super::*;

/// `kubectl explain` tells every field.
#[test]
fn every_field_is_described() {
    fn look(schema: &Value, place: &str, missing: &mut Vec<String>) {
        let fields = schema.get("properties").and_then(Value::as_object);
        for (name, field) in fields.into_iter().flatten() {
            let place = format!("{place}.{name}");
            if field.get("description").is_none() && name != "metadata" {
                missing.push(place.clone());
            }
            look(field, &place, missing);
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(inner) {
                look(inner, place, missing);
            }
        }
    }
    let mut missing = Vec::new();
    for (file, definition) in definitions() {
        let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema");
        look(schema.unwrap(), file, &mut missing);
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// References and alternatives are what the API server refuses.
#[test]
fn definitions_are_structural() {
    for (file, definition) in definitions() {
        let text = definition.to_string();
        for word in ["$ref", "anyOf", "oneOf", "allOf", "$defs", "\"null\""] {
            assert!(!text.contains(word), "{file} has {word}");
        }
    }
}
