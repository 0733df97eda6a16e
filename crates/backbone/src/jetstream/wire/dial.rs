//! Finding a server and being let in.

use std::{io, time::Duration};

use async_nats::ServerAddr;
use bytes::{Buf as _, BytesMut};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{
    super::link::{servers_of, user_of},
    protocol::{self, Op},
};
use crate::Config;

/// Servers that are tried: those of the configuration, and those that they name.
const SERVERS_MAX: usize = 64;

/// Tries servers in turn.
#[derive(Debug)]
pub(super) struct Dialer {
    /// Host and port.
    servers: Vec<(String, u16)>,
    next: usize,
    user: Option<(String, String)>,
    name: String,
    inbox: String,
    patience: Duration,
}

/// A connection that stands, and what has come on it already.
pub(super) struct Dialed {
    pub(super) stream: TcpStream,
    pub(super) rest: BytesMut,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the nats-server wants TLS")]
    NeedsTls,
    #[error("{0}")]
    Io(#[from] io::Error),
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    tls_required: bool,
    #[serde(default)]
    connect_urls: Vec<String>,
}

impl Dialer {
    /// `None` where more is needed than a user and a password.
    pub(super) fn new(config: &Config, url: &str, name: &str, inbox: &str) -> Option<Self> {
        let servers = servers_of(url).ok()?;
        let is_plain = |server: &ServerAddr| server.scheme() == "nats";
        if config.credentials_file.is_some() || !servers.iter().all(is_plain) {
            return None;
        }
        Some(Self {
            user: user_of(&servers),
            servers: servers
                .iter()
                .map(|server| (server.host().to_owned(), server.port()))
                .collect(),
            next: 0,
            name: format!("{name}-append"),
            inbox: inbox.to_owned(),
            patience: config.connect_timeout,
        })
    }

    /// The first server that lets us in, each tried once.
    pub(super) async fn dial(&mut self) -> Result<Dialed, Error> {
        let mut last = Error::Io(io::ErrorKind::NotFound.into());
        for _ in 0..self.servers.len() {
            let at = self.next;
            self.next = (self.next + 1) % self.servers.len();
            let Some((host, port)) = self.servers.get(at).cloned() else {
                continue;
            };
            let dialed = timeout(self.patience, self.enter(&host, port)).await;
            match dialed {
                Ok(Ok(dialed)) => {
                    // The same one again, when the connection is lost.
                    self.next = at;
                    return Ok(dialed);
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = Error::Io(io::ErrorKind::TimedOut.into()),
            }
        }
        Err(last)
    }

    async fn enter(&mut self, host: &str, port: u16) -> Result<Dialed, Error> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut stream = TcpStream::connect((host, port)).await?;
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
        if info.tls_required {
            return Err(Error::NeedsTls);
        }
        self.remember(&info.connect_urls);
        stream.write_all(self.greeting().as_bytes()).await?;
        loop {
            while let Some((op, after)) = protocol::parse(&rest)? {
                if let Op::Error(error) = op {
                    return Err(io::Error::other(format!("nats-server says {error}")).into());
                }
                let is_in = rest.starts_with(protocol::PONG);
                rest.advance(after);
                if is_in {
                    return Ok(Dialed { stream, rest });
                }
            }
            more(&mut stream, &mut rest).await?;
        }
    }

    fn greeting(&self) -> String {
        let mut connect = json!({
            "verbose": false,
            "pedantic": false,
            "tls_required": false,
            "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"),
            "name": self.name,
            "protocol": 1,
            "headers": true,
            "no_responders": true,
        });
        if let (Some((user, password)), Some(connect)) = (&self.user, connect.as_object_mut()) {
            connect.insert("user".to_owned(), user.as_str().into());
            connect.insert("pass".to_owned(), password.as_str().into());
        }
        format!("CONNECT {connect}\r\nSUB {}.* 1\r\nPING\r\n", self.inbox)
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
            let server = (host.to_owned(), port);
            if self.servers.len() < SERVERS_MAX && !self.servers.contains(&server) {
                self.servers.push(server);
            }
        }
    }
}

async fn more(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<()> {
    match stream.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn no_server() -> Error {
    io::Error::other("what answers is no nats-server").into()
}
