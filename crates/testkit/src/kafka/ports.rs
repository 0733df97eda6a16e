//! Ports of loopback for a server that has to be told which, and that comes back to them.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    sync::atomic::{AtomicU16, Ordering},
};

/// The lowest that is tried: below are those of well-known services.
const PORT_MIN: u16 = 15_000;

/// Where the machine's own begin if it does not say so: Linux' default.
const EPHEMERAL_MIN: u16 = 32_768;

/// A port that no other test gets while this is there, also while nobody listens on it: it is below
/// those that the machine gives to whoever asks for any, and held in UDP, which Kafka does not use.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _held: UdpSocket,
}

impl Port {
    /// One that is free.
    ///
    /// # Panics
    /// When there is none.
    pub(super) fn reserve() -> Self {
        // Processes begin at different places, so that they seldom want the same.
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let count = ephemeral_min().saturating_sub(PORT_MIN).max(1);
        let begin = std::process::id().wrapping_mul(97) % u32::from(count);
        let begin = u16::try_from(begin).unwrap_or_default();
        for _ in 0..count {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % count;
            let offset = (u32::from(begin) + u32::from(step)) % u32::from(count);
            let number = PORT_MIN + u16::try_from(offset).unwrap_or_default();
            let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, number));
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, number));
            if let (Ok(held), Ok(_)) = (held, free) {
                return Self {
                    number,
                    _held: held,
                };
            }
        }
        unreachable!("loopback has a free port")
    }

    /// A host and this port.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.number)
    }
}

fn ephemeral_min() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(EPHEMERAL_MIN)
}
