//! Where each value comes from, and what is wrong with it.
//!
//! Each value is tried alone on top of the defaults, so that one mistake hides no other.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::Mistakes;

const VARIABLE_PREFIX: &str = "TIDEGATE__";

/// The values of the file and the environment that no section has taken yet.
pub(super) struct Layers {
    values: Vec<Given>,
    mistakes: Vec<String>,
}

/// One value and where it stands.
struct Given {
    path: Vec<String>,
    /// The value; a variable's text may be meant as text although it looks like a number.
    readings: Vec<Value>,
    origin: String,
}

impl Layers {
    pub(super) fn new(file: &str, text: &str) -> Self {
        let mut layers = Self {
            values: Vec::new(),
            mistakes: Vec::new(),
        };
        let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if text.lines().all(is_blank) {
            return layers;
        }
        match serde_saphyr::from_str::<Value>(text) {
            Ok(Value::Object(sections)) => {
                layers.add(&mut Vec::new(), Value::Object(sections), file)
            }
            Ok(_) => layers.mistake(format!("{file}: must be a mapping of sections")),
            Err(error) => {
                let text = error.without_snippet().to_string();
                layers.mistake(format!(
                    "{file}: {}",
                    text.lines().next().unwrap_or("not YAML")
                ));
            }
        }
        layers
    }

    fn add(&mut self, path: &mut Vec<String>, value: Value, origin: &str) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (name, value) in members {
                    path.push(name);
                    self.add(path, value, origin);
                    path.pop();
                }
            }
            value @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_)) => {
                let origin = origin.to_owned();
                self.values.push(Given {
                    path: path.clone(),
                    readings: vec![value],
                    origin,
                });
            }
        }
    }

    pub(super) fn add_variables(&mut self, variables: impl Iterator<Item = (String, String)>) {
        let mut variables: Vec<_> = variables
            .filter_map(|(name, text)| {
                let path = name.strip_prefix(VARIABLE_PREFIX)?.to_ascii_lowercase();
                Some((path.split("__").map(str::to_owned).collect(), text, name))
            })
            .collect();
        variables.sort();
        for (path, text, origin) in variables {
            let typed = serde_saphyr::from_str::<Value>(&text)
                .ok()
                .filter(|value| !value.is_string());
            let readings = typed.into_iter().chain([Value::String(text)]).collect();
            self.values.push(Given {
                path,
                readings,
                origin,
            });
        }
    }

    /// Takes the values of a section, on top of its defaults.
    pub(super) fn section<T: DeserializeOwned + Serialize + Default>(&mut self, name: &str) -> T {
        let mut merged = serde_json::to_value(T::default()).unwrap_or_default();
        let values = std::mem::take(&mut self.values);
        for given in values {
            match given.path.split_first() {
                Some((section, key)) if section == name && !key.is_empty() => {
                    match try_on::<T>(&merged, key, &given.readings) {
                        Ok(with) => merged = with,
                        Err(reason) => self.mistakes.push(told(&given, &reason)),
                    }
                }
                // A section without any key.
                Some((section, []))
                    if section == name && given.readings.first().is_some_and(is_empty) => {}
                _ => self.values.push(given),
            }
        }
        serde_json::from_value(merged).unwrap_or_default()
    }

    /// What no section has taken is a mistake.
    pub(super) fn refuse_the_rest(&mut self) {
        for given in std::mem::take(&mut self.values) {
            self.mistakes.push(told(&given, "unknown section"));
        }
    }

    pub(super) fn mistake(&mut self, mistake: String) {
        self.mistakes.push(mistake);
    }

    pub(super) fn finish(self) -> Result<(), Mistakes> {
        if self.mistakes.is_empty() {
            Ok(())
        } else {
            Err(Mistakes(self.mistakes))
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

/// The section with one more value, in the first reading that fits.
fn try_on<T: DeserializeOwned>(
    section: &Value,
    key: &[String],
    readings: &[Value],
) -> Result<Value, String> {
    let mut first_reason = None;
    for reading in readings {
        let mut with = section.clone();
        let reason = match place(&mut with, key) {
            Some(slot) => {
                *slot = reading.clone();
                match serde_json::from_value::<T>(with.clone()) {
                    Ok(_) => return Ok(with),
                    Err(error) => error.to_string(),
                }
            }
            None => "unknown key".to_owned(),
        };
        first_reason.get_or_insert(reason);
    }
    Err(first_reason.unwrap_or_default())
}

/// The place of a key, made if the section has it not; serde then says that it is unknown.
fn place<'a>(section: &'a mut Value, key: &[String]) -> Option<&'a mut Value> {
    key.iter().try_fold(section, |value, name| {
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
        Some(
            value
                .as_object_mut()?
                .entry(name.clone())
                .or_insert(Value::Null),
        )
    })
}

fn told(given: &Given, reason: &str) -> String {
    let origin = if given.origin.is_empty() {
        String::new()
    } else {
        format!("{}: ", given.origin)
    };
    let value = given
        .readings
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    format!("{origin}{}: {reason}, got {value}", given.path.join("."))
}
