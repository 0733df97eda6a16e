//! A consumer that somebody deletes with NATS' own tools.

use std::time::Duration;

use tidegate_backbone::{ConsumerSpec, Log as _, Settle, Source as _, SourceError, Start};

use crate::fixture::{
    Fixture as _, JetstreamFixture, append, event, ids, pull, pull_nothing, settle_surely, spec,
    within,
};

/// Whoever reads it is told where it was, as far as that was seen, and goes on from there: what is
/// not settled comes again, also where it had begun with new events.
#[tokio::test]
async fn its_reader_learns_where_it_was() {
    let fixture = JetstreamFixture::new().await;
    let log = fixture.log();
    append(log, event("before")).await;
    let wanted = ConsumerSpec {
        start: Start::New,
        ..spec("c")
    };
    let jetstream = async_nats::jetstream::new(fixture.client().await);
    let stream = &fixture.config.events.stream;
    let stream = jetstream.get_stream(stream).await.unwrap();
    // Seen by nobody yet but by whoever made it.
    let mut source = log.open(wanted.clone()).await.unwrap();
    pull_nothing(&mut source, Duration::from_millis(50)).await;
    stream.delete_consumer("c").await.unwrap();
    assert_eq!(place_of(within(source.pull(1)).await), Some(1));

    let mut source = log.open(wanted.clone()).await.unwrap();
    append(log, event("settled")).await;
    append(log, event("under way")).await;
    append(log, event("waits")).await;
    let pulled = pull(&mut source, 2).await;
    settle_surely(&pulled[..1], Settle::Ack).await;
    log.consumers().await.unwrap();
    drop(source);
    let place = pulled[0].sequence;
    let mut source = log.open(wanted.clone()).await.unwrap();
    stream.delete_consumer("c").await.unwrap();
    // What was under way when it was deleted may still come.
    let gone = loop {
        let pulled = within(source.pull(1)).await;
        if pulled.is_err() {
            break pulled;
        }
    };
    assert_eq!(place_of(gone), Some(place));
    let again = ConsumerSpec {
        start: Start::Sequence(place + 1),
        ..wanted.clone()
    };
    let mut source = log.open(again).await.unwrap();
    assert_eq!(ids(&pull(&mut source, 2).await), ["under way", "waits"]);

    // One that is removed on purpose is none that was lost.
    log.remove("c").await.unwrap();
    assert_eq!(place_of(within(source.pull(1)).await), None);
}

fn place_of<T: std::fmt::Debug>(pulled: Result<T, SourceError>) -> Option<u64> {
    match pulled {
        Err(SourceError::Gone { settled_to, .. }) => settled_to,
        other => panic!("it is gone: {other:?}"),
    }
}
