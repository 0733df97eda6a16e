//! Which events pass, by the tables of Knative's own tests; and what is said of it.

use std::{env, fs, path::PathBuf};

use serde_json::{Map, Value as Json, json};
use tidegate_event::{Event, Name, Value};
use tidegate_subscription::{Subscription, parse};

fn subscription(filters: &Json) -> Subscription {
    let document = json!({
        "apiVersion": "eventing.tidegate.dev/v1alpha1", "kind": "Subscription",
        "metadata": {"name": "s"},
        "spec": {"sink": {"uri": "http://h/"}, "filters": filters},
    });
    let mut parsed = parse(&document.to_string());
    assert_eq!(parsed.mistakes, [], "{document}");
    parsed.documents.remove(0).1
}

fn event(base: &Json, attributes: &Map<String, Json>) -> Event {
    let text = |name: &str| {
        let own = attributes.get(name).unwrap_or(&base[name]);
        own.as_str().unwrap().to_owned()
    };
    let mut event = Event::new(text("id"), text("source"), text("type"));
    for (name, value) in attributes {
        let Some(name) = Name::new(name.clone()) else {
            continue;
        };
        let value = match value.as_i64() {
            Some(number) => Value::Integer(i32::try_from(number).unwrap()),
            None => value.as_str().unwrap().into(),
        };
        event.extensions.insert(name, value);
    }
    event
}

/// Whoever comes from Knative finds that filters mean what they meant there.
#[test]
fn knatives_filters_pass_what_they_pass_there() {
    let Some(root) = env::var_os("TIDEGATE_VECTORS").map(PathBuf::from) else {
        return;
    };
    let table = fs::read(root.join("vectors/knative/trigger-filters.json")).unwrap();
    let table: Json = serde_json::from_slice(&table).unwrap();
    let base = &table["base_event"];
    let mut cases = 0;
    for case in table["unit_cases"].as_array().unwrap() {
        let filter = json!([{case["dialect"].as_str().unwrap(): case["expr"]}]);
        let event = event(base, case["extensions"].as_object().unwrap());
        let subscription = subscription(&filter);
        let passes = subscription.matches(&event).is_some();
        assert_eq!(passes, case["match"].as_bool().unwrap(), "{case}");
        assert_eq!(subscription.decide(&event).passes, passes, "{case}");
        cases += 1;
    }
    for case in table["subscription_cases"].as_array().unwrap() {
        // A Trigger's older attributes count where it has no filters.
        let filters = match case["filters"].as_array() {
            Some(filters) if !filters.is_empty() => case["filters"].clone(),
            _ => json!([{"exact": case["attributes_filter"]}]),
        };
        let subscription = subscription(&filters);
        for sent in case["events"].as_array().unwrap() {
            let event = event(base, sent["attributes"].as_object().unwrap());
            let passes = subscription.matches(&event).is_some();
            assert_eq!(passes, sent["deliver"].as_bool().unwrap(), "{case}: {sent}");
            cases += 1;
        }
    }
    assert!(cases > 40, "{cases} cases");
}

/// The smallest part that decided is named by its place in the document.
#[test]
fn a_decision_names_its_part() {
    let subscription = subscription(&json!([
        {"prefix": {"type": "order."}},
        {"any": [
            {"exact": {"source": "shop"}},
            {"all": [{"suffix": {"subject": "7"}}, {"not": {"sql": "priority > 3 OR urgent"}}]},
        ]},
    ]));
    let said = |source: &'static str, r#type: &'static str, more: &[(&'static str, Value)]| {
        let mut event = Event::new("1", source, r#type);
        event.subject = Some("17".into());
        for (name, value) in more {
            event
                .extensions
                .insert(Name::from_static(name), value.clone());
        }
        let decision = subscription.decide(&event);
        assert_eq!(decision.passes, subscription.matches(&event).is_some());
        decision.to_string()
    };
    let urgent = [
        ("priority", Value::Integer(5)),
        ("urgent", Value::Boolean(true)),
    ];
    assert_eq!(
        said("shop", "invoice.v1", &[]),
        "spec.filters[0].prefix: type is \"invoice.v1\", compared with \"order.\""
    );
    assert_eq!(
        said("shop", "order.v1", &[]),
        "spec.filters: all 2 let the event pass"
    );
    assert_eq!(
        said("other", "order.v1", &urgent),
        "spec.filters[1].any: none of them lets the event pass: source is \"other\", compared with \
         \"shop\"; priority > 3 is true"
    );
    let bare = crate::filters::subscription(&json!([{"not": {"sql": "priority > 3 OR urgent"}}]));
    let mut event = Event::new("1", "s", "t");
    event
        .extensions
        .insert(Name::from_static("priority"), Value::Integer(5));
    let decision = bare.decide(&event);
    assert_eq!(
        decision.to_string(),
        "spec.filters[0].not.sql: priority > 3 is true"
    );
    assert!(!decision.passes);
}
