//! Listeners: one per thread on the same port, so that the kernel spreads connections.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{Config, SharedLimits};

/// Connections that wait in the kernel for one listener. Linux cuts it to its own
/// `net.core.somaxconn`, 4,096 by default.
const BACKLOG: i32 = 1_024;

/// Bound listeners, before anything is served.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    local_addr: SocketAddr,
    limits: SharedLimits,
}

impl Server {
    /// Binds one listener per thread.
    pub fn bind(config: &Config) -> io::Result<Self> {
        probe(config.listen)?;
        let first = listener(config.listen)?;
        let local_addr = first.local_addr()?;
        let mut listeners = vec![first];
        for _ in 1..config.threads() {
            listeners.push(listener(local_addr)?);
        }
        Ok(Self {
            listeners,
            local_addr,
            limits: SharedLimits::new(config),
        })
    }

    /// The address, with the port that was taken for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The limits that all threads share.
    pub fn limits(&self) -> SharedLimits {
        self.limits.clone()
    }

    /// The listeners, one for each thread. All of them must be served: the kernel sends
    /// connections to each.
    pub fn into_listeners(self) -> Vec<TcpListener> {
        self.listeners
    }
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
                .all(|listener| listener.local_addr().unwrap() == address)
        );
    }

    /// A second gateway on the same port must not take half of the traffic.
    #[test]
    fn a_port_that_somebody_listens_on_is_refused() {
        let first = Server::bind(&config(0)).unwrap();
        let error = Server::bind(&config(first.local_addr().port())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
