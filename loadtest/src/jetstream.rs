//! The events stream: what is stored, and how fast it takes messages without anything before it.

use std::time::{Duration, Instant};

use anyhow::Context;
use async_nats::{Client, ConnectOptions, ServerAddr, jetstream};
use futures_util::StreamExt;

use crate::Publish;

/// Messages that wait for their acknowledgement: JetStream is at its fastest from about here on.
const WINDOW: usize = 1_024;

pub(crate) struct Stream {
    client: Client,
    context: jetstream::Context,
    name: String,
    subject: String,
}

impl Stream {
    pub(crate) async fn open(url: &str, arguments: &Publish) -> anyhow::Result<Self> {
        let server: ServerAddr = url.parse().context("--nats")?;
        let mut options = ConnectOptions::new();
        if let (Some(user), Some(password)) = (server.username(), server.password()) {
            options = options.user_and_password(user.to_owned(), password.to_owned());
        }
        let client = options.connect(server).await.context("--nats")?;
        let context = jetstream::new(client.clone());
        let (name, subject) = (arguments.stream.clone(), arguments.subject.clone());
        Ok(Self {
            client,
            context,
            name,
            subject,
        })
    }

    pub(crate) async fn last_sequence(&self) -> anyhow::Result<u64> {
        let stream = self
            .context
            .get_stream(&self.name)
            .await
            .context("the events stream")?;
        Ok(stream.cached_info().state.last_sequence)
    }

    /// Messages a second when published straight to JetStream, acknowledged, pipelined.
    pub(crate) async fn baseline(&self, bytes: usize, time: Duration) -> anyhow::Result<f64> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await?;
        let payload = bytes::Bytes::from(vec![b'x'; bytes]);
        let (mut sent, mut acknowledged) = (0_usize, 0_usize);
        let began = Instant::now();
        while began.elapsed() < time || acknowledged < sent {
            while sent < acknowledged + WINDOW && began.elapsed() < time {
                let (subject, inbox) = (self.subject.clone(), inbox.clone());
                self.client
                    .publish_with_reply(subject, inbox, payload.clone())
                    .await?;
                sent += 1;
            }
            let answer = tokio::time::timeout(Duration::from_secs(10), answers.next()).await;
            let answer = answer
                .context("no acknowledgement")?
                .context("the connection was closed")?;
            anyhow::ensure!(
                !answer
                    .payload
                    .windows(8)
                    .any(|window| window == b"\"error\":"),
                "the baseline is void: {}",
                String::from_utf8_lossy(&answer.payload)
            );
            acknowledged += 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = acknowledged as f64 / began.elapsed().as_secs_f64();
        Ok(rate)
    }
}
