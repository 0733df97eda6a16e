//! The same promises, where Subscriptions share a consumer; and those of sharing.

#[cfg(test)]
#[path = "../it/fixture.rs"]
mod fixture;
#[cfg(test)]
#[path = "../it/order.rs"]
mod order;
#[cfg(test)]
#[path = "../it/outcomes.rs"]
mod outcomes;
#[cfg(test)]
#[path = "../it/own.rs"]
mod own;
#[cfg(test)]
mod process;
#[cfg(test)]
#[path = "../it/room.rs"]
mod room;
#[cfg(test)]
mod shards;
#[cfg(test)]
mod sharing;
#[cfg(test)]
#[path = "../it/sinks.rs"]
mod sinks;

/// Which shape the fixture gives.
#[cfg(test)]
const IS_SHARED: bool = true;
