//! One bare hyper connection to a sink: the cheapest client that is one for real.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::spawn_local};

pub(crate) struct Courier {
    sender: SendRequest<Full<Bytes>>,
    path: Uri,
    host: http::HeaderValue,
}

impl Courier {
    pub(crate) async fn connect(sink: &Sink) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(sink.address).await.context("the sink")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        spawn_local(async move {
            // What goes wrong shows where it is sent.
            connection.await.ok();
        });
        Ok(Self {
            sender,
            path: sink.path.clone(),
            host: sink.host.clone(),
        })
    }

    /// Delivers one event; anything but a 2xx is an error.
    pub(crate) async fn post(&mut self, headers: HeaderMap, data: Bytes) -> anyhow::Result<()> {
        let mut request = Request::new(Full::new(data));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        request
            .headers_mut()
            .insert(http::header::HOST, self.host.clone());
        self.sender.ready().await?;
        let mut response = self.sender.send_request(request).await?;
        let status = response.status();
        ensure!(
            status.is_success(),
            "the run is void, the sink answered {status}"
        );
        while let Some(frame) = response.body_mut().frame().await {
            frame?;
        }
        Ok(())
    }
}

/// Where to.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    path: Uri,
    host: http::HeaderValue,
}

impl std::str::FromStr for Sink {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let rest = url.strip_prefix("http://");
        let rest = rest.context("the sink's URL must begin with http://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self {
            address: host.parse().context("the sink's host must be ip:port")?,
            path: format!("/{path}").parse()?,
            host: host.parse()?,
        })
    }
}
