//! The log in memory keeps the promises; time is paused, so waiting costs none.

use std::time::Duration;

use tidegate_backbone::memory::Limits;

use crate::{
    conformance::{self, exclusive, positions, register, settling, wishes},
    fixture::MemoryFixture,
};

const SHORT_WINDOW: Duration = Duration::from_millis(300);

/// An event's place in the log is its order.
#[tokio::test(start_paused = true)]
async fn sequences_grow() {
    conformance::sequences_grow(&MemoryFixture::new()).await;
}

/// A sender's retry is not a second event; without an id everything is one.
#[tokio::test(start_paused = true)]
async fn a_repeated_message_id_is_one_event() {
    conformance::a_repeated_message_id_is_one_event(&MemoryFixture::new()).await;
}

/// Of events that are stored together it is known which are new.
#[tokio::test]
async fn events_together_are_told_apart() {
    conformance::events_together_are_told_apart(&MemoryFixture::new(), || true).await;
}

/// Deduplication ends with its window.
#[tokio::test(start_paused = true)]
async fn a_message_id_is_forgotten_after_the_window() {
    conformance::a_message_id_is_forgotten_after_the_window(&MemoryFixture::with(Limits {
        duplicate_window: SHORT_WINDOW,
        ..Limits::default()
    }))
    .await;
}

/// Who pulls is never handed more than it can hold, nor is more kept from others.
#[tokio::test(start_paused = true)]
async fn never_more_is_under_way_than_there_is_room_for() {
    settling::never_more_is_under_way_than_there_is_room_for(&MemoryFixture::new()).await;
}

/// An event reaches who waits for it.
#[tokio::test(start_paused = true)]
async fn what_waits_is_woken_by_an_append() {
    conformance::what_waits_is_woken_by_an_append(&MemoryFixture::new()).await;
}

/// A retry waits in the log as long as asked, and its attempts are counted.
#[tokio::test(start_paused = true)]
async fn a_retry_comes_after_its_delay_and_counts() {
    settling::a_retry_comes_after_its_delay_and_counts(&MemoryFixture::new()).await;
}

/// An event that fails blocks nobody.
#[tokio::test(start_paused = true)]
async fn a_waiting_retry_holds_up_no_other_event() {
    settling::a_waiting_retry_holds_up_no_other_event(&MemoryFixture::new()).await;
}

/// An event whose holder dies is delivered again.
#[tokio::test(start_paused = true)]
async fn what_is_unsettled_comes_again() {
    settling::what_is_unsettled_comes_again(&MemoryFixture::new()).await;
}

/// A slow Function is not called twice.
#[tokio::test(start_paused = true)]
async fn progress_keeps_it_from_coming_again() {
    settling::progress_keeps_it_from_coming_again(&MemoryFixture::new()).await;
}

/// A dead letter's event does not come back.
#[tokio::test(start_paused = true)]
async fn what_is_terminated_never_comes_again() {
    settling::what_is_terminated_never_comes_again(&MemoryFixture::new()).await;
}

/// A shutdown delays no event by the ack wait.
#[tokio::test(start_paused = true)]
async fn closing_hands_back_what_was_not_returned() {
    settling::closing_hands_back_what_was_not_returned(&MemoryFixture::new()).await;
}

/// A changed subscription loses and repeats nothing.
#[tokio::test(start_paused = true)]
async fn reopening_keeps_the_position() {
    wishes::reopening_keeps_the_position(&MemoryFixture::new()).await;
}

/// A new consumer begins where it was asked to.
#[tokio::test(start_paused = true)]
async fn a_start_is_where_it_says() {
    wishes::a_start_is_where_it_says(&MemoryFixture::new()).await;
}

/// A consumer begins at a time or a place in the past, and never goes back there.
#[tokio::test(start_paused = true)]
async fn a_start_in_the_past_is_where_it_says() {
    wishes::a_start_in_the_past_is_where_it_says(&MemoryFixture::new()).await;
}

/// A changed wish loses nothing of the time before, and then the log sends no more than that.
#[tokio::test(start_paused = true)]
async fn what_was_wanted_before_is_remembered() {
    wishes::what_was_wanted_before_is_remembered(&MemoryFixture::new()).await;
}

/// Whoever changes a wish again and again while nothing is settled is not locked out.
#[tokio::test(start_paused = true)]
async fn any_number_of_changes_is_remembered() {
    wishes::any_number_of_changes_is_remembered(&MemoryFixture::new()).await;
}

/// A consumer gets what its filters name, all of it, once.
#[tokio::test(start_paused = true)]
async fn filters_choose() {
    wishes::filters_choose(&MemoryFixture::new()).await;
}

/// Dispatchers that share a consumer share its events.
#[tokio::test(start_paused = true)]
async fn two_sources_share_one_consumer() {
    settling::two_sources_share_one_consumer(&MemoryFixture::new()).await;
}

/// A pull that is given up at any point loses no event.
#[tokio::test(start_paused = true)]
async fn a_dropped_pull_loses_nothing() {
    settling::a_dropped_pull_loses_nothing(&MemoryFixture::new()).await;
}

/// What waits for a retry counts, so the log's memory is bounded.
#[tokio::test(start_paused = true)]
async fn unsettled_events_are_bounded() {
    settling::unsettled_events_are_bounded(&MemoryFixture::new()).await;
}

/// A burial that is repeated is one letter, byte for byte, for each consumer its own.
#[tokio::test(start_paused = true)]
async fn a_letter_is_stored_once() {
    conformance::a_letter_is_stored_once(&MemoryFixture::new()).await;
}

/// What is kept as a dead letter is known by its event.
#[tokio::test(start_paused = true)]
async fn letters_are_found_until_they_are_taken_away() {
    conformance::letters_are_found_until_they_are_taken_away(&MemoryFixture::new()).await;
}

/// A foreign message blocks nothing and can be buried.
#[tokio::test(start_paused = true)]
async fn what_is_no_event_is_delivered_as_it_is() {
    conformance::what_is_no_event_is_delivered_as_it_is(&MemoryFixture::new()).await;
}

/// A full log says so and keeps delivering.
#[tokio::test(start_paused = true)]
async fn a_full_log_refuses() {
    conformance::a_full_log_refuses(&MemoryFixture::with(Limits {
        events_max: 20,
        ..Limits::default()
    }))
    .await;
}

/// Who pulls from a removed consumer hears of it at once.
#[tokio::test(start_paused = true)]
async fn a_removed_consumer_is_gone() {
    wishes::a_removed_consumer_is_gone(&MemoryFixture::new()).await;
}

/// Operators see what each consumer still has to deliver.
#[tokio::test(start_paused = true)]
async fn consumers_tell_what_is_left() {
    wishes::consumers_tell_what_is_left(&MemoryFixture::new()).await;
}

/// No source or type is lost or confused on the way.
#[tokio::test(start_paused = true)]
async fn odd_names_travel() {
    wishes::odd_names_travel(&MemoryFixture::new()).await;
}

/// Attributes and data come out as they went in.
#[tokio::test(start_paused = true)]
async fn events_come_out_byte_for_byte() {
    conformance::events_come_out_byte_for_byte(&MemoryFixture::new()).await;
}

/// Two parties may settle the same delivery.
#[tokio::test(start_paused = true)]
async fn settling_twice_is_harmless() {
    settling::settling_twice_is_harmless(&MemoryFixture::new()).await;
}

/// Readiness is said when it is there.
#[tokio::test(start_paused = true)]
async fn a_log_that_takes_events_is_ready() {
    conformance::a_log_that_takes_events_is_ready(&MemoryFixture::new()).await;
}

/// Whoever still holds an earlier delivery of it can settle it.
#[tokio::test(start_paused = true)]
async fn an_earlier_receipt_settles_it_too() {
    settling::an_earlier_receipt_settles_it_too(&MemoryFixture::new()).await;
}

/// Who has no room takes none from others.
#[tokio::test(start_paused = true)]
async fn without_room_nothing_is_asked_for() {
    settling::without_room_nothing_is_asked_for(&MemoryFixture::new()).await;
}

/// Whoever has an exclusive consumer has all of it, and hands it over.
#[tokio::test(start_paused = true)]
async fn all_events_go_to_one_opening() {
    exclusive::all_events_go_to_one_opening(&MemoryFixture::new()).await;
}

/// Nobody goes on believing that it has what another one has.
#[tokio::test(start_paused = true)]
async fn who_loses_it_is_told() {
    exclusive::who_loses_it_is_told(&MemoryFixture::new()).await;
}

/// An opening that asks for nothing for a while is not a dead one.
#[tokio::test(start_paused = true)]
async fn who_has_no_room_keeps_it() {
    exclusive::who_has_no_room_keeps_it(&MemoryFixture::new()).await;
}

/// It keeps its position meanwhile.
#[tokio::test(start_paused = true)]
async fn a_consumer_becomes_exclusive_and_back() {
    exclusive::a_consumer_becomes_exclusive_and_back(&MemoryFixture::new()).await;
}

/// Who has to know gets to know.
#[tokio::test(start_paused = true)]
async fn a_sure_settlement_is_done() {
    settling::a_sure_settlement_is_done(&MemoryFixture::new()).await;
}

/// Values are kept under their names, and can be taken away.
#[tokio::test]
async fn what_is_written_is_read() {
    register::what_is_written_is_read(&MemoryFixture::new().register()).await;
}

/// Of two who take themselves for the one that writes, one does.
#[tokio::test]
async fn who_has_not_read_all_does_not_write() {
    register::who_has_not_read_all_does_not_write(&MemoryFixture::new().register()).await;
}

/// Nothing is cut off.
#[tokio::test]
async fn many_values_are_read_whole() {
    register::many_values_are_read_whole(&MemoryFixture::new().register()).await;
}

/// A name that is no token of a subject reaches nothing else.
#[tokio::test]
async fn what_is_no_name_is_refused() {
    register::what_is_no_name_is_refused(&MemoryFixture::new().register()).await;
}

/// Who appears is seen by who asks, and nobody else is.
#[tokio::test]
async fn who_appears_is_seen_until_it_goes() {
    register::who_appears_is_seen_until_it_goes(&MemoryFixture::new().register()).await;
}

/// Who looks may say something.
#[tokio::test]
async fn who_is_seen_hears_what_is_said() {
    register::who_is_seen_hears_what_is_said(&MemoryFixture::new().register()).await;
}

/// What a consumer has settled, and what it got, is known exactly.
#[tokio::test(start_paused = true)]
async fn a_consumer_tells_how_far_it_is() {
    positions::a_consumer_tells_how_far_it_is(&MemoryFixture::new()).await;
}

/// No delivery is lost without anybody seeing it.
#[tokio::test(start_paused = true)]
async fn each_delivery_is_numbered() {
    positions::each_delivery_is_numbered(&MemoryFixture::new()).await;
}
