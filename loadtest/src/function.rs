//! The far end of deliveries: answers 204 after as long as it is told, and may go away and come back.

use std::{net::SocketAddr, rc::Rc, time::Duration};

use socket2::Socket;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet, spawn_local},
};

use crate::listen::{self, BACKLOG};

/// How it treats what comes: by path and event id, how long it takes.
pub(crate) trait Manner: 'static {
    /// One has come; how long it takes.
    fn arrived(&self, path: &str, id: &str) -> Duration;
    /// It is answered.
    fn answered(&self) {}
}

/// Listens until the end of the thread's tasks.
pub(crate) async fn listen(manner: Rc<impl Manner>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    spawn_local(accept(listener, manner));
    Ok(address)
}

async fn accept(listener: TcpListener, manner: Rc<impl Manner>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let manner = Rc::clone(&manner);
                connections.spawn_local(async move {
                    // A sender that goes away has its reasons.
                    serve(stream, &*manner).await.ok();
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A far end with an address of its own, which refuses connections while it is away.
pub(crate) struct Outlet<M> {
    pub(crate) address: SocketAddr,
    manner: Rc<M>,
    is: Presence,
}

enum Presence {
    There(JoinHandle<()>),
    /// The port is kept, and nobody listens.
    Away(Socket),
}

impl<M: Manner> Outlet<M> {
    /// It is there.
    pub(crate) fn open(manner: Rc<M>) -> anyhow::Result<Self> {
        let socket = listen::bound(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = socket.local_addr()?.as_socket();
        let mut outlet = Self {
            address: address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            manner,
            is: Presence::Away(socket),
        };
        outlet.come_back()?;
        Ok(outlet)
    }

    /// Closes its connections, and takes no more.
    pub(crate) async fn go_away(&mut self) -> anyhow::Result<()> {
        if let Presence::There(task) = &mut self.is {
            task.abort();
            // Aborted is how it ends; then the port is free.
            task.await.ok();
            self.is = Presence::Away(listen::bound(self.address)?);
        }
        Ok(())
    }

    pub(crate) fn come_back(&mut self) -> anyhow::Result<()> {
        if let Presence::Away(socket) = &self.is {
            socket.listen(BACKLOG)?;
            let listener = TcpListener::from_std(socket.try_clone()?.into())?;
            let manner = Rc::clone(&self.manner);
            self.is = Presence::There(spawn_local(accept(listener, manner)));
        }
        Ok(())
    }
}

async fn serve(mut stream: TcpStream, manner: &impl Manner) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let Some(head) = end_of_head(&buffer) else {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let text = String::from_utf8_lossy(buffer.get(..head).unwrap_or_default()).into_owned();
        let path = text.split(' ').nth(1).unwrap_or_default();
        let field = |name: &str| {
            let fields = text.lines().filter_map(|line| line.split_once(": "));
            let mut found = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
            found.next().map_or("", |(_, value)| value)
        };
        let length: usize = field("content-length").parse().unwrap_or(0);
        while buffer.len() < head + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let takes = manner.arrived(path, field("ce-id"));
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        manner.answered();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
        buffer.drain(..head + length);
    }
}

fn end_of_head(buffer: &[u8]) -> Option<usize> {
    let mut windows = buffer.windows(4);
    windows
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpStream, task::LocalSet};

    use super::*;

    struct AtOnce;

    impl Manner for AtOnce {
        fn arrived(&self, _path: &str, _id: &str) -> Duration {
            Duration::ZERO
        }
    }

    /// Connections that were open end, new ones are refused, and it comes back where it was.
    #[tokio::test]
    async fn an_outlet_goes_away_and_comes_back() {
        let tasks = LocalSet::new();
        let test = async {
            let mut outlet = Outlet::open(Rc::new(AtOnce)).unwrap();
            let mut open = TcpStream::connect(outlet.address).await.unwrap();
            open.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
            let mut answer = [0; 12];
            open.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 204");
            outlet.go_away().await.unwrap();
            // The end, or a reset where something was unread.
            open.read_to_end(&mut Vec::new()).await.ok();
            assert!(TcpStream::connect(outlet.address).await.is_err());
            outlet.come_back().unwrap();
            assert!(TcpStream::connect(outlet.address).await.is_ok());
        };
        tasks.run_until(test).await;
    }
}
