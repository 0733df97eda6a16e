//! The register as a bucket of JetStream's key-value store (ADR-8), so that `nats kv` can show it.

use std::{sync::Arc, time::Duration};

use async_nats::{HeaderMap, Message, Request};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::{
    Jetstream, consumers,
    link::{ApiError, CONTROL_TIMEOUT, Link, MESSAGE_NOT_FOUND},
    presence::{self, JetstreamPresence},
    reply,
    streams::{self, EnsureError},
};
use crate::{
    ControlError,
    register::{DOCUMENT_BYTES_MAX, ENTRY_BYTES_MAX, Register, RegisterError, Registered, Shard},
};

/// JetStream's error codes for a stream that was written meanwhile.
const WRONG_LAST_SEQUENCE: [u64; 2] = [10_071, 10_164];

/// How long the server keeps the consumer that reads.
const FORGET_AFTER: Duration = Duration::from_secs(30);

/// What is told of a failure.
const ACTION: &str = "reading the register";

/// How a bucket says that a value was taken away.
const OPERATION: &str = "KV-Operation";
const DELETED: &str = "DEL";

/// The register beside the events.
#[derive(Clone, Debug)]
pub struct JetstreamRegister {
    link: Arc<Link>,
    bucket: Arc<str>,
    entry_bytes_max: usize,
}

#[derive(Deserialize)]
struct Made {
    name: String,
}

#[derive(Deserialize)]
struct Got {
    message: Kept,
}

#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct Written {
    seq: u64,
}

/// Some of the streams' names.
#[derive(Deserialize)]
struct Names {
    total: usize,
    #[serde(default)]
    streams: Vec<String>,
}

impl Jetstream {
    /// The register of a shard beside the log, made where there is none.
    pub async fn register(&self, shard: Shard) -> Result<JetstreamRegister, EnsureError> {
        self.made(self.register_of(shard)).await
    }

    /// The register of this name beside the log, which is that of no shard; made where there is none.
    pub async fn register_named(&self, name: &str) -> Result<JetstreamRegister, EnsureError> {
        let bucket = format!("{}_{name}", self.shared.config.events.stream);
        let link = Arc::clone(&self.shared.link);
        let register = JetstreamRegister {
            link,
            bucket: bucket.into(),
            entry_bytes_max: DOCUMENT_BYTES_MAX,
        };
        self.made(register).await
    }

    async fn made(&self, register: JetstreamRegister) -> Result<JetstreamRegister, EnsureError> {
        let (stream, subjects) = (
            stream_of(&register.bucket),
            subject_of(&register.bucket, ">"),
        );
        streams::ensure_bucket(&register.link, &self.shared.config, &stream, &subjects).await?;
        Ok(register)
    }

    /// The registers beside the log that there are.
    pub async fn registers(&self) -> Result<Vec<(Shard, JetstreamRegister)>, ControlError> {
        let link = &self.shared.link;
        let (mut shards, mut offset) = (Vec::new(), 0);
        loop {
            let asked = json!({ "offset": offset });
            let names: Result<Names, ApiError> = link.call("STREAM.NAMES", &asked).await;
            let names = names.map_err(|error| error.during(ACTION))?;
            offset += names.streams.len();
            let is_last = names.streams.is_empty() || offset >= names.total;
            let of_shards = names
                .streams
                .iter()
                .filter_map(|stream| Shard::of_name(&stream_of(&self.bucket()), stream));
            shards.extend(of_shards);
            if is_last {
                break;
            }
        }
        let registers = shards.into_iter();
        Ok(registers
            .map(|shard| (shard, self.register_of(shard)))
            .collect())
    }

    fn bucket(&self) -> String {
        format!("{}_REGISTER", self.shared.config.events.stream)
    }

    /// The register of a shard, whether it was made or not: who is seen there is written nowhere.
    pub fn register_of(&self, shard: Shard) -> JetstreamRegister {
        JetstreamRegister {
            link: Arc::clone(&self.shared.link),
            bucket: shard.name(&self.bucket()).into(),
            entry_bytes_max: ENTRY_BYTES_MAX,
        }
    }
}

fn stream_of(bucket: &str) -> String {
    format!("KV_{bucket}")
}

fn subject_of(bucket: &str, name: &str) -> String {
    format!("$KV.{bucket}.{name}")
}

impl JetstreamRegister {
    /// The last value of each name, as the server sends them.
    async fn last_of_each(&self, stream: &str) -> Result<Vec<Message>, ControlError> {
        let failed = |detail: String| ControlError {
            action: ACTION.to_owned(),
            detail,
        };
        let client = self.link.client();
        let inbox = client.new_inbox();
        let subscribed = client.subscribe(inbox.clone()).await;
        let mut messages = subscribed.map_err(|error| failed(error.to_string()))?;
        let config = json!({
            "deliver_policy": "last_per_subject",
            "filter_subject": subject_of(&self.bucket, ">"),
            "deliver_subject": inbox,
            "ack_policy": "none",
            "mem_storage": true,
            "inactive_threshold": u64::try_from(FORGET_AFTER.as_nanos()).unwrap_or(u64::MAX),
        });
        let request = json!({ "stream_name": stream, "config": config });
        let made: Result<Made, ApiError> = self
            .link
            .call(&format!("CONSUMER.CREATE.{stream}"), &request)
            .await;
        let made = made.map_err(|error| error.during(ACTION))?;
        let mut read = Vec::new();
        for number in 1_u64.. {
            let next = timeout(CONTROL_TIMEOUT, messages.next()).await;
            let place = next.ok().flatten().and_then(|message| {
                let place = message.reply.as_deref().and_then(reply::parse);
                read.push(message);
                place
            });
            // What there was no room for is dropped by the client library.
            let Some(place) = place.filter(|place| place.delivery == number) else {
                return Err(failed(format!("it broke off, value {number} is missing")));
            };
            if place.pending == 0 {
                break;
            }
        }
        consumers::remove(&self.link, stream, &made.name).await?;
        Ok(read)
    }
}

// === impl Register ===

impl Register for JetstreamRegister {
    type Presence = JetstreamPresence;

    async fn read(&self) -> Result<Registered, ControlError> {
        let stream = stream_of(&self.bucket);
        // First: what comes after it may be read too, and is not counted on.
        let revision = consumers::last_sequence(&self.link, &stream, ACTION).await?;
        let mut registered = Registered {
            revision,
            ..Registered::default()
        };
        if revision == 0 {
            return Ok(registered);
        }
        let root = subject_of(&self.bucket, "");
        for message in self.last_of_each(&stream).await? {
            let operation = message.headers.as_ref();
            let operation = operation.and_then(|headers| headers.get(OPERATION));
            let value = std::str::from_utf8(&message.payload);
            if let (None, Some(name), Ok(value)) =
                (operation, message.subject.strip_prefix(&root), value)
            {
                registered.values.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(registered)
    }

    async fn revision(&self) -> Result<u64, ControlError> {
        consumers::last_sequence(&self.link, &stream_of(&self.bucket), ACTION).await
    }

    async fn get(&self, name: &str) -> Result<Option<String>, ControlError> {
        let stream = stream_of(&self.bucket);
        let asked = json!({ "last_by_subj": subject_of(&self.bucket, name) });
        let got: Result<Got, ApiError> = self
            .link
            .call(&format!("STREAM.MSG.GET.{stream}"), &asked)
            .await;
        let got = match got {
            Ok(got) => got.message,
            Err(error) if error.code() == Some(MESSAGE_NOT_FOUND) => return Ok(None),
            Err(error) => return Err(error.during(ACTION)),
        };
        let failed = |detail: String| ControlError {
            action: ACTION.to_owned(),
            detail,
        };
        let decoded = |text: &str| {
            let bytes = STANDARD
                .decode(text)
                .map_err(|error| failed(error.to_string()))?;
            String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
        };
        let is_deleted = decoded(&got.hdrs)?.contains(OPERATION);
        let value = decoded(&got.data)?;
        Ok((!is_deleted).then_some(value))
    }

    async fn write(
        &self,
        name: &str,
        value: Option<&str>,
        revision: u64,
    ) -> Result<u64, RegisterError> {
        RegisterError::check(name, value, self.entry_bytes_max)?;
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Sequence", revision.to_string().as_str());
        if value.is_none() {
            headers.insert(OPERATION, DELETED);
        }
        let payload = value.unwrap_or_default().to_owned();
        let request = Request::new().headers(headers).payload(payload.into());
        let subject = subject_of(&self.bucket, name);
        let written: Result<Written, ApiError> = self.link.ask(&subject, request).await;
        match written {
            Ok(written) => Ok(written.seq),
            Err(ApiError::Refused { code, .. }) if WRONG_LAST_SEQUENCE.contains(&code) => {
                Err(RegisterError::Changed { revision })
            }
            Err(error @ ApiError::Refused { .. }) => Err(RegisterError::Refused {
                name: name.to_owned(),
                detail: error.to_string(),
            }),
            Err(ApiError::Unreachable { detail } | ApiError::Unintelligible { detail }) => {
                Err(RegisterError::Unreachable { detail })
            }
        }
    }

    async fn appear(&self, name: &str) -> Result<JetstreamPresence, ControlError> {
        RegisterError::check_presence(name)?;
        presence::appear(&self.link, &presence::subject_of(&self.bucket, name)).await
    }

    async fn look(&self, name: &str, says: Option<u32>) -> Result<bool, ControlError> {
        RegisterError::check_presence(name)?;
        let subject = presence::subject_of(&self.bucket, name);
        presence::is_seen(&self.link, &subject, says).await
    }
}
