//! Where requests may go: addresses are checked after a name is resolved, on every connect, so
//! that a name cannot mean something else a moment later.

use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use http::Uri;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tower_service::Service;

/// Which addresses events may be sent to, beside those that they never may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Private networks: 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7.
    pub private: bool,
    /// This machine: 127/8, ::1.
    pub loopback: bool,
    /// Networks that are allowed though they are private or loopback.
    pub allow: Vec<IpNet>,
    /// Networks that are refused, also where the rest allows them.
    pub deny: Vec<IpNet>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            private: true,
            loopback: true,
            allow: Vec::new(),
            deny: Vec::new(),
        }
    }
}

/// Addresses that answer for a cloud's own machinery, with credentials to whoever asks. Those of
/// 169.254/16 are link-local.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// An address that no event is sent to, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    address: IpAddr,
    rule: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "events are not sent to {}: {}", self.address, self.rule)
    }
}

impl Error for Refused {}

impl Config {
    /// Whether an event may go there.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let inner = embedded(address);
        match self.rule(inner) {
            None => Ok(()),
            Some(rule) => Err(Refused { address, rule }),
        }
    }

    /// Whether an event may go to this host, where it is an address and no name.
    pub(crate) fn check_host(&self, uri: &Uri) -> Result<(), Refused> {
        let host = uri.host().unwrap_or_default();
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        match bare.unwrap_or(host).parse() {
            Ok(address) => self.check(address),
            Err(_) => Ok(()),
        }
    }

    fn rule(&self, address: IpAddr) -> Option<&'static str> {
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        if let Some(rule) = never(address) {
            return Some(rule);
        }
        if within(&self.deny) {
            return Some("deliver.egress.deny holds it");
        }
        if within(&self.allow) {
            return None;
        }
        if !self.loopback && address.is_loopback() {
            return Some("it is this machine, and deliver.egress.loopback is false");
        }
        if !self.private && is_private(address) {
            return Some("it is in a private network, and deliver.egress.private is false");
        }
        None
    }
}

/// The IPv4 address within an IPv6 one that stands for it (RFC 4291 §2.5.5, RFC 6052, RFC 3056).
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else {
        return address;
    };
    let [a, b, c, d, e, f, g, h] = six.segments();
    let four = |high: u16, low: u16| {
        IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => four(g, h),
        // ::1 and :: are themselves
        [0, 0, 0, 0, 0, 0] if g != 0 => four(g, h),
        [0x2002, ..] => four(b, c),
        _ => address,
    }
}

fn never(address: IpAddr) -> Option<&'static str> {
    if METADATA.contains(&address) {
        return Some("it is a cloud's metadata service");
    }
    let is_link_local = match address {
        IpAddr::V4(four) => four.is_link_local(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    };
    if is_link_local {
        return Some("it is link-local, as metadata services are");
    }
    let is_no_host = match address {
        IpAddr::V4(four) => four.octets()[0] == 0 || four.octets()[0] >= 240,
        IpAddr::V6(six) => six.is_unspecified(),
    };
    (is_no_host || address.is_multicast()).then_some("it is not the address of one host")
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [a, b, ..] = four.octets();
            four.is_private() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(six) => six.is_unique_local(),
    }
}

/// The machine's resolver, without the addresses that are refused.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    inner: GaiResolver,
    rules: Arc<Config>,
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unresolved {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Unknown(#[from] io::Error),
}

impl Resolver {
    pub(crate) fn new(rules: Arc<Config>) -> Self {
        Self {
            inner: GaiResolver::new(),
            rules,
        }
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Unresolved;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.inner.call(name);
        let rules = Arc::clone(&self.rules);
        Box::pin(async move { allowed(&rules, found.await?) })
    }
}

/// Those of the addresses that may be connected to.
fn allowed(
    rules: &Config,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<vec::IntoIter<SocketAddr>, Unresolved> {
    let mut allowed = Vec::new();
    let mut refused = None;
    for address in found {
        match rules.check(address.ip()) {
            Ok(()) => allowed.push(address),
            Err(one) => refused = Some(one),
        }
    }
    match refused {
        Some(refused) if allowed.is_empty() => Err(refused.into()),
        Some(_) | None => Ok(allowed.into_iter()),
    }
}

/// Whether an error comes from these rules.
pub(crate) fn refused<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Refused> {
    let mut error = Some(error);
    while let Some(cause) = error {
        if let Some(Unresolved::Refused(refused)) = cause.downcast_ref() {
            return Some(refused);
        }
        error = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(rules: &Config, address: &str) -> bool {
        rules.check(address.parse().unwrap()).is_ok()
    }

    /// Whatever the configuration says, and in whatever form the address is written.
    #[test]
    fn metadata_and_what_is_no_host_are_never_asked() {
        let rules = Config {
            allow: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
            ..Config::default()
        };
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "240.0.0.1",
        ] {
            assert!(!is_allowed(&rules, address), "{address}");
        }
        for address in ["1.1.1.1", "2606:4700::1111", "127.0.0.1", "::1", "10.0.0.1"] {
            assert!(is_allowed(&rules, address), "{address}");
        }
    }

    /// An installation says itself what is inside.
    #[test]
    fn private_networks_are_by_configuration() {
        let closed = Config {
            private: false,
            loopback: false,
            allow: vec!["10.1.0.0/16".parse().unwrap()],
            deny: vec![
                "10.1.9.0/24".parse().unwrap(),
                "1.1.1.1/32".parse().unwrap(),
            ],
        };
        for address in [
            "10.0.0.1",
            "10.1.9.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd01::1",
            "127.0.0.1",
            "::1",
            "::ffff:10.0.0.1",
            "1.1.1.1",
        ] {
            assert!(!is_allowed(&closed, address), "{address}");
            let open = is_allowed(&Config::default(), address);
            assert!(open, "{address} is allowed on one machine and in a cluster");
        }
        for address in ["10.1.0.1", "8.8.8.8", "172.32.0.1", "100.128.0.1"] {
            assert!(is_allowed(&closed, address), "{address}");
        }
    }

    /// A name that leads to both is used for what is allowed.
    #[test]
    fn of_a_names_addresses_the_allowed_are_used() {
        let both: [SocketAddr; 2] = [
            "169.254.169.254:80".parse().unwrap(),
            "1.1.1.1:80".parse().unwrap(),
        ];
        let rules = Config::default();
        let found: Vec<_> = allowed(&rules, both.into_iter()).unwrap().collect();
        assert_eq!(found, both[1..]);
        let error = allowed(&rules, both.into_iter().take(1)).unwrap_err();
        assert!(refused(&error).is_some());
    }
}
