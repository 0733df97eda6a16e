//! Room in the log: what every consumer has settled is purged from the old end, as far as needed.

use async_nats::jetstream::{consumer::Info, stream::State};

use super::{Jetstream, control};
use crate::ControlError;

/// How far below the mark a purge goes, so that not every event needs one.
const HEADROOM: f64 = 0.9;

/// What a reclaim gave back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Events purged.
    pub events: u64,
}

impl Jetstream {
    /// Purges settled events when the events stream is fuller than `reclaim_above`. An event
    /// that any consumer, whoever made it, has still to settle stays.
    pub async fn reclaim(&self) -> Result<Reclaimed, ControlError> {
        let config = &self.0.config;
        let name = &config.events.stream;
        let action = || format!("making room in {name}");
        let stream =
            self.0.context.get_stream(name).await.map_err(|error| control(action(), error))?;
        let state = &stream.cached_info().state;
        let mark = bytes_as_f64(config.events.size_max.as_u64()) * config.reclaim_above;
        if bytes_as_f64(state.bytes) <= mark || state.messages == 0 {
            return Ok(Reclaimed::default());
        }
        // After the stream's state: what a consumer has settled can only have grown since.
        let consumers = self.consumer_infos().await?;
        let settled = consumers.iter().map(|info| settled_up_to(info, state)).min();
        let wanted = purge_below(state, mark * HEADROOM);
        let below = wanted.min(settled.unwrap_or(state.last_sequence).saturating_add(1));
        if below <= state.first_sequence {
            return Ok(Reclaimed::default());
        }
        let purged =
            stream.purge().sequence(below).await.map_err(|error| control(action(), error))?;
        Ok(Reclaimed { events: purged.purged })
    }
}

/// The last sequence up to which a consumer has nothing left to do.
fn settled_up_to(info: &Info, state: &State) -> u64 {
    match (info.num_ack_pending, info.num_pending) {
        (0, 0) => state.last_sequence.max(info.ack_floor.stream_sequence),
        (0, _) => info.delivered.stream_sequence.max(info.ack_floor.stream_sequence),
        _ => info.ack_floor.stream_sequence,
    }
}

/// The sequence below which so much is stored that its purge leaves about `target` bytes.
fn purge_below(state: &State, target: f64) -> u64 {
    let per_message = bytes_as_f64(state.bytes) / bytes_as_f64(state.messages);
    let surplus = (bytes_as_f64(state.bytes) - target) / per_message;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of a count; a float's cast saturates"
    )]
    let surplus = surplus.ceil() as u64;
    state.first_sequence.saturating_add(surplus)
}

#[expect(clippy::cast_precision_loss, reason = "a share of a size; 53 bits are exact enough")]
fn bytes_as_f64(bytes: u64) -> f64 {
    bytes as f64
}
