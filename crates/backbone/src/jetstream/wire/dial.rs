//! Finding a server and being let in.

use std::{io, net::IpAddr, time::Duration};

use async_nats::ServerAddr;
use bytes::{Buf as _, BytesMut};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::{
    super::{
        ConnectError,
        link::{servers_of, user_of},
    },
    credentials::Credentials,
    protocol::{self, Op},
    tls,
};
use crate::Config;

/// Servers that are tried: those of the configuration, and those that they name.
const SERVERS_MAX: usize = 64;

/// Tries servers in turn.
#[derive(Debug)]
pub(super) struct Dialer {
    servers: Vec<Server>,
    next: usize,
    user: Option<(String, String)>,
    credentials: Option<Credentials>,
    wants_tls: bool,
    trust: tls::Trust,
    name: String,
    patience: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    host: String,
    port: u16,
    /// What its certificate has to be for.
    named: String,
}

/// A connection that stands, and what has come on it already.
pub(super) struct Dialed {
    pub(super) socket: Socket,
    pub(super) rest: BytesMut,
}

/// What a connection goes over.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    tls_required: bool,
    #[serde(default)]
    nonce: String,
    #[serde(default)]
    connect_urls: Vec<String>,
}

impl Dialer {
    pub(super) fn new(config: &Config, url: &str, name: &str) -> Result<Self, ConnectError> {
        let servers = servers_of(url)?;
        let credentials = match &config.credentials_file {
            None => None,
            Some(file) => Some(Credentials::read(file)?),
        };
        Ok(Self {
            user: user_of(&servers),
            credentials,
            wants_tls: servers.iter().any(|server| server.scheme() == "tls"),
            trust: tls::Trust::new(config.ca_file.clone()),
            servers: servers.iter().map(Server::of).collect(),
            next: 0,
            name: name.to_owned(),
            patience: config.connect_timeout,
        })
    }

    /// The first server that lets us in, each tried once. `subscriptions` are made there.
    pub(super) async fn dial(&mut self, subscriptions: &str) -> io::Result<Dialed> {
        let mut last = io::ErrorKind::NotFound.into();
        for _ in 0..self.servers.len() {
            let at = self.next;
            self.next = (self.next + 1) % self.servers.len();
            let Some(server) = self.servers.get(at).cloned() else {
                continue;
            };
            match timeout(self.patience, self.enter(&server, subscriptions)).await {
                Ok(Ok(dialed)) => {
                    // The same one again, when the connection is lost.
                    self.next = at;
                    return Ok(dialed);
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }

    async fn enter(&mut self, server: &Server, subscriptions: &str) -> io::Result<Dialed> {
        let mut stream = TcpStream::connect((&*server.host, server.port)).await?;
        stream.set_nodelay(true)?;
        let mut rest = BytesMut::new();
        let info = loop {
            if let Some((line, after)) = protocol::line(&rest)? {
                let info = line.strip_prefix("INFO ").ok_or_else(no_server)?;
                let info: Info = serde_json::from_str(info).map_err(io::Error::other)?;
                rest.advance(after);
                break info;
            }
            more(&mut stream, &mut rest).await?;
        };
        self.remember(&info.connect_urls);
        let greeting = format!("{}{subscriptions}PING\r\n", self.hello(&info)?);
        let socket = if info.tls_required || self.wants_tls {
            // Nothing but the greeting comes in the clear.
            rest.clear();
            let mut stream = self.trust.secure(stream, &server.named).await?;
            greet(&mut stream, &mut rest, &greeting).await?;
            Socket::Tls(Box::new(stream))
        } else {
            greet(&mut stream, &mut rest, &greeting).await?;
            Socket::Plain(stream)
        };
        Ok(Dialed { socket, rest })
    }

    fn hello(&self, info: &Info) -> io::Result<String> {
        let mut connect = json!({
            "verbose": false,
            "pedantic": false,
            "tls_required": self.wants_tls,
            "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"),
            "name": self.name,
            "protocol": 1,
            "headers": true,
            "no_responders": true,
        });
        let mut say = |field: &str, value: &str| {
            if let Some(connect) = connect.as_object_mut() {
                connect.insert(field.to_owned(), value.into());
            }
        };
        if let Some((user, password)) = &self.user {
            say("user", user);
            say("pass", password);
        }
        if let Some(credentials) = &self.credentials {
            say("jwt", credentials.jwt());
            say("sig", &credentials.sign(&info.nonce)?);
        }
        Ok(format!("CONNECT {connect}\r\n"))
    }

    /// The others of a cluster.
    fn remember(&mut self, urls: &[String]) {
        for url in urls {
            let Some((host, port)) = url.rsplit_once(':') else {
                continue;
            };
            let Ok(port) = port.parse() else {
                continue;
            };
            let host = without_brackets(host);
            // Certificates are for names; addresses are told instead.
            let named = match (host.parse::<IpAddr>(), self.servers.first()) {
                (Ok(_), Some(first)) => first.named.clone(),
                (Ok(_), None) | (Err(_), _) => host.to_owned(),
            };
            let is_known = |server: &Server| server.host == host && server.port == port;
            if self.servers.len() < SERVERS_MAX && !self.servers.iter().any(is_known) {
                let host = host.to_owned();
                self.servers.push(Server { host, port, named });
            }
        }
    }
}

impl Server {
    fn of(server: &ServerAddr) -> Self {
        let host = without_brackets(server.host()).to_owned();
        Self {
            named: host.clone(),
            host,
            port: server.port(),
        }
    }
}

/// An IPv6 address as it stands outside of URLs.
fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Introduces us and waits until we are let in.
async fn greet<S>(stream: &mut S, rest: &mut BytesMut, greeting: &str) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(greeting.as_bytes()).await?;
    stream.flush().await?;
    loop {
        while let Some((op, after)) = protocol::parse(rest)? {
            if let Op::Error(error) = op {
                return Err(io::Error::other(format!("nats-server says {error}")));
            }
            let is_in = op == Op::Pong;
            rest.advance(after);
            if is_in {
                return Ok(());
            }
        }
        more(stream, rest).await?;
    }
}

async fn more(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<()> {
    match stream.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn no_server() -> io::Error {
    io::Error::other("what answers is no nats-server")
}
