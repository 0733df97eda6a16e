//! Listeners that share a port, one for each thread: the kernel spreads connections over them.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait in the kernel for one listener.
pub(crate) const BACKLOG: i32 = 1_024;

/// So many on one address, which may name port 0.
pub(crate) fn listeners(
    address: SocketAddr,
    count: usize,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    // Without sharing first: somebody who listens there already must not share with us unseen.
    socket(address)?.bind(&address.into())?;
    let first = listener(address)?;
    let address = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..count {
        all.push(listener(address)?);
    }
    Ok((address, all))
}

/// Keeps the address; who connects is refused until somebody listens.
pub(crate) fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(address)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
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
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_share_a_port_and_leave_no_room_for_others() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (address, all) = listeners(any, 2).unwrap();
        assert!(all.iter().all(|one| one.local_addr().unwrap() == address));
        assert!(listeners(address, 1).is_err());
    }
}
