//! Listeners: of each kind one per thread on the same port, so that the kernel spreads connections.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{Config, FileError, SharedLimits, Tls};

/// Connections that wait in the kernel for one listener. Linux cuts it to its own
/// `net.core.somaxconn`, 4,096 by default.
const BACKLOG: i32 = 1_024;

/// Bound listeners, before anything is served.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listeners>,
    local_addr: SocketAddr,
    tls_addr: Option<SocketAddr>,
    tls: Option<Tls>,
    limits: SharedLimits,
}

/// The listeners of one thread.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) plain: TcpListener,
    pub(crate) tls: Option<(TcpListener, Tls)>,
}

/// Why the doors cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// One of the addresses cannot be listened on.
    #[error("receive.{key}: cannot listen on {address}")]
    Listen {
        /// The key of the address.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the TLS listener cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Server {
    /// Reads the files of TLS and binds the listeners of each thread.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        let tls = config
            .tls
            .listen
            .map(|address| Tls::new(&config.tls).map(|tls| (address, tls)))
            .transpose()?;
        let threads = config.threads();
        let (local_addr, plain) = listeners("listen", config.listen, threads)?;
        let (tls_addr, tls, secured) = match tls {
            None => (None, None, Vec::new()),
            Some((address, tls)) => {
                let (address, listeners) = listeners("tls.listen", address, threads)?;
                (Some(address), Some(tls), listeners)
            }
        };
        let mut secured = secured.into_iter();
        let listeners = plain
            .into_iter()
            .map(|plain| Listeners {
                plain,
                tls: secured.next().zip(tls.clone()),
            })
            .collect();
        Ok(Self {
            listeners,
            local_addr,
            tls_addr,
            tls,
            limits: SharedLimits::new(config),
        })
    }

    /// The address, with the port that was taken for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The address over TLS, with the port that was taken for port 0.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls_addr
    }

    /// What the TLS listeners share. [`Tls::watch`] must run for changed files to be noticed.
    pub fn tls(&self) -> Option<Tls> {
        self.tls.clone()
    }

    /// The limits that all threads share.
    pub fn limits(&self) -> SharedLimits {
        self.limits.clone()
    }

    /// The listeners, for each thread its own. All of them must be served: the kernel sends
    /// connections to each.
    pub fn into_listeners(self) -> Vec<Listeners> {
        self.listeners
    }
}

/// A listener for each thread, all on one address.
fn listeners(
    key: &'static str,
    address: SocketAddr,
    threads: usize,
) -> Result<(SocketAddr, Vec<TcpListener>), BindError> {
    let bind = || {
        probe(address)?;
        let first = listener(address)?;
        let local_addr = first.local_addr()?;
        let mut listeners = vec![first];
        for _ in 1..threads {
            listeners.push(listener(local_addr)?);
        }
        Ok((local_addr, listeners))
    };
    bind().map_err(|source| BindError::Listen {
        key,
        address,
        source,
    })
}

/// Fails when somebody listens there already. Sockets that share a port can be bound beside those
/// of another process of the same user; two gateways would then split the traffic unnoticed.
fn probe(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = socket(address)?;
    socket.bind(&address.into())
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Without it, connections of a process that has just ended keep the port for a minute.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn config(port: u16) -> Config {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Config {
            listen,
            threads: 3,
            ..Config::default()
        }
    }

    /// Every thread must be reachable at the one address that is told.
    #[test]
    fn all_listeners_share_the_port_that_was_taken() {
        let server = Server::bind(&config(0)).unwrap();
        let address = server.local_addr();
        assert_ne!(address.port(), 0);
        let listeners = server.into_listeners();
        assert_eq!(listeners.len(), 3);
        assert!(
            listeners
                .iter()
                .all(|listener| listener.plain.local_addr().unwrap() == address)
        );
    }

    /// A second gateway on the same port must not take half of the traffic.
    #[test]
    fn a_port_that_somebody_listens_on_is_refused() {
        let first = Server::bind(&config(0)).unwrap();
        let error = Server::bind(&config(first.local_addr().port())).unwrap_err();
        assert!(
            matches!(&error, BindError::Listen { key: "listen", source, .. }
                if source.kind() == io::ErrorKind::AddrInUse),
            "{error:?}"
        );
    }
}
