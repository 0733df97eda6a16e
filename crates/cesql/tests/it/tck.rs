//! The conformance suite of the specification.

use std::{env, fs, path::PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use tidegate_cesql::{Error, Expression, Value};

use crate::Event;

/// It expects an error for `NOT 10`, from a time when an integer was no boolean. Since 1.0 it is
/// (§3.7), and the suite's own casting functions say so.
const STALE: &str = "NOT 10";

#[derive(Deserialize)]
struct Suite {
    name: String,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    name: String,
    expression: Json,
    result: Option<Json>,
    error: Option<String>,
    event: Option<Map<String, Json>>,
    event_overrides: Option<Map<String, Json>>,
}

/// 275 of 275 are played, 274 as they are written.
#[test]
fn the_conformance_suite_holds() {
    let Some(root) = env::var_os("TIDEGATE_VECTORS").map(PathBuf::from) else {
        return;
    };
    let (mut played, mut wrong, mut stale) = (0, Vec::new(), 0);
    for file in fs::read_dir(root.join("vectors/cesql_tck")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let suite: Suite = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        for case in suite.tests {
            played += 1;
            if case.text() == STALE {
                let expression = Expression::parse(STALE).unwrap();
                let event = Event::default();
                let evaluation = expression.evaluate(&event);
                assert_eq!(evaluation.value, Value::Boolean(false));
                assert_eq!(evaluation.errors, []);
                stale += 1;
            } else if let Err(found) = case.holds() {
                wrong.push(format!("{}: {}: {found}", suite.name, case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((played, stale), (275, 1));
}

impl Case {
    fn text(&self) -> String {
        match &self.expression {
            Json::String(text) => text.clone(),
            // YAML reads TRUE and 10 as what they are.
            value @ (Json::Bool(_) | Json::Number(_)) => value.to_string(),
            other @ (Json::Null | Json::Array(_) | Json::Object(_)) => panic!("{other}"),
        }
    }

    fn holds(&self) -> Result<(), String> {
        let expression = match Expression::parse(&self.text()) {
            Ok(expression) => expression,
            Err(_) if self.error.as_deref() == Some("parse") => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let event = self.event();
        let evaluation = expression.evaluate(&event);
        let errors: Vec<&str> = evaluation.errors.iter().map(kind).collect();
        let wanted: Vec<&str> = self.error.as_deref().into_iter().collect();
        if errors != wanted {
            return Err(format!("errors {errors:?}, not {wanted:?}"));
        }
        let found = match evaluation.value {
            Value::Boolean(value) => Json::from(value),
            Value::Integer(value) => Json::from(value),
            Value::String(text) => Json::from(&*text),
        };
        match &self.result {
            Some(wanted) if *wanted != found => Err(format!("{found}, not {wanted}")),
            _ => Ok(()),
        }
    }

    fn event(&self) -> Event {
        let mut event = Event::of(&[
            ("specversion", "1.0".into()),
            ("id", "1".into()),
            ("source", "/source".into()),
            ("type", "any".into()),
        ]);
        if self.event.is_some() {
            event = Event::default();
        }
        for (name, value) in self.event.iter().chain(&self.event_overrides).flatten() {
            let value = match value {
                Json::Bool(value) => Value::Boolean(*value),
                Json::Number(number) => {
                    let number = number.as_i64().unwrap();
                    Value::Integer(i32::try_from(number).unwrap())
                }
                Json::String(text) => Value::from(text.clone()),
                other @ (Json::Null | Json::Array(_) | Json::Object(_)) => panic!("{other}"),
            };
            event.0.insert(name.clone(), value);
        }
        event
    }
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::MissingAttribute { .. } => "missingAttribute",
        Error::Cast { .. } => "cast",
        Error::Math { .. } => "math",
        Error::MissingFunction { .. } => "missingFunction",
        Error::FunctionEvaluation { .. } => "functionEvaluation",
    }
}
