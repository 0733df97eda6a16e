//! What `jetstream` promises by itself.

use super::*;

/// A server that is too old is named at the start, not by a strange error later.
#[test]
fn versions_are_compared_by_number() {
    for (version, too_old) in [
        ("2.9.10", true),
        ("1.4.1", true),
        ("2.10.0", false),
        ("2.14.0-beta.1", false),
        ("3.0.0", false),
        ("", false),
        ("unknown", false),
    ] {
        assert_eq!(is_before(version, SERVER_MIN), too_old, "{version}");
    }
}
/// Where a connection needs TLS or a credentials file, appends go through the client library.
#[tokio::test]
async fn appends_need_no_connection_of_their_own() {
    let server = tidegate_testkit::NatsServer::start().await;
    let (config, url) = (Config::default(), server.url());
    let log = Jetstream::connect_with(&config, &url, "test", async |_| None).await;
    let log = log.unwrap();
    log.ensure().await.unwrap();
    let append = |id: &str| Append {
        subject: "tidegate.events.s.t".to_owned(),
        message_id: Some(crate::MessageId(id.to_owned())),
        event: tidegate_event::Event::new(id, "s", "t"),
    };
    let ids = ["1", "2", "1"];
    let stored = log.append_all(&ids.map(append)).await;
    let stored: Vec<_> = stored.into_iter().map(Result::unwrap).collect();
    let told = stored.iter().map(|one| (one.sequence, one.duplicate));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(1, false), (2, false), (1, true)]
    );
}
