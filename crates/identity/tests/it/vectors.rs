//! The public vectors of Standard Webhooks.

use std::{env, fs, path::PathBuf, time::Duration, time::SystemTime};

use serde_json::Value;
use tidegate_application::authentication::{Authentication, StandardWebhooks};

use crate::house::{Safe, UNAUTHENTICATED, asking, client, file, house};

/// What other implementations have signed is accepted, a minute too late it is not.
#[tokio::test]
async fn the_public_vectors_hold() {
    let Some(root) = env::var_os("TIDEGATE_VECTORS").map(PathBuf::from) else {
        println!("skipped: TIDEGATE_VECTORS is not set");
        return;
    };
    let path = root.join("vectors/standard-webhooks/vectors.json");
    let all: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut seen = 0;
    for vector in all["vectors"].as_array().unwrap() {
        if vector["kind"] != "hmac" {
            continue;
        }
        let text = |name: &str| vector[name].as_str().unwrap();
        let seconds = vector["timestamp"].as_u64().unwrap();
        let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let rule = StandardWebhooks {
            secret: file("secret"),
            tolerance: Duration::from_secs(all["tolerance_s"].as_u64().unwrap()),
        };
        let safe = Safe::default().with("secret", text("secret"));
        let clients = vec![client("shop", vec![Authentication::StandardWebhooks(rule)])];
        let identities = house(&safe, clients);
        let asked = asking()
            .with("webhook-id", text("id"))
            .with("webhook-timestamp", seconds.to_string());
        let body = text("payload").as_bytes();
        let signed = asked.clone().with("webhook-signature", text("signature"));
        let known = signed.clone().at(sent);
        assert_eq!(
            known.who_with(&identities, "shop", body).await.as_deref(),
            Ok("shop")
        );
        for away in [
            sent + Duration::from_secs(301),
            sent - Duration::from_secs(301),
        ] {
            let late = signed.clone().at(away);
            assert_eq!(late.who(&identities, Some("shop")).await, UNAUTHENTICATED);
        }
        for negative in all["negative"].as_array().unwrap() {
            if let Some(signature) = negative["headers"].as_str() {
                let wrong = asked.clone().with("webhook-signature", signature).at(sent);
                let answer = match wrong.who(&identities, Some("shop")).await {
                    Err("needs body") => wrong.who_with(&identities, "shop", body).await,
                    other => other,
                };
                assert_eq!(answer, UNAUTHENTICATED, "{signature}");
            }
        }
        seen += 1;
    }
    assert!(seen >= 2);
}
