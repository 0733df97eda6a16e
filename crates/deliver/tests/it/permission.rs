//! The web hook handshake, as the one who asks.

use std::{num::NonZeroU32, time::Duration};

use tidegate_deliver::{Config, Granted};
use tidegate_subscription::WebHook;
use tidegate_testkit::{Received, Reply, Sink};

use crate::{attempt_with, client, event, to};

fn webhook(rate: Option<u32>) -> WebHook {
    WebHook {
        origin: "tidegate.example.com".to_owned(),
        rate: rate.and_then(NonZeroU32::new),
    }
}

async fn asked(
    status: u16,
    answer: &[(&str, &str)],
    rate: Option<u32>,
) -> (Result<Granted, String>, Received) {
    let headers = answer.iter();
    let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let reply = Reply {
        headers: headers.collect(),
        ..Reply::from(status)
    };
    let sink = Sink::start(move |_| reply.clone()).await;
    let webhook = webhook(rate);
    let to = to(&sink.url()).permitting(&webhook);
    let granted = client(&Config::default()).ask(&to, &webhook).await;
    (granted, sink.received(1).await.remove(0))
}

/// The question has the name and the rate; each request that follows has the name.
#[tokio::test]
async fn the_question_is_as_the_specification_has_it() {
    let (_, question) = asked(200, &[], Some(120)).await;
    assert_eq!(question.line, "OPTIONS / HTTP/1.1");
    assert_eq!(
        question.header("webhook-request-origin"),
        Some("tidegate.example.com")
    );
    assert_eq!(question.header("webhook-request-rate"), Some("120"));
    assert_eq!(question.body, b"");
    let sink = Sink::start(|_| 200_u16).await;
    let to = to(&sink.url()).permitting(&webhook(None));
    attempt_with(&Config::default(), &to, &event()).await;
    let request = sink.received(1).await.remove(0);
    assert_eq!(
        request.header("webhook-request-origin"),
        Some("tidegate.example.com")
    );
}

#[tokio::test]
async fn a_permission_may_have_a_rate() {
    const ORIGIN: (&str, &str) = ("WebHook-Allowed-Origin", "tidegate.example.com");
    const ANY: (&str, &str) = ("WebHook-Allowed-Origin", "*");
    let rate = |rate: &'static str| ("WebHook-Allowed-Rate", rate);
    for (answer, wanted, every) in [
        (&[ORIGIN][..], None, None),
        (&[ANY, rate("*")], Some(60), None),
        (&[ANY], Some(60), Some(Duration::from_secs(1))),
        (
            &[ORIGIN, rate("120")],
            None,
            Some(Duration::from_millis(500)),
        ),
        (
            &[ORIGIN, rate("1")],
            Some(60),
            Some(Duration::from_secs(60)),
        ),
    ] {
        let (granted, _) = asked(200, answer, wanted).await;
        assert_eq!(granted, Ok(Granted { every }), "{answer:?}");
    }
}

/// Whatever is no permission is none.
#[tokio::test]
async fn everything_else_is_a_refusal() {
    const ANY: (&str, &str) = ("WebHook-Allowed-Origin", "*");
    for (status, answer, says) in [
        (405, &[ANY][..], "405"),
        (302, &[ANY], "302"),
        (200, &[], "no WebHook-Allowed-Origin"),
        (
            200,
            &[("WebHook-Allowed-Origin", "other.example.com")],
            "another origin",
        ),
        (
            200,
            &[ANY, ("WebHook-Allowed-Rate", "0")],
            "neither a number nor *",
        ),
        (
            200,
            &[ANY, ("WebHook-Allowed-Rate", "-1")],
            "neither a number nor *",
        ),
        (
            200,
            &[ANY, ("WebHook-Allowed-Rate", "1.5")],
            "neither a number nor *",
        ),
    ] {
        let (refused, _) = asked(status, answer, None).await;
        assert!(
            refused.as_ref().is_err_and(|why| why.contains(says)),
            "{answer:?}: {refused:?}"
        );
    }
}
