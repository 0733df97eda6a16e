//! How full the streams are, and how old what they hold is.

use tidegate_backbone::{Log as _, Settle, jetstream::Usage};

use crate::fixture::*;

/// What is stored, read and settled shows, beside the limit that holds.
#[tokio::test]
async fn streams_say_how_full_they_are() {
    let fixture = JetstreamFixture::new().await;
    let log = fixture.log();
    let _source = log.open(spec("one")).await.unwrap();
    for id in ["1", "2"] {
        append(log, event(id)).await;
    }
    let all = log.usage().await.unwrap();
    let of = |section: &str| all.iter().find(|one| one.section == section);
    let Usage {
        bytes,
        bytes_max,
        messages,
        consumers,
        ..
    } = of("events").unwrap();
    assert_eq!((*messages, *consumers), (2, 1));
    assert_eq!(*bytes_max, Some(fixture.config.events.size_max.as_u64()));
    assert!(*bytes > 0);
    assert_eq!(of("dead_letters").unwrap().messages, 0);
    assert_eq!(of("history"), None, "nobody has made it");
}

/// The oldest event of a Subscription is one that it wants: what others want may be much older.
#[tokio::test]
async fn the_oldest_is_looked_for_among_what_is_wanted() {
    let fixture = JetstreamFixture::new().await;
    let log = fixture.log();
    let mut source = log.open(spec("one")).await.unwrap();
    for (id, r#type) in [("1", "a"), ("2", "b"), ("3", "a"), ("4", "b")] {
        append(log, event_of(id, "s", r#type)).await;
    }
    let all = pull(&mut source, 4).await;
    let stored: Vec<_> = all.iter().map(|one| Some(one.stored_at)).collect();
    let subjects: Vec<String> = all.iter().map(|one| one.subject.to_string()).collect();
    let b = [subjects[1].clone()];
    let both = [subjects[1].clone(), subjects[0].clone()];
    assert_eq!(log.stored_at(&[], 1).await.unwrap(), stored[0]);
    assert_eq!(log.stored_at(&b, 1).await.unwrap(), stored[1]);
    assert_eq!(log.stored_at(&b, 3).await.unwrap(), stored[3]);
    assert_eq!(log.stored_at(&both, 2).await.unwrap(), stored[1]);
    assert_eq!(log.stored_at(&b, 5).await.unwrap(), None);
    settle(&all, Settle::Ack).await;
}
