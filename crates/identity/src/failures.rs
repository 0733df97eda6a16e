//! How often an address has failed lately.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
    time::Duration,
};

use tokio::time::Instant;

use crate::memory::locked;

/// Addresses that are remembered; above it, the ones that have the least to wait are forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// The span in which failures are counted.
const WINDOW: Duration = Duration::from_mins(1);

/// Counts failures by address. Every failure costs an interval of the window; an address whose
/// intervals fill the window has to wait (the generic cell rate algorithm).
#[derive(Debug)]
pub(crate) struct Failures {
    interval: Duration,
    /// When the intervals of an address are used up.
    until: Mutex<HashMap<IpAddr, Instant>>,
}

impl Failures {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self {
            interval: WINDOW / per_minute.max(1),
            until: Mutex::default(),
        }
    }

    /// How long the address has to wait, if it has to.
    pub(crate) fn wait(&self, address: IpAddr) -> Option<Duration> {
        let until = *locked(&self.until).get(&network(address))?;
        let left = until.saturating_duration_since(Instant::now());
        let over = (left + self.interval).checked_sub(WINDOW)?;
        (!over.is_zero()).then_some(over)
    }

    /// One more failure.
    pub(crate) fn add(&self, address: IpAddr) {
        let now = Instant::now();
        let address = network(address);
        let mut all = locked(&self.until);
        if all.len() >= ADDRESSES_MAX && !all.contains_key(&address) {
            all.retain(|_, until| *until > now);
            let first = all.iter().min_by_key(|(_, until)| **until);
            if let Some(first) = first.map(|(address, _)| *address)
                && all.len() >= ADDRESSES_MAX
            {
                all.remove(&first);
            }
        }
        let until = all.entry(address).or_insert(now);
        // Requests that were under way together must not add up to a wait without an end.
        *until = ((*until).max(now) + self.interval).min(now + WINDOW + self.interval);
    }
}

/// Who has one IPv6 address has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let upper = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(upper))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The limit is what the configuration says, and it passes by itself.
    #[tokio::test(start_paused = true)]
    async fn an_address_waits_after_its_failures_and_only_then() {
        let failures = Failures::new(3);
        let one = address("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(failures.wait(one), None);
            failures.add(one);
        }
        let wait = failures.wait(one).unwrap();
        assert!(wait <= Duration::from_secs(20), "{wait:?}");
        assert_eq!(failures.wait(address("192.0.2.2")), None);
        tokio::time::advance(wait).await;
        assert_eq!(failures.wait(one), None);
    }

    /// Who owns a /64 could otherwise try without an end.
    #[tokio::test(start_paused = true)]
    async fn addresses_of_one_ipv6_network_count_together() {
        let failures = Failures::new(1);
        failures.add(address("2001:db8::1"));
        assert!(failures.wait(address("2001:db8::ffff:1")).is_some());
        assert!(failures.wait(address("2001:db8:0:1::1")).is_none());
        failures.add(address("::ffff:192.0.2.1"));
        assert!(failures.wait(address("192.0.2.1")).is_some());
    }

    /// Strangers with many addresses must not fill the memory, nor free the worst of them.
    #[tokio::test(start_paused = true)]
    async fn the_number_of_addresses_is_bounded_and_the_worst_stay() {
        let failures = Failures::new(2);
        let worst = address("192.0.2.1");
        failures.add(worst);
        failures.add(worst);
        for number in 0..u32::try_from(ADDRESSES_MAX).unwrap() + 100 {
            failures.add(IpAddr::V4((0x0A00_0000 + number).into()));
        }
        assert!(locked(&failures.until).len() <= ADDRESSES_MAX);
        assert!(failures.wait(worst).is_some());
    }
}
