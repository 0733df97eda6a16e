//! The loop on the log in memory, with paused time.

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod order;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod own;
#[cfg(test)]
mod room;
#[cfg(test)]
mod sinks;

/// Which shape the fixture gives.
#[cfg(test)]
const IS_SHARED: bool = false;
