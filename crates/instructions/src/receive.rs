//! `receive`: requests through the doors, on one connection that stays. What the kernel does for
//! it is not counted.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use prometheus_client::registry::Registry;
use tidegate_event::{Event, json};
use tidegate_receive::{
    Accepted, Admitted, Config, Head, Intake, Metrics, Refusal, Server, SubscribedType, serve,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

use crate::{case::Case, publish::block_on, sample};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "receive.binary",
        times: 500,
        work: |times| receive(times, &binary(&sample::event(0))),
    },
    Case {
        name: "receive.structured",
        times: 500,
        work: |times| receive(times, &structured(&sample::event(0))),
    },
];

/// Takes everything.
#[derive(Clone)]
struct Taking;

impl Intake for Taking {
    type Pass = Head;

    async fn admit(&self, pass: Head) -> Result<Admitted<Head>, Refusal> {
        Ok(Admitted {
            pass,
            body_bytes_max: None,
        })
    }

    async fn accept(&self, _: Head, _: Bytes) -> Result<Accepted, Refusal> {
        Ok(Accepted {
            first_id: "1".into(),
            events: 1,
            status: None,
        })
    }

    async fn subscribed(&self, _: Head) -> Result<Vec<SubscribedType>, Refusal> {
        Ok(Vec::new())
    }

    async fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

fn binary(event: &Event) -> Vec<u8> {
    let mut head = head();
    tidegate_event::nats::encode(event, |name, value| {
        let name = match name {
            "ce-datacontenttype" => "content-type",
            attribute => attribute,
        };
        head.push_str(&format!("{name}: {value}\r\n"));
    });
    head.push_str("ce-specversion: 1.0\r\n");
    with_body(head, event.data.as_deref().unwrap_or_default())
}

fn structured(event: &Event) -> Vec<u8> {
    let content_type = "content-type: application/cloudevents+json\r\n";
    with_body(head() + content_type, &json::encode(event))
}

fn head() -> String {
    "POST /publish HTTP/1.1\r\nhost: gateway.shop\r\nuser-agent: SAP NetWeaver\r\n".to_owned()
}

fn with_body(head: String, body: &[u8]) -> Vec<u8> {
    let mut request = head + &format!("content-length: {}\r\n\r\n", body.len());
    request.reserve(body.len());
    [request.as_bytes(), body].concat()
}

fn receive(times: u32, request: &[u8]) {
    let config = Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        threads: 1,
        ..Config::default()
    };
    let server = Server::bind(&config).expect("a free port");
    let (address, limits) = (server.local_addr(), server.limits());
    let listeners = server.into_listeners().pop().expect("one thread's");
    let metrics = Metrics::register(&mut Registry::default());
    block_on(async {
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let served = serve(listeners, config, Taking, metrics, limits, stopped);
        let served = tokio::spawn(served);
        let mut connection = TcpStream::connect(address).await.expect("it listens");
        connection.set_nodelay(true).expect("it is open");
        // The answers are short and alike, and no request is sent before the last one's is here.
        let mut answer = [0; 1_024];
        for _ in 0..times {
            connection.write_all(request).await.expect("it takes it");
            let length = connection.read(&mut answer).await.expect("it answers");
            let answer = answer.get(..length).unwrap_or_default();
            assert!(
                answer.starts_with(b"HTTP/1.1 204 "),
                "{}",
                answer.escape_ascii()
            );
        }
        drop((connection, stop));
        served.await.expect("it ends");
    });
}
