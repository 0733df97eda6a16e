//! The events stream: what is stored there, and one for the reference to store in.

use std::time::Duration;

use anyhow::Context;
use async_nats::{
    ConnectOptions, ServerAddr,
    jetstream::{self, stream},
};

/// As Tidegate's, so that both do the same work.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);
const SIZE_MAX: i64 = 4 << 30;

/// Connects with what the URL says.
pub(crate) async fn connect(url: &str) -> anyhow::Result<jetstream::Context> {
    let server: ServerAddr = url.parse().context("--nats")?;
    let mut options = ConnectOptions::new();
    if let (Some(user), Some(password)) = (server.username(), server.password()) {
        options = options.user_and_password(user.to_owned(), password.to_owned());
    }
    let client = options.connect(server).await.context("--nats")?;
    Ok(jetstream::new(client))
}

/// Makes the stream if it is not there.
pub(crate) async fn ensure(
    context: &jetstream::Context,
    name: &str,
    root: &str,
) -> anyhow::Result<()> {
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![format!("{root}.>")],
        discard: stream::DiscardPolicy::New,
        max_bytes: SIZE_MAX,
        duplicate_window: DUPLICATE_WINDOW,
        allow_direct: true,
        ..stream::Config::default()
    };
    let made = context.get_or_create_stream(config).await;
    made.with_context(|| format!("the stream {name}"))?;
    Ok(())
}

/// A stream that is looked at.
#[derive(Clone)]
pub(crate) struct Stream {
    context: jetstream::Context,
    pub(crate) name: String,
}

impl Stream {
    pub(crate) async fn open(url: &str, name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            context: connect(url).await?,
            name: name.to_owned(),
        })
    }

    async fn stream(&self) -> anyhow::Result<stream::Stream> {
        let stream = self.context.get_stream(&self.name).await;
        stream.with_context(|| format!("the stream {}", self.name))
    }

    pub(crate) async fn last_sequence(&self) -> anyhow::Result<u64> {
        Ok(self.state().await?.last_sequence)
    }

    /// What it holds now.
    pub(crate) async fn state(&self) -> anyhow::Result<stream::State> {
        Ok(self.stream().await?.cached_info().state.clone())
    }

    /// Deletes all messages.
    pub(crate) async fn purge(&self) -> anyhow::Result<()> {
        self.stream().await?.purge().await.context("purging")?;
        Ok(())
    }
}
