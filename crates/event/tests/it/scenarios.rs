//! The public scenarios of the bindings, as their feature files have them.

use std::{collections::BTreeMap, fs};

use serde_json::Value as Json;
use tidegate_event::Event;

use crate::vectors;

/// One scenario with one of its examples put in.
pub(crate) struct Scenario {
    /// The example; empty where the scenario has none.
    pub(crate) content_type: String,
    /// What stands between triple quotes, without its indentation. The last is the data.
    pub(crate) blocks: Vec<String>,
    /// The tables of keys and values. The last are the attributes.
    pub(crate) tables: Vec<BTreeMap<String, String>>,
}

/// The scenarios of a feature file; none without the vectors.
pub(crate) fn scenarios(file: &str) -> Option<Vec<Scenario>> {
    let folder = vectors("cloudevents-conformance/features")?;
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let mut found = Vec::new();
    for scenario in text.split("    Scenario").skip(1) {
        let Some((scenario, examples)) = scenario.split_once("Examples:") else {
            found.push(Scenario::of(scenario, ""));
            continue;
        };
        let examples = examples.lines().filter_map(cells);
        found.extend(examples.skip(1).map(|row| Scenario::of(scenario, row[0])));
    }
    Some(found)
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.trim().strip_prefix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

// === impl Scenario ===

impl Scenario {
    fn of(text: &str, content_type: &str) -> Self {
        let text = text.replace("<contentType>", content_type);
        let mut tables: Vec<BTreeMap<String, String>> = Vec::new();
        for row in text.lines().filter_map(cells) {
            if row[0] == "key" {
                tables.push(BTreeMap::new());
            } else {
                let table = tables.last_mut().unwrap();
                table.insert(row[0].to_owned(), row[1].to_owned());
            }
        }
        Self {
            content_type: content_type.to_owned(),
            blocks: blocks(&text),
            tables,
        }
    }

    /// The attributes and the data that the scenario names come out.
    pub(crate) fn holds(&self, event: &Event) {
        for (name, value) in self.tables.last().unwrap() {
            assert_eq!(&attribute(event, name), value, "{}", self.content_type);
        }
        let data: Json = serde_json::from_slice(event.data.as_ref().unwrap()).unwrap();
        let wanted: Json = serde_json::from_str(self.blocks.last().unwrap()).unwrap();
        assert_eq!(data, wanted, "{}", self.content_type);
    }
}

fn blocks(scenario: &str) -> Vec<String> {
    scenario
        .split("\"\"\"")
        .skip(1)
        .step_by(2)
        .map(|block| {
            let lines: Vec<&str> = block
                .lines()
                .skip(1)
                .map(|line| line.get(8..).unwrap_or(""))
                .collect();
            lines.join("\n").trim_end().to_owned()
        })
        .collect()
}

fn attribute(event: &Event, name: &str) -> String {
    match name {
        "id" => event.id.to_string(),
        "specversion" => "1.0".to_owned(),
        "type" => event.r#type.to_string(),
        "source" => event.source.to_string(),
        "time" => event.time.as_ref().unwrap().to_string(),
        "datacontenttype" => event.datacontenttype.as_ref().unwrap().to_string(),
        other => panic!("an unknown attribute: {other}"),
    }
}
