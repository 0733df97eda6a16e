//! A program that is built without Kafka says so to whoever asks for it, and does everything else. Only
//! `cargo xtask test --without-kafka` builds this.

#[cfg(test)]
#[path = "it/harness.rs"]
#[expect(dead_code, reason = "most of it is for doors")]
mod harness;

/// As in the other runs of the harness.
#[cfg(test)]
const IS_SHARED: bool = true;

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use tidegate_testkit::Sink;

    use crate::harness::{Tidegate, binary, subscription};

    const SAID: &str = "this tidegate is built without Kafka";

    const SOURCE: &str = "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: KafkaSource\n\
                          metadata: { name: orders }\n\
                          spec: { brokers: ['k:9092'], topics: [orders], application: erp }\n";

    /// `check`, the log, and whoever looks at sources or at a Subscription with a topic.
    #[tokio::test]
    async fn it_says_that_it_knows_no_kafka() {
        let function = Sink::start(|_| 204_u16).await;
        let topic = "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
                     metadata: { name: topic }\n\
                     spec: { sink: { kafka: { brokers: ['k:9092'], topic: out } } }\n";
        let subscriptions = subscription("http", "/s", "a.v1", &function.url()) + topic;
        let tidegate = Tidegate::up_prepared(
            &subscriptions,
            "sources: { folder: sources, poll_interval: 100ms }\n",
            |folder| {
                fs::create_dir(folder.join("sources")).unwrap();
                fs::write(folder.join("sources/all.yaml"), SOURCE).unwrap();
            },
        )
        .await;
        tidegate.log_says(SAID).await;
        let admin = format!("http://{}", tidegate.admin);
        for arguments in [
            &["sources", "list"][..],
            &["subscriptions", "show", "default/topic"],
        ] {
            let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
                .args(arguments)
                .args(["--admin", &admin])
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains(SAID), "{arguments:?}: {text}");
        }
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("check")
            .arg(tidegate.dir.path().join("sources/all.yaml"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(SAID), "{text}");
        let event = binary("1", "/s", "a.v1");
        let answer = tidegate.send("POST", "/publish", &event, b"{}").await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        function.received(1).await;
    }
}
