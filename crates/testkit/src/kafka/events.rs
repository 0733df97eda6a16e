//! The events of a topic, as others' programs read them.

use std::{
    env,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

use super::{Kafka, succeeded};

/// What reads them, with the packages of `TIDEGATE_CLOUDEVENTS_PYTHON`.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kafka/read_events.py");

impl Kafka {
    /// The events of a topic's first records, by partition and offset, as the CloudEvents project's own
    /// package for Python reads them, which knows nothing of Tidegate. `read_events.py` says what stands
    /// in each.
    ///
    /// # Panics
    /// When there are not so many within a minute, or a record is no event.
    pub async fn read_events(&self, topic: &str, count: usize) -> Vec<Value> {
        let output = self.events(topic, count).await;
        succeeded(&output);
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect()
    }

    /// What the script says.
    pub(super) async fn events(&self, topic: &str, count: usize) -> Output {
        let packages = env::var_os("TIDEGATE_CLOUDEVENTS_PYTHON")
            .map(PathBuf::from)
            .expect("packages in TIDEGATE_CLOUDEVENTS_PYTHON; `cargo xtask test` installs them");
        let mut command = Command::new("python3");
        // No packages of the user's, and nothing is written beside the script.
        command
            .args(["-s", "-B", SCRIPT, &self.bootstrap(), topic])
            .arg(count.to_string())
            .env("PYTHONPATH", packages);
        self.output_of(&mut command, "").await
    }
}
