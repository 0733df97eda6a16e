//! The room's contract: recorded requests, sample cases, and bytes of any kind.

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod modes;
#[cfg(test)]
mod support;
