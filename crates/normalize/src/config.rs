//! The section `normalize`.

use serde::{Deserialize, Serialize};
use tidegate_event::Leniency;

/// How source formats are read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What to do with extension names that CloudEvents does not allow, at the doors that name no
    /// Application: `strict` refuses the event, `lowercase` takes upper case for lower case,
    /// `drop` leaves the attribute out. An Application has a setting of its own.
    pub extension_names: Leniency,
}
