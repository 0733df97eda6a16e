//! A JSON Schema as the API server wants it: structural, which means that each field has one type and
//! no references, and that what is said by alternatives adds no fields.

use serde_json::{Map, Value, json};

/// How deep filters may be inside of each other before their fields are taken as they come.
const DEPTH_MAX: usize = 3;

/// What says that fields are taken as they come.
const ANY: &str = "x-kubernetes-preserve-unknown-fields";

/// What the API server does not know.
const DROPPED: [&str; 7] = [
    "$schema",
    "$defs",
    "title",
    "additionalProperties",
    "dependentRequired",
    "unevaluatedProperties",
    "const",
];

/// Formats that it knows; the others are for people.
const FORMATS: [&str; 3] = ["date-time", "int32", "int64"];

/// The same schema, structural.
pub(super) fn of(mut schema: Value) -> Value {
    let definitions = schema
        .as_object_mut()
        .and_then(|schema| schema.remove("$defs"));
    let definitions = match definitions {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    Converting { definitions }.schema(schema, &mut Vec::new())
}

struct Converting {
    definitions: Map<String, Value>,
}

impl Converting {
    fn schema(&self, schema: Value, within: &mut Vec<String>) -> Value {
        let Value::Object(mut schema) = schema else {
            // `true`: anything.
            return json!({ ANY: true });
        };
        if let Some(Value::String(reference)) = schema.remove("$ref") {
            return self.reference(&reference, schema, within);
        }
        for one in ["anyOf", "oneOf"] {
            if let Some(Value::Array(all)) = schema.remove(one) {
                return self.alternatives(all, schema, within);
            }
        }
        let mut made = Map::new();
        let is_nullable = match schema.remove("type") {
            Some(Value::Array(types)) => {
                let is_null = |one: &Value| one == "null";
                if let Some(one) = types.iter().find(|one| !is_null(one)) {
                    made.insert("type".to_owned(), one.clone());
                }
                types.iter().any(is_null)
            }
            Some(one) => {
                made.insert("type".to_owned(), one);
                false
            }
            None => false,
        };
        let has_values = schema
            .get("additionalProperties")
            .is_some_and(Value::is_object);
        for (key, value) in schema {
            match (key.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    let properties = properties.into_iter();
                    let properties: Map<String, Value> = properties
                        .map(|(name, schema)| (name, self.schema(schema, within)))
                        .collect();
                    made.insert(key, Value::Object(properties));
                }
                ("items", value) => drop(made.insert(key, self.schema(value, within))),
                ("additionalProperties", value) if has_values => {
                    made.insert(key, self.schema(value, within));
                }
                ("enum", Value::Array(values)) => {
                    let values: Vec<Value> =
                        values.into_iter().filter(|one| !one.is_null()).collect();
                    made.insert(key, Value::Array(values));
                }
                ("const", value) => drop(made.insert("enum".to_owned(), json!([value]))),
                ("format", value) => {
                    let is_known = value.as_str().is_some_and(|one| FORMATS.contains(&one));
                    if is_known {
                        made.insert(key, value);
                    }
                }
                // What a default is is told in words: a resource stays as its author wrote it.
                ("default", value) => {
                    if value.is_string() || value.is_object() && has_values {
                        made.insert(key, value);
                    }
                }
                (_, _) if DROPPED.contains(&key.as_str()) => {}
                (_, value) => drop(made.insert(key, value)),
            }
        }
        if is_nullable {
            made.insert("nullable".to_owned(), json!(true));
        }
        if !made.contains_key("type") {
            made.insert(ANY.to_owned(), json!(true));
        }
        Value::Object(made)
    }

    /// What is referred to, with the words that stand beside the reference.
    fn reference(
        &self,
        reference: &str,
        beside: Map<String, Value>,
        within: &mut Vec<String>,
    ) -> Value {
        let name = reference.rsplit('/').next().unwrap_or_default();
        let depth = within.iter().filter(|one| *one == name).count();
        let definition = self.definitions.get(name).filter(|_| depth < DEPTH_MAX);
        let mut made = match definition {
            Some(definition) => {
                within.push(name.to_owned());
                let made = self.schema(definition.clone(), within);
                within.pop();
                made
            }
            None => json!({ "type": "object", ANY: true }),
        };
        dress(&mut made, beside);
        made
    }

    /// One of several: the only one beside null; or a word or something else, for which there is no
    /// type.
    fn alternatives(
        &self,
        all: Vec<Value>,
        beside: Map<String, Value>,
        within: &mut Vec<String>,
    ) -> Value {
        let is_null = |one: &Value| one.get("type").is_some_and(|one| one == "null");
        let count = all.len();
        let mut others: Vec<Value> = all.into_iter().filter(|one| !is_null(one)).collect();
        let is_nullable = others.len() < count;
        let mut made = match (others.pop(), others.is_empty()) {
            (Some(one), true) => self.schema(one, within),
            (Some(last), false) => {
                others.push(last);
                self.several(others, within)
            }
            (None, _) => json!({ ANY: true }),
        };
        dress(&mut made, beside);
        if let (true, Some(made)) = (is_nullable, made.as_object_mut()) {
            made.insert("nullable".to_owned(), json!(true));
        }
        made
    }

    /// Words each with a description are an enumeration; objects with one field each are an object
    /// with one of them; all else is what it is.
    fn several(&self, all: Vec<Value>, within: &mut Vec<String>) -> Value {
        let all: Vec<Value> = all
            .into_iter()
            .map(|one| self.schema(one, within))
            .collect();
        let is = |one: &Value, r#type: &str| one.get("type").is_some_and(|of| of == r#type);
        if all
            .iter()
            .all(|one| is(one, "string") && one.get("enum").is_some())
        {
            let words = all.iter().filter_map(|one| one.get("enum")?.as_array());
            let words: Vec<&Value> = words.flatten().collect();
            return json!({ "type": "string", "enum": words });
        }
        if all.iter().all(|one| is(one, "object")) {
            let mut properties = Map::new();
            for one in all {
                let described = one.get("description").cloned();
                if let Some(Value::Object(fields)) = one.get("properties") {
                    for (name, schema) in fields {
                        let mut schema = schema.clone();
                        if let (Some(words), Some(schema)) = (&described, schema.as_object_mut()) {
                            schema.insert("description".to_owned(), words.clone());
                        }
                        properties.insert(name.clone(), schema);
                    }
                }
            }
            return json!({
                "type": "object", "properties": properties,
                "minProperties": 1, "maxProperties": 1,
            });
        }
        json!({ ANY: true })
    }
}

/// Puts words beside a schema; its own fields stay.
fn dress(made: &mut Value, beside: Map<String, Value>) {
    let Some(made) = made.as_object_mut() else {
        return;
    };
    for (key, value) in beside {
        if key == "description" || !made.contains_key(&key) && !DROPPED.contains(&key.as_str()) {
            let is_default = key == "default" && !value.is_string();
            if !is_default {
                made.insert(key, value);
            }
        }
    }
}
