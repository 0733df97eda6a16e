//! A sink that is a Kafka topic.

use std::borrow::Cow;

use tidegate_document::kafka::{Cluster, TOPIC_BYTES_MAX, is_topic};
use tidegate_event::Event;

use crate::filter;

/// Attributes in one template.
const ATTRIBUTES_MAX: usize = 8;

/// Where in Kafka events go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The cluster.
    pub cluster: Cluster,
    /// The topic's name, or how it is made of an event.
    pub name: TopicName,
    /// The attribute whose text is the record's key. A record of an event without it has none.
    pub key: String,
}

/// A topic's name: text, and between it attributes of the event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicName(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    Attribute(String),
}

impl TopicName {
    /// `orders`, or `orders-{type}`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("has a { without a }")?;
            let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            if name.is_empty() || !name.bytes().all(legal) {
                return Err(format!("{{{name}}} is no attribute"));
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Attribute(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let attributes = parts
            .iter()
            .filter(|part| matches!(part, Part::Attribute(_)));
        let attributes = attributes.count();
        if attributes > ATTRIBUTES_MAX {
            return Err(format!(
                "must not have more than {ATTRIBUTES_MAX} attributes"
            ));
        }
        let texts = parts.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Attribute(_) => "x",
        });
        let example: String = texts.collect();
        // Of "." and "..", an attribute may still make something.
        if !is_topic(&example) {
            return Err(format!(
                "must be from 1 to {TOPIC_BYTES_MAX} letters, digits, '.', '_' and '-', with \
                 {{attribute}} for what an event says, got {text:?}"
            ));
        }
        Ok(Self(parts))
    }

    /// The topic of an event, or why there is none. What a topic's name must not have is `_`.
    pub fn of<'a>(&'a self, event: &Event) -> Result<Cow<'a, str>, String> {
        if let [Part::Text(text)] = &*self.0 {
            return Ok(Cow::Borrowed(text));
        }
        let mut name = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Attribute(attribute) => {
                    let text = filter::text_of(event, attribute);
                    let text = text.ok_or_else(|| format!("the event has no {attribute}"))?;
                    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                    name.extend(text.chars().map(|c| if legal(c) { c } else { '_' }));
                }
            }
        }
        if is_topic(&name) {
            Ok(Cow::Owned(name))
        } else {
            Err(format!("{name:?} cannot be the name of a topic"))
        }
    }
}

impl std::fmt::Display for TopicName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Attribute(name) => write!(f, "{{{name}}}"),
        })
    }
}

impl Topic {
    /// The key of an event's record.
    pub fn key_of(&self, event: &Event) -> Option<String> {
        filter::text_of(event, &self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name as it is, or of what the event says; what no topic may have becomes `_`.
    #[test]
    fn a_topic_is_named_by_text_and_attributes() {
        let event = Event::new("1", "/shop/1", "order.created");
        for (template, topic) in [
            ("orders", "orders"),
            ("{type}", "order.created"),
            ("mesh-{source}-{type}.v1", "mesh-_shop_1-order.created.v1"),
        ] {
            let name = TopicName::parse(template).unwrap();
            assert_eq!(name.of(&event).as_deref(), Ok(topic));
            assert_eq!(name.to_string(), template);
        }
        let missing = TopicName::parse("a-{subject}").unwrap();
        assert_eq!(
            missing.of(&event),
            Err("the event has no subject".to_owned())
        );
        let long = Event::new("1", "/s", "x".repeat(TOPIC_BYTES_MAX + 1));
        assert!(TopicName::parse("{type}").unwrap().of(&long).is_err());
        for wrong in ["", "a b", "a{", "a}", "{}", "{Type}", ".", "..", "ä"] {
            assert!(TopicName::parse(wrong).is_err(), "{wrong}");
        }
    }
}
