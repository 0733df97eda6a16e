//! Several events in one request (CloudEvents HTTP binding §3.3).
//!
//! Whoever makes attempts makes one for each event; those that are made at once share a request.
//! One that fails is split, so that each event gets an outcome of its own.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tidegate_event::{Event, TraceContext};
use tidegate_telemetry::spans::{Kind, Tracer, What};
use tokio::{sync::oneshot, time::sleep};

use crate::{Client, Outcome, Seen, Sink, client::as_seen, outcome::without_answer};

/// Bytes of data in one request, unless a single event has more.
const DATA_BYTES_MAX: usize = 1 << 20;

/// Gathers events for one sink. Clones share what is gathered.
#[derive(Clone, Debug)]
pub struct Batches(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    sink: Sink,
    size: usize,
    wait: Duration,
    timeout: Duration,
    tracer: Tracer,
    gathered: Mutex<Gathered>,
}

#[derive(Debug, Default)]
struct Gathered {
    members: Vec<Member>,
    bytes: usize,
    /// How many requests were begun: a time that was set for an earlier one means nothing.
    begun: u64,
}

#[derive(Debug)]
struct Member {
    event: Event,
    span: Option<TraceContext>,
    answer: oneshot::Sender<Outcome>,
}

impl Batches {
    /// Requests of at most `size` events, none of which waits longer than `wait` for others. Each
    /// request may take `timeout`.
    pub fn new(
        client: Client,
        sink: Sink,
        (size, wait): (usize, Duration),
        timeout: Duration,
        tracer: Tracer,
    ) -> Self {
        Self(Arc::new(Shared {
            client,
            sink,
            size,
            wait,
            timeout,
            tracer,
            gathered: Mutex::default(),
        }))
    }

    /// One attempt, together with others.
    pub async fn attempt(&self, event: &Event, seen: Seen<'_>) -> Outcome {
        let (answer, answered) = oneshot::channel();
        let (event, span) = (as_seen(event, seen).into_owned(), seen.span);
        self.add(Member {
            event,
            span,
            answer,
        });
        answered.await.unwrap_or_else(|_| {
            without_answer("deliver/transport", "its request was given up".to_owned())
        })
    }

    fn add(&self, member: Member) {
        let mut gathered = self.lock();
        let bytes = member.event.data_len();
        if gathered.bytes + bytes > DATA_BYTES_MAX && !gathered.members.is_empty() {
            self.begin(gathered.take());
        }
        gathered.bytes += bytes;
        gathered.members.push(member);
        if gathered.members.len() >= self.0.size {
            self.begin(gathered.take());
        } else if gathered.members.len() == 1 {
            let (batches, begun) = (self.clone(), gathered.begun);
            tokio::spawn(async move {
                sleep(batches.0.wait).await;
                let mut gathered = batches.lock();
                if gathered.begun == begun {
                    batches.begin(gathered.take());
                }
            });
        }
    }

    /// In a task of its own: whoever waits for one of the events may give up.
    fn begin(&self, members: Vec<Member>) {
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move { shared.deliver(members).await });
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        // Every change is complete before anything in it can panic.
        self.0
            .gathered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathered {
    fn take(&mut self) -> Vec<Member> {
        self.begun += 1;
        self.bytes = 0;
        std::mem::take(&mut self.members)
    }
}

impl Shared {
    /// One request, and more where it fails by what may be the fault of one event.
    fn deliver(&self, mut members: Vec<Member>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            // Another one may be delivered meanwhile, perhaps with what comes after it in order.
            members.retain(|member| !member.answer.is_closed());
            if members.is_empty() {
                return;
            }
            let (client, sink) = (&self.client, &self.sink);
            let events = members.iter().map(|member| &member.event);
            let links = members.iter().filter_map(|member| member.span);
            let begun = self.tracer.begin(links.clone().next());
            let span = begun.map(|begun| begun.context());
            let outcome = client.batch(sink, events, span, self.timeout).await;
            if let Some(begun) = begun {
                self.tracer.end(begun, outcome.failed(), || What {
                    name: "deliver a batch".into(),
                    kind: Kind::Client,
                    attributes: vec![("http.request.method", "POST".into())],
                    links: links.collect(),
                });
            }
            let parts = match split(&outcome) {
                Split::Not => 1,
                Split::Halves => 2,
                Split::Singly => members.len(),
            };
            if parts < 2 || members.len() < 2 {
                for member in members {
                    // Whoever asked may have given up.
                    member.answer.send(outcome.clone()).ok();
                }
                return;
            }
            let size = members.len().div_ceil(parts);
            let mut members = members.into_iter();
            let mut smaller = Vec::new();
            loop {
                let part: Vec<Member> = members.by_ref().take(size).collect();
                if part.is_empty() {
                    break;
                }
                smaller.push(self.deliver(part));
            }
            join_all(smaller).await;
        })
    }
}

/// What follows a request's outcome.
enum Split {
    /// It is that of every event.
    Not,
    /// One half may be taken.
    Halves,
    /// Halves would take as long again, and halves of them.
    Singly,
}

/// Whether one event may be the reason for all: not where the sink was not reached, or says that
/// it is busy, gone, or closed to us.
fn split(outcome: &Outcome) -> Split {
    let failure = match outcome {
        Outcome::Delivered { .. } => return Split::Not,
        Outcome::Retry { failure, .. } | Outcome::Rejected { failure } => failure,
    };
    let status = failure.answer.as_ref().map(|answer| answer.status.as_u16());
    match (failure.code, status) {
        (_, Some(401 | 403..=408 | 410 | 425 | 429 | 502..=504 | 300..=399)) => Split::Not,
        ("deliver/timeout" | "deliver/first-byte-timeout", _) => Split::Singly,
        ("deliver/connect" | "deliver/egress" | "deliver/credentials", _) => Split::Not,
        _ => Split::Halves,
    }
}
