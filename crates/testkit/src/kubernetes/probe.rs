//! Whether an HTTPS server says 200: as much of a client as a start has to wait for.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

/// A start answers late, and a stopped process never.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Apart from the runtime.
pub(super) async fn is_ok(
    address: SocketAddr,
    client: &Arc<ClientConfig>,
    path: &str,
    token: &str,
) -> bool {
    let client = Arc::clone(client);
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: \
         close\r\n\r\n"
    );
    tokio::task::spawn_blocking(move || ask(address, client, &request).unwrap_or(false))
        .await
        .unwrap_or(false)
}

fn ask(address: SocketAddr, client: Arc<ClientConfig>, request: &str) -> io::Result<bool> {
    let stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    let name = ServerName::from(address.ip());
    let connection = ClientConnection::new(client, name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(request.as_bytes())?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(&status == b"HTTP/1.1 200")
}
