//! JetStream keeps the promises, on a real nats-server.

mod deleted;
mod failure;
mod fsync;
mod lagging;
mod register;
mod room;
mod secured;
mod streams;
mod turns;
mod usage;

use std::time::{Duration, Instant};

use bytesize::ByteSize;
use futures_util::StreamExt as _;
use tidegate_backbone::{Append, Config, Events, Log as _};
use tidegate_testkit::NatsServer;

use crate::{
    conformance::{self, exclusive, positions, settling, wishes},
    fixture::{Fixture as _, JetstreamFixture, append_of, event, message_id, within},
};

async fn short_window() -> JetstreamFixture {
    let duplicate_window = Duration::from_millis(300);
    let events = Events {
        duplicate_window,
        ..Events::default()
    };
    JetstreamFixture::with(Config {
        events,
        ..Config::default()
    })
    .await
}

async fn small() -> JetstreamFixture {
    let events = Events {
        size_max: ByteSize::kib(64),
        ..Events::default()
    };
    JetstreamFixture::with(Config {
        events,
        ..Config::default()
    })
    .await
}

/// An event's place in the log is its order.
#[tokio::test]
async fn sequences_grow() {
    conformance::sequences_grow(&JetstreamFixture::new().await).await;
}

/// A sender's retry is not a second event; without an id everything is one.
#[tokio::test]
async fn a_repeated_message_id_is_one_event() {
    conformance::a_repeated_message_id_is_one_event(&JetstreamFixture::new().await).await;
}

/// Of events that are stored together it is known which are new. Also on reply subjects that are
/// used again, which none is in the first second.
#[tokio::test]
async fn events_together_are_told_apart() {
    let fixture = JetstreamFixture::new().await;
    let began = Instant::now();
    let until = || began.elapsed() > Duration::from_millis(1_500);
    conformance::events_together_are_told_apart(&fixture, until).await;
}

/// A domain of JetStream changes none of that, nor is anything sent twice for it.
#[tokio::test]
async fn a_domain_changes_nothing() {
    let server = NatsServer::start_with("jetstream { domain: hub }").await;
    let fixture = JetstreamFixture::on(server, Config::default()).await;
    conformance::events_together_are_told_apart(&fixture, || true).await;
    let client = fixture.client().await;
    let mut sent = client.subscribe("tidegate.events.>").await.unwrap();
    // Flushing sends, and an answer means that the server has read up to here.
    client.request("$JS.API.INFO", "".into()).await.unwrap();
    let with_id = |id: &str| Append {
        message_id: message_id(id),
        ..append_of(event(id))
    };
    let appends: Vec<_> = (0..10).map(|id| with_id(&id.to_string())).collect();
    for stored in fixture.log().append_all(&appends).await {
        assert!(!stored.unwrap().duplicate);
    }
    fixture.log().append(&with_id("last")).await.unwrap();
    for id in (0..10).map(|id| id.to_string()).chain(["last".to_owned()]) {
        let message = within(sent.next()).await.unwrap();
        let headers = message.headers.unwrap();
        assert_eq!(headers.get("ce-id").unwrap().as_str(), id);
    }
}

/// Deduplication ends with its window.
#[tokio::test]
async fn a_message_id_is_forgotten_after_the_window() {
    conformance::a_message_id_is_forgotten_after_the_window(&short_window().await).await;
}

/// Who pulls is never handed more than it can hold, nor is more kept from others.
#[tokio::test]
async fn never_more_is_under_way_than_there_is_room_for() {
    settling::never_more_is_under_way_than_there_is_room_for(&JetstreamFixture::new().await).await;
}

/// An event reaches who waits for it.
#[tokio::test]
async fn what_waits_is_woken_by_an_append() {
    conformance::what_waits_is_woken_by_an_append(&JetstreamFixture::new().await).await;
}

/// A retry waits in the log as long as asked, and its attempts are counted.
#[tokio::test]
async fn a_retry_comes_after_its_delay_and_counts() {
    settling::a_retry_comes_after_its_delay_and_counts(&JetstreamFixture::new().await).await;
}

/// An event that fails blocks nobody.
#[tokio::test]
async fn a_waiting_retry_holds_up_no_other_event() {
    settling::a_waiting_retry_holds_up_no_other_event(&JetstreamFixture::new().await).await;
}

/// An event whose holder dies is delivered again.
#[tokio::test]
async fn what_is_unsettled_comes_again() {
    settling::what_is_unsettled_comes_again(&JetstreamFixture::new().await).await;
}

/// A slow Function is not called twice.
#[tokio::test]
async fn progress_keeps_it_from_coming_again() {
    settling::progress_keeps_it_from_coming_again(&JetstreamFixture::new().await).await;
}

/// A dead letter's event does not come back.
#[tokio::test]
async fn what_is_terminated_never_comes_again() {
    settling::what_is_terminated_never_comes_again(&JetstreamFixture::new().await).await;
}

/// A shutdown delays no event by the ack wait.
#[tokio::test]
async fn closing_hands_back_what_was_not_returned() {
    settling::closing_hands_back_what_was_not_returned(&JetstreamFixture::new().await).await;
}

/// A changed subscription loses and repeats nothing.
#[tokio::test]
async fn reopening_keeps_the_position() {
    wishes::reopening_keeps_the_position(&JetstreamFixture::new().await).await;
}

/// A new consumer begins where it was asked to.
#[tokio::test]
async fn a_start_is_where_it_says() {
    wishes::a_start_is_where_it_says(&JetstreamFixture::new().await).await;
}

/// A consumer begins at a time or a place in the past, and never goes back there.
#[tokio::test]
async fn a_start_in_the_past_is_where_it_says() {
    wishes::a_start_in_the_past_is_where_it_says(&JetstreamFixture::new().await).await;
}

/// A changed wish loses nothing of the time before, and then the log sends no more than that.
#[tokio::test]
async fn what_was_wanted_before_is_remembered() {
    wishes::what_was_wanted_before_is_remembered(&JetstreamFixture::new().await).await;
}

/// Whoever changes a wish again and again while nothing is settled is not locked out.
#[tokio::test]
async fn any_number_of_changes_is_remembered() {
    wishes::any_number_of_changes_is_remembered(&JetstreamFixture::new().await).await;
}

/// A consumer gets what its filters name, all of it, once.
#[tokio::test]
async fn filters_choose() {
    wishes::filters_choose(&JetstreamFixture::new().await).await;
}

/// Dispatchers that share a consumer share its events.
#[tokio::test]
async fn two_sources_share_one_consumer() {
    settling::two_sources_share_one_consumer(&JetstreamFixture::new().await).await;
}

/// A pull that is given up at any point loses no event.
#[tokio::test]
async fn a_dropped_pull_loses_nothing() {
    settling::a_dropped_pull_loses_nothing(&JetstreamFixture::new().await).await;
}

/// What waits for a retry counts, so the log's memory is bounded.
#[tokio::test]
async fn unsettled_events_are_bounded() {
    settling::unsettled_events_are_bounded(&JetstreamFixture::new().await).await;
}

/// A burial that is repeated is one letter, byte for byte, for each consumer its own.
#[tokio::test]
async fn a_letter_is_stored_once() {
    conformance::a_letter_is_stored_once(&JetstreamFixture::new().await).await;
}

/// One that is not there is no error, also where there never was any.
#[tokio::test]
async fn a_letter_that_is_not_there_is_none() {
    let fixture = JetstreamFixture::new().await;
    assert!(!fixture.log.discard(1).await.unwrap());
    assert!(fixture.log.letter(1).await.unwrap().is_none());
}

/// What is kept as a dead letter is known by its event.
#[tokio::test]
async fn letters_are_found_until_they_are_taken_away() {
    conformance::letters_are_found_until_they_are_taken_away(&JetstreamFixture::new().await).await;
}

/// A foreign message blocks nothing and can be buried.
#[tokio::test]
async fn what_is_no_event_is_delivered_as_it_is() {
    conformance::what_is_no_event_is_delivered_as_it_is(&JetstreamFixture::new().await).await;
}

/// A full log says so and keeps delivering.
#[tokio::test]
async fn a_full_log_refuses() {
    conformance::a_full_log_refuses(&small().await).await;
}

/// Who pulls from a removed consumer hears of it at once.
#[tokio::test]
async fn a_removed_consumer_is_gone() {
    wishes::a_removed_consumer_is_gone(&JetstreamFixture::new().await).await;
}

/// Operators see what each consumer still has to deliver.
#[tokio::test]
async fn consumers_tell_what_is_left() {
    wishes::consumers_tell_what_is_left(&JetstreamFixture::new().await).await;
}

/// No source or type is lost or confused on the way.
#[tokio::test]
async fn odd_names_travel() {
    wishes::odd_names_travel(&JetstreamFixture::new().await).await;
}

/// Attributes and data come out as they went in.
#[tokio::test]
async fn events_come_out_byte_for_byte() {
    conformance::events_come_out_byte_for_byte(&JetstreamFixture::new().await).await;
}

/// Two parties may settle the same delivery.
#[tokio::test]
async fn settling_twice_is_harmless() {
    settling::settling_twice_is_harmless(&JetstreamFixture::new().await).await;
}

/// Readiness is said when it is there.
#[tokio::test]
async fn a_log_that_takes_events_is_ready() {
    conformance::a_log_that_takes_events_is_ready(&JetstreamFixture::new().await).await;
}

/// Whoever still holds an earlier delivery of it can settle it.
#[tokio::test]
async fn an_earlier_receipt_settles_it_too() {
    settling::an_earlier_receipt_settles_it_too(&JetstreamFixture::new().await).await;
}

/// Who has no room takes none from others.
#[tokio::test]
async fn without_room_nothing_is_asked_for() {
    settling::without_room_nothing_is_asked_for(&JetstreamFixture::new().await).await;
}

/// Whoever has an exclusive consumer has all of it, and hands it over.
#[tokio::test]
async fn all_events_go_to_one_opening() {
    exclusive::all_events_go_to_one_opening(&JetstreamFixture::new().await).await;
}

/// Nobody goes on believing that it has what another one has.
#[tokio::test]
async fn who_loses_it_is_told() {
    exclusive::who_loses_it_is_told(&JetstreamFixture::new().await).await;
}

/// An opening that asks for nothing for a while is not a dead one.
#[tokio::test]
async fn who_has_no_room_keeps_it() {
    exclusive::who_has_no_room_keeps_it(&JetstreamFixture::new().await).await;
}

/// It keeps its position meanwhile.
#[tokio::test]
async fn a_consumer_becomes_exclusive_and_back() {
    exclusive::a_consumer_becomes_exclusive_and_back(&JetstreamFixture::new().await).await;
}

/// Who has to know gets to know.
#[tokio::test]
async fn a_sure_settlement_is_done() {
    settling::a_sure_settlement_is_done(&JetstreamFixture::new().await).await;
}

/// What a consumer has settled, and what it got, is known exactly.
#[tokio::test]
async fn a_consumer_tells_how_far_it_is() {
    positions::a_consumer_tells_how_far_it_is(&JetstreamFixture::new().await).await;
}

/// No delivery is lost without anybody seeing it.
#[tokio::test]
async fn each_delivery_is_numbered() {
    positions::each_delivery_is_numbered(&JetstreamFixture::new().await).await;
}
