//! The far end of deliveries: answers 204 after as long as it is told.

use std::{net::SocketAddr, rc::Rc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::spawn_local,
};

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
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let manner = Rc::clone(&manner);
            spawn_local(async move {
                // A sender that goes away has its reasons.
                serve(stream, &*manner).await.ok();
            });
        }
    });
    Ok(address)
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
