//! The section `normalize`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_event::Leniency;

/// Most applications with a setting of their own.
const APPLICATIONS_MAX: usize = 10_000;

/// How source formats are read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What to do with extension names that CloudEvents does not allow: `strict` refuses the
    /// event, `lowercase` takes upper case for lower case, `drop` leaves the attribute out.
    pub extension_names: Leniency,
    /// The same for single applications, by the name in their door's path.
    pub applications: BTreeMap<String, Leniency>,
}

impl Config {
    /// What holds for an application; `None` at a door without one.
    pub fn leniency(&self, application: Option<&str>) -> Leniency {
        application
            .and_then(|application| self.applications.get(application))
            .copied()
            .unwrap_or(self.extension_names)
    }

    /// Every mistake, as `key: reason`.
    pub fn validate(&self) -> Vec<String> {
        let count = self.applications.len();
        (count > APPLICATIONS_MAX)
            .then(|| format!("applications: must not be more than {APPLICATIONS_MAX}, got {count}"))
            .into_iter()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One careless system must not loosen the rules for the others.
    #[test]
    fn leniency_is_a_setting_of_each_application() {
        let config: Config =
            serde_json::from_str(r#"{"applications": {"careless": "drop"}}"#).unwrap();
        assert_eq!(config.leniency(Some("careless")), Leniency::Drop);
        assert_eq!(config.leniency(Some("other")), Leniency::Strict);
        assert_eq!(config.leniency(None), Leniency::Strict);
    }
}
