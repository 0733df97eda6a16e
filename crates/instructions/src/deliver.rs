//! `deliver`: attempts at a sink that takes everything, on a connection that stays. What the
//! kernel does for it is not counted; the sink's reading is.

use std::{net::Ipv4Addr, time::Duration};

use prometheus_client::registry::Registry;
use tidegate_deliver::{Client, Config, Metrics, Outcome, Seen, Sink};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{case::Case, publish::block_on, sample};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "deliver.binary",
        times: 500,
        work: |times| deliver(times, |sink| sink),
    },
    Case {
        name: "deliver.structured",
        times: 500,
        work: |times| deliver(times, Sink::structured),
    },
];

/// Longer than it takes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How a request ends, in either format: with the end of the data, or of the event around it.
const ENDS: [&[u8]; 2] = [b"}]}", b"}]}}"];

const ANSWER: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";

/// Reads requests that fit one buffer, and takes them.
async fn serve(listener: TcpListener) {
    let (mut connection, _) = listener.accept().await.expect("a connection");
    connection.set_nodelay(true).expect("it is open");
    let mut request = [0; 8_192];
    let mut length = 0;
    loop {
        let room = request.get_mut(length..).unwrap_or_default();
        match connection.read(room).await {
            Ok(0) | Err(_) => return,
            Ok(read) => length += read,
        }
        let so_far = request.get(..length).unwrap_or_default();
        if ENDS.iter().any(|end| so_far.ends_with(end)) {
            length = 0;
            connection.write_all(ANSWER).await.expect("it is read");
        }
    }
}

fn deliver(times: u32, form: fn(Sink) -> Sink) {
    let event = sample::event(0);
    block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(serve(listener));
        let sink = form(Sink::new(&format!("http://{address}/")).expect("an address"));
        let metrics = Metrics::register(&mut Registry::default());
        let client = Client::new(&Config::default(), metrics).expect("a client");
        for _ in 0..times {
            let outcome = client
                .attempt(&sink, &event, Seen::default(), TIMEOUT)
                .await;
            let is_delivered = matches!(outcome, Outcome::Delivered { .. });
            assert!(is_delivered, "{outcome:?}");
        }
    });
}
