//! What happens when the server is killed, refuses, or was never what is needed.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use tempfile::NamedTempFile;
use tidegate_backbone::{
    AppendError, Config, Log as _, Receipt as _, Settle, Source as _, SourceError,
    jetstream::{ConnectError, Jetstream},
};
use tidegate_testkit::NatsServer;
use tokio::{task::JoinSet, time::Instant};

use crate::fixture::*;

/// A killed server answers every append at once with an error, and after its restart everything
/// that was acknowledged is there and new appends succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_acknowledged() {
    const SENDERS: usize = 32;
    let mut fixture = JetstreamFixture::new().await;
    let log = fixture.log().clone();
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let log = log.clone();
        senders.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let id = format!("{sender}-{number}");
                let append = append_of(event(&id));
                let began = Instant::now();
                match log.append(&append).await {
                    Ok(stored) => acknowledged.push((id, stored.sequence)),
                    Err(AppendError::Unreachable { .. }) => {
                        return (acknowledged, began.elapsed());
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            unreachable!("only an error ends it")
        });
    }
    let mut source = log.open(spec("c")).await.unwrap();
    // In the middle of it: some are stored, all senders are busy.
    let first = pull(&mut source, 200).await;
    assert_eq!(first[0].attempt, 1);
    fixture.server.kill();
    let mut acknowledged = BTreeSet::new();
    for (ids, waited) in within(senders.join_all()).await {
        assert!(waited < Config::default().append_timeout, "{waited:?}");
        acknowledged.extend(ids.into_iter().map(|(id, _)| id));
    }
    assert!(acknowledged.len() >= 150, "{}", acknowledged.len());

    // While it is away, every append fails at once and nothing is queued for later.
    let began = Instant::now();
    for _ in 0..100 {
        let error = log.append(&append_of(event("away"))).await.unwrap_err();
        assert!(
            matches!(error, AppendError::Unreachable { .. }) && error.transient(),
            "{error}"
        );
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert!(log.ready().await.is_err());

    fixture.server.restart().await;
    append_until_stored(&log, &append_of(event("back"))).await;
    until_ready(&log).await;
    let mut all = log.open(spec("all")).await.unwrap();
    within(async {
        loop {
            let pulled = all.pull(1_000).await.unwrap();
            settle(&pulled, Settle::Ack).await;
            for delivery in pulled {
                let id = id(&delivery);
                assert_ne!(id, "away");
                acknowledged.remove(&id);
                if id == "back" {
                    return;
                }
            }
        }
    })
    .await;
    assert_eq!(acknowledged, BTreeSet::new(), "acknowledged and lost");
}

/// A source that was open goes on over a restart, without a new one and without a stall.
#[tokio::test]
async fn a_source_goes_on_after_a_restart() {
    let mut fixture = JetstreamFixture::new().await;
    let log = fixture.log().clone();
    let mut source = log.open(spec("c")).await.unwrap();
    append(&log, event("1")).await;
    let pulled = pull(&mut source, 1).await;
    for round in 0..3 {
        // A request waits at the server when it dies.
        pull_nothing(&mut source, Duration::from_millis(50)).await;
        fixture.server.kill();
        let lost = within(async {
            loop {
                if let Err(error) = source.pull(10).await {
                    return error;
                }
            }
        })
        .await;
        assert!(matches!(lost, SourceError::Unreachable { .. }), "{lost}");
        assert!(pulled[0].receipt.settle(Settle::Progress).await.is_err());
        fixture.server.restart().await;
        let id_now = format!("after {round}");
        append_until_stored(&log, &append_of(event(&id_now))).await;
        let began = Instant::now();
        within(async {
            loop {
                match source.pull(10).await {
                    Ok(pulled) => {
                        settle(&pulled, Settle::Ack).await;
                        if pulled.iter().any(|delivery| id(delivery) == id_now) {
                            return;
                        }
                    }
                    Err(SourceError::Unreachable { .. }) => {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
        // Long before a missing heartbeat would be noticed.
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{:?}",
            began.elapsed()
        );
    }
}

/// A connection that came back is no reason to ask twice: never more is under way than there is
/// room for.
#[tokio::test]
async fn after_a_restart_is_asked_once() {
    let mut fixture = JetstreamFixture::new().await;
    let log = fixture.log().clone();
    let mut source = log.open(spec("c")).await.unwrap();
    // One event was asked for over the connection that is lost.
    let nothing = tokio::time::timeout(Duration::from_millis(50), source.pull(1)).await;
    assert!(nothing.is_err());
    fixture.server.restart().await;
    for number in 0..20 {
        append_until_stored(&log, &append_of(event(&number.to_string()))).await;
    }
    until_ready(&log).await;
    assert_eq!(pull(&mut source, 4).await.len(), 4);
    assert_eq!(log.consumers().await.unwrap()[0].unsettled, 4);
}

/// A shutdown delays no event by the ack wait, though it was sent to who shut down.
#[tokio::test]
async fn closing_hands_back_what_is_under_way() {
    let fixture = JetstreamFixture::new().await;
    let log = fixture.log();
    let mut source = log.open(spec("c")).await.unwrap();
    // Room for 50 is asked for, and nobody takes them.
    let nothing = tokio::time::timeout(Duration::from_millis(50), source.pull(50)).await;
    assert!(nothing.is_err());
    for number in 0..50 {
        append(log, event(&number.to_string())).await;
    }
    within(async {
        while log.consumers().await.unwrap()[0].unsettled < 50 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    source.close().await;
    let mut other = log.open(spec("c")).await.unwrap();
    let pulled = pull(&mut other, 50).await;
    assert!(pulled.iter().all(|delivery| delivery.attempt == 2));
    assert_eq!(ids(&pulled).into_iter().collect::<BTreeSet<_>>().len(), 50);
}

/// An append that the server does not permit costs nobody the connection.
#[tokio::test]
async fn a_forbidden_subject_costs_nobody_else() {
    let server = NatsServer::start_with(
        "no_auth_user: u\nauthorization { users: [ { user: u, password: p, permissions: { publish: { \
         deny: [\"tidegate.events.denied.>\"] } } } ] }",
    )
    .await;
    let config = Config {
        append_timeout: Duration::from_secs(1),
        ..Config::default()
    };
    let fixture = JetstreamFixture::on(server, config).await;
    let log = fixture.log();
    let mut denied = append_of(event("denied"));
    denied.subject = "tidegate.events.denied.t".to_owned();
    let others = async {
        let mut stored = 0;
        for number in 0..200 {
            let append = append_of(event(&number.to_string()));
            stored += usize::from(log.append(&append).await.is_ok());
        }
        stored
    };
    let (refused, stored) = tokio::join!(log.append(&denied), others);
    let error = refused.unwrap_err();
    assert!(matches!(error, AppendError::TimedOut { .. }), "{error}");
    assert_eq!(stored, 200);
}

/// Without a stream on the subject nothing is stored, and that is said at once.
#[tokio::test]
async fn without_a_stream_nothing_is_stored() {
    let server = NatsServer::start().await;
    let log = Jetstream::connect(&Config::default(), &server.url(), "test")
        .await
        .unwrap();
    let error = log.append(&append_of(event("1"))).await.unwrap_err();
    assert!(
        matches!(&error, AppendError::Unreachable { detail } if detail.contains("no stream")),
        "{error:?}"
    );
    assert!(log.ready().await.is_err());
    assert!(log.open(spec("c")).await.is_err());
}

/// What the server does not take is refused before it costs the connection.
#[tokio::test]
async fn what_is_too_large_is_refused() {
    let server = NatsServer::start_with("max_payload: 64KB").await;
    let log = Jetstream::connect(&Config::default(), &server.url(), "test")
        .await
        .unwrap();
    log.ensure().await.unwrap();
    let mut large = event("large");
    large.data = Some(Bytes::from(vec![0; 64 * 1024]));
    let error = log.append(&append_of(large)).await.unwrap_err();
    let AppendError::TooLarge { bytes, bytes_max } = error else {
        panic!("{error}")
    };
    assert!(
        bytes > 64 * 1024 && bytes_max < 64 * 1024,
        "{bytes} {bytes_max}"
    );
    let mut wide = event("wide");
    wide.subject = Some("ä".repeat(11_000).into());
    wide.data = None;
    let error = log.append(&append_of(wide)).await.unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { .. }), "{error}");
    append(&log, event("small")).await;
}

/// No more appends wait than configured.
#[tokio::test]
async fn appends_in_flight_are_bounded() {
    let config = Config {
        in_flight_max: 3,
        ..Config::default()
    };
    let fixture = JetstreamFixture::with(config).await;
    let log = fixture.log();
    let appends: Vec<_> = (0..4)
        .map(|number| append_of(event(&number.to_string())))
        .collect();
    let answers = futures_util::future::join_all(appends.iter().map(|one| log.append(one))).await;
    let busy = answers
        .iter()
        .filter(|answer| matches!(answer, Err(AppendError::Busy { in_flight_max: 3 })))
        .count();
    assert_eq!(busy, 1, "{answers:?}");
    append(log, event("then")).await;
}

/// An append that is given up frees its place, and its late answer harms nobody.
#[tokio::test]
async fn a_dropped_append_frees_its_place() {
    let config = Config {
        in_flight_max: 1,
        ..Config::default()
    };
    let fixture = JetstreamFixture::with(config).await;
    let log = fixture.log();
    for number in 0..50 {
        let given_up = append_of(event(&format!("given up {number}")));
        drop(tokio::time::timeout(Duration::ZERO, log.append(&given_up)).await);
        append(log, event(&number.to_string())).await;
    }
}

/// A server that is not there, or not a URL, is said so without the password.
#[tokio::test]
async fn connecting_fails_with_a_reason() {
    let config = Config::default();
    let servers = "nats://user:secret@127.0.0.1:1,nats://127.0.0.1:2";
    let error = Jetstream::connect(&config, servers, "test").await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, ConnectError::Unreachable { .. }),
        "{error:?}"
    );
    let said = error.to_string();
    assert!(said.contains("at 127.0.0.1:1, 127.0.0.1:2: "), "{said}");
    assert!(!format!("{error:?}").contains("secret"));
    let error = Jetstream::connect(&config, "nats://user:secret@host:port", "test").await;
    let error = error.unwrap_err();
    assert!(matches!(error, ConnectError::Url { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("secret"));
    let file = Some("/no/such/file".into());
    let connecting = async |config| {
        let connected = Jetstream::connect(&config, "nats://127.0.0.1:1", "test").await;
        connected.unwrap_err()
    };
    let error = connecting(Config {
        credentials_file: file.clone(),
        ..config.clone()
    });
    let error = error.await;
    assert!(
        matches!(error, ConnectError::Credentials { .. }),
        "{error:?}"
    );
    let no_pem = NamedTempFile::new().unwrap();
    for ca_file in [file, Some(no_pem.path().to_owned())] {
        let error = connecting(Config {
            ca_file,
            ..config.clone()
        });
        let error = error.await;
        assert!(
            matches!(error, ConnectError::Authorities { .. }),
            "{error:?}"
        );
    }
}
