//! The door's listener: without TLS, or with TLS and nothing else.

use std::{future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::serve::Listener;
use tidegate_tls::Tls;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// How long a handshake may take, as at the other doors.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// Handshakes at once. Others wait in the kernel, at most [`HANDSHAKE_TIME`] for each of these.
const HANDSHAKES_MAX: usize = 256;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// Its address; that of a proxy, where one stands in between.
    pub(super) address: SocketAddr,
    /// Whether it has proved to own a certificate of `admin.tls.client_ca`.
    pub(super) has_certificate: bool,
}

/// A connection, secured or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

type Accepted = (Box<dyn Stream>, Peer);

/// The listener, whose connections are ready for requests.
pub(super) struct Door {
    address: SocketAddr,
    way: Way,
}

enum Way {
    Plain(TcpListener),
    Secured(mpsc::Receiver<Accepted>),
}

impl Door {
    /// Opens it, on a listener that is bound to this address.
    pub(super) fn new(listener: TcpListener, address: SocketAddr, tls: Option<Tls>) -> Self {
        let way = match tls {
            None => Way::Plain(listener),
            Some(tls) => {
                tokio::spawn(tls.clone().watch(|_| (), pending()));
                // One waits for the server, which takes it at once; each handshake's task another.
                let (sender, receiver) = mpsc::channel(1);
                tokio::spawn(secured(listener, tls, sender));
                Way::Secured(receiver)
            }
        };
        Self { address, way }
    }
}

impl Listener for Door {
    type Io = Box<dyn Stream>;
    type Addr = Peer;

    async fn accept(&mut self) -> Accepted {
        match &mut self.way {
            Way::Plain(listener) => {
                let (stream, address) = Listener::accept(listener).await;
                let has_certificate = false;
                let peer = Peer {
                    address,
                    has_certificate,
                };
                (Box::new(stream), peer)
            }
            Way::Secured(accepted) => match accepted.recv().await {
                Some(accepted) => accepted,
                // Its task goes on as long as this does.
                None => pending().await,
            },
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer {
            address: self.address,
            has_certificate: false,
        })
    }
}

/// Shakes hands with each connection in a task of its own: a slow one holds up nobody.
async fn secured(mut listener: TcpListener, tls: Tls, accepted: mpsc::Sender<Accepted>) {
    let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let (stream, address) = Listener::accept(&mut listener).await;
        let (tls, accepted) = (tls.clone(), accepted.clone());
        tokio::spawn(async move {
            match shaken(&tls, stream, address).await {
                // An error means that the door is gone.
                Ok(connection) => drop(accepted.send(connection).await),
                Err(error) => tracing::debug!(%address, %error, "handshake failed"),
            }
            drop(permit);
        });
    }
}

async fn shaken(tls: &Tls, stream: TcpStream, address: SocketAddr) -> io::Result<Accepted> {
    let acceptor = TlsAcceptor::from(tls.server_config());
    let stream = timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await??;
    let (_, session) = stream.get_ref();
    let certificates = session.peer_certificates();
    let peer = Peer {
        address,
        has_certificate: certificates.is_some_and(|chain| !chain.is_empty()),
    };
    Ok((Box::new(stream), peer))
}
