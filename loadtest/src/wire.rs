//! A NATS connection by hand: what it costs is the socket and little else.
//!
//! One task writes what others append, so that all which comes up in one turn of the runtime goes
//! out in one write. Reconnecting is not for a tool: a lost connection ends the run.

pub(crate) mod frame;
pub(crate) mod outbox;

use std::rc::Rc;

use anyhow::{Context, bail};
use async_nats::ServerAddr;
use bytes::{Buf, BytesMut};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedReadHalf},
    task::spawn_local,
};

use self::{
    frame::{Frame, Message},
    outbox::Outbox,
};

/// What is read at once at most; acknowledgements have about 100 bytes.
const READ_BYTES: usize = 256 << 10;

/// What the server says of itself is cut here.
const GREETING_BYTES_MAX: usize = 64 << 10;

pub(crate) struct Wire {
    pub(crate) outbox: Rc<Outbox>,
    reader: OwnedReadHalf,
    buffer: BytesMut,
}

impl Wire {
    /// Connects, and writes what is appended from now on.
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        let server: ServerAddr = url.parse().context("the url of NATS")?;
        let mut stream = TcpStream::connect((server.host(), server.port()))
            .await
            .context("cannot connect to NATS")?;
        stream.set_nodelay(true)?;
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        said(&mut stream, &mut buffer, b"INFO ").await?;
        let hello = json!({
            "verbose": false, "pedantic": false, "lang": "rust", "version": "0", "protocol": 1,
            "headers": true, "no_responders": true, "name": "loadtest",
            "user": server.username(), "pass": server.password(),
        });
        let hello = format!("CONNECT {hello}\r\nPING\r\n");
        stream.write_all(hello.as_bytes()).await?;
        said(&mut stream, &mut buffer, b"PONG").await?;
        let (reader, writer) = stream.into_split();
        let outbox = Rc::new(Outbox::default());
        let drained = Rc::clone(&outbox);
        spawn_local(async move {
            // A connection that is lost shows on the side that reads.
            drained.drain(writer).await.ok();
        });
        Ok(Self {
            outbox,
            reader,
            buffer,
        })
    }

    /// Reads once and tells of each message in it.
    pub(crate) async fn read(
        &mut self,
        mut each: impl FnMut(Message<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.buffer.reserve(READ_BYTES);
        if self.reader.read_buf(&mut self.buffer).await? == 0 {
            bail!("NATS closed the connection");
        }
        let mut done = 0;
        while let Some((frame, bytes)) = frame::next(self.buffer.get(done..).unwrap_or_default())? {
            done += bytes;
            match frame {
                Frame::Message(message) => each(message)?,
                Frame::Ping => self
                    .outbox
                    .append(|bytes| bytes.extend_from_slice(b"PONG\r\n")),
                Frame::Nothing => {}
            }
        }
        self.buffer.advance(done);
        Ok(())
    }
}

/// Reads lines until one begins so; what is behind it stays.
async fn said(stream: &mut TcpStream, buffer: &mut BytesMut, begins: &[u8]) -> anyhow::Result<()> {
    loop {
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line = buffer.split_to(end + 1);
            if line.starts_with(b"-ERR") {
                bail!("NATS refuses: {}", String::from_utf8_lossy(&line).trim());
            }
            if line.starts_with(begins) {
                return Ok(());
            }
        }
        if buffer.len() > GREETING_BYTES_MAX {
            bail!("this is no nats-server");
        }
        if stream.read_buf(buffer).await? == 0 {
            bail!("NATS closed the connection");
        }
    }
}
