//! `spec.delivery`.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;
use tidegate_document::{Mistakes, line_of};

use super::{credentials, headers, sink};
use crate::{
    Topic,
    delivery::{
        Backoff, DeadLetter, Delivery, Format, MAX_IN_FLIGHT_DEFAULT, MAX_IN_FLIGHT_MAX,
        MAX_IN_FLIGHT_OF_TOPIC, OnDeadLetter, Order, Retry,
    },
};

/// Longest timeout of an attempt: a Function that works for an hour is better off with a queue of
/// its own.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// Longest delay between attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(24 * 3600);

/// Most attempts: at the longest delay of the default these are weeks.
const ATTEMPTS_MAX: u32 = 10_000;

const TWO: NonZeroU32 = NonZeroU32::new(2).expect("2 is not 0");

/// Most events in one request.
const BATCH_SIZE_MAX: u32 = 1_000;

/// How long an event may wait for others.
const BATCH_WAIT_MAX: Duration = Duration::from_secs(60);

/// Most attempts a second that a limit can say; above, it is none.
const RATE_MAX: u32 = 1_000_000;

/// How events get to the sink.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
#[schemars(rename = "Delivery")]
pub(super) struct Spec {
    /// How long an attempt may take, such as `30s`; at most an hour.
    #[schemars(with = "Option<String>")]
    timeout: Option<Spanned<String>>,
    retry: RetrySpec,
    /// Most attempts at once.
    #[schemars(with = "Option<i64>", range(min = 1, max = MAX_IN_FLIGHT_MAX))]
    max_in_flight: Option<Spanned<i64>>,
    /// How an event is put into a request.
    #[schemars(with = "Option<FormatSpec>")]
    format: Option<Spanned<FormatSpec>>,
    /// Header fields of every request, beside the event's.
    #[schemars(with = "BTreeMap<String, String>")]
    headers: BTreeMap<String, Spanned<String>>,
    dead_letter: DeadLetterSpec,
    order: Option<OrderSpec>,
    /// At most so many attempts a second.
    #[schemars(with = "Option<i64>", range(min = 1, max = RATE_MAX))]
    rate_limit: Option<Spanned<i64>>,
    #[schemars(with = "Option<credentials::AuthSpec>")]
    auth: Option<Spanned<credentials::AuthSpec>>,
    signing: Option<credentials::SigningSpec>,
    webhook: Option<credentials::WebHookSpec>,
    #[schemars(with = "Option<credentials::TlsSpec>")]
    tls: Option<Spanned<credentials::TlsSpec>>,
}

/// What follows a failed attempt. What is not set is as the configuration has it.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
#[schemars(rename = "Retry")]
struct RetrySpec {
    /// Attempts in all, then a dead letter.
    #[schemars(with = "Option<i64>", range(min = 1, max = ATTEMPTS_MAX))]
    max_attempts: Option<Spanned<i64>>,
    /// How long after it was stored a failed event is still tried, such as `3days`.
    #[schemars(with = "Option<String>")]
    max_age: Option<Spanned<String>>,
    /// How the delay grows.
    #[schemars(with = "Option<String>", extend("enum" = ["exponential", "linear", "constant", null]))]
    backoff_policy: Option<Spanned<String>>,
    /// The delay after the first attempt, such as `1s`.
    #[schemars(with = "Option<String>")]
    backoff_delay: Option<Spanned<String>>,
    /// The longest delay, such as `5m`; at most a day.
    #[schemars(with = "Option<String>")]
    backoff_max: Option<Spanned<String>>,
    /// Whether delays are spread, so that events that failed together do not come again together.
    #[schemars(with = "Option<String>", extend("enum" = ["full", "none", null]))]
    jitter: Option<Spanned<String>>,
}

/// Events of one key are delivered one after the other, in the order in which they were stored.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "Order")]
struct OrderSpec {
    /// The attribute whose text is the key, such as `subject` or `partitionkey`. Events without it
    /// are in no order.
    #[schemars(with = "String", extend("pattern" = "^[a-z0-9]+$"))]
    key: Spanned<String>,
    /// Whether a key goes on after a dead letter, or stops until the letter is sent again or
    /// deleted.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("enum" = ["continue", "stop", null]))]
    on_dead_letter: Option<Spanned<String>>,
}

/// What becomes of dead letters.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "DeadLetter")]
struct DeadLetterSpec {
    /// Where they are offered; one that is taken there is not kept.
    #[schemars(with = "Option<sink::Spec>")]
    sink: Option<Spanned<sink::Spec>>,
    retention: RetentionSpec,
}

/// When the oldest dead letters are deleted; never, unless it is said here.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
#[schemars(rename = "Retention")]
struct RetentionSpec {
    /// By age, such as `30d`.
    #[schemars(with = "Option<String>")]
    max_age: Option<Spanned<String>>,
    /// By their bytes in all, such as `100MiB`.
    #[schemars(with = "Option<String>")]
    max_size: Option<Spanned<String>>,
}

/// A word, or `batch` with its settings.
#[derive(Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "format must be binary, structured, batch or { batch: { size: 100, wait: 100ms } }"
)]
#[schemars(rename = "Format")]
enum FormatSpec {
    Word(#[schemars(extend("enum" = ["binary", "structured", "batch"]))] String),
    Batch(BatchedSpec),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Batched")]
struct BatchedSpec {
    batch: BatchSpec,
}

/// Several events in one request.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Batch")]
struct BatchSpec {
    /// Most events in one.
    #[schemars(range(min = 1, max = BATCH_SIZE_MAX))]
    size: i64,
    /// How long an event waits for others, such as `100ms`; at most a minute.
    wait: String,
}

impl Default for BatchSpec {
    fn default() -> Self {
        Self {
            size: 100,
            wait: "100ms".to_owned(),
        }
    }
}

pub(super) fn parse(
    spec: Spec,
    (namespace, topic): (&str, Option<Topic>),
    mistakes: &mut Mistakes,
) -> Delivery {
    if topic.is_some() {
        of_http_alone(&spec, mistakes);
    }
    let window = spec.max_in_flight.as_ref();
    let window = window.and_then(|spec| number(spec, "maxInFlight", MAX_IN_FLIGHT_MAX, mistakes));
    let rate = spec.rate_limit.as_ref();
    let timeout = spec.timeout.as_ref();
    let said = said_already(&spec);
    let line = spec.format.as_ref().and_then(line_of);
    let format = format(spec.format, mistakes);
    let max_in_flight = match (format, window) {
        // One batch on its way, and the next being filled.
        (Format::Batch { size, .. }, None) => size.saturating_mul(TWO),
        (Format::Batch { size, .. }, Some(window)) if window < size => {
            let message = format!("must be at most maxInFlight ({window}), got {size}");
            mistakes.add(line, "spec.delivery.format.batch.size", message);
            window
        }
        (_, window) => window.unwrap_or(match &topic {
            Some(_) => MAX_IN_FLIGHT_OF_TOPIC,
            None => MAX_IN_FLIGHT_DEFAULT,
        }),
    };
    Delivery {
        max_in_flight,
        timeout: timeout.and_then(|spec| duration(spec, "timeout", TIMEOUT_MAX, mistakes)),
        rate: rate.and_then(|spec| number(spec, "rateLimit", RATE_MAX, mistakes)),
        retry: retry(&spec.retry, mistakes),
        format,
        headers: headers::parse(spec.headers, &said, mistakes),
        auth: spec.auth.and_then(|spec| credentials::auth(spec, mistakes)),
        signing: credentials::signing(spec.signing, mistakes),
        tls: credentials::tls(spec.tls, mistakes),
        webhook: spec
            .webhook
            .and_then(|spec| credentials::webhook(spec, mistakes)),
        reply: None,
        order: spec.order.and_then(|spec| order(spec, mistakes)),
        dead_letter: dead_letter(spec.dead_letter, namespace, mistakes),
        topic,
        original_type: false,
    }
}

/// What a topic has not.
fn of_http_alone(spec: &Spec, mistakes: &mut Mistakes) {
    let format = spec.format.as_ref();
    let is_batch = format.is_some_and(|format| match &format.value {
        FormatSpec::Word(word) => word == "batch",
        FormatSpec::Batch(_) => true,
    });
    for (is_said, line, field) in [
        (is_batch, format.and_then(line_of), "format"),
        (
            !spec.headers.is_empty(),
            spec.headers.values().next().and_then(line_of),
            "headers",
        ),
        (
            spec.auth.is_some(),
            spec.auth.as_ref().and_then(line_of),
            "auth",
        ),
        (spec.signing.is_some(), None, "signing"),
        (spec.webhook.is_some(), None, "webhook"),
        (
            spec.tls.is_some(),
            spec.tls.as_ref().and_then(line_of),
            "tls",
        ),
    ] {
        if is_said {
            let message = match field {
                "format" => "must be binary or structured: the sink is a topic",
                _ => "must be left out: the sink is a topic; see spec.sink.kafka",
            };
            mistakes.add(line, &format!("spec.delivery.{field}"), message);
        }
    }
}

fn retry(spec: &RetrySpec, mistakes: &mut Mistakes) -> Retry {
    let attempts = spec.max_attempts.as_ref();
    let age = spec.max_age.as_ref();
    let (delay, max) = (spec.backoff_delay.as_ref(), spec.backoff_max.as_ref());
    let retry = Retry {
        attempts_max: attempts
            .and_then(|spec| number(spec, "retry.maxAttempts", ATTEMPTS_MAX, mistakes)),
        age_max: age.and_then(|spec| duration(spec, "retry.maxAge", Duration::MAX, mistakes)),
        backoff: word(
            spec.backoff_policy.as_ref(),
            "retry.backoffPolicy",
            &[
                ("exponential", Backoff::Exponential),
                ("linear", Backoff::Linear),
                ("constant", Backoff::Constant),
            ],
            mistakes,
        ),
        backoff_delay: delay
            .and_then(|spec| duration(spec, "retry.backoffDelay", BACKOFF_MAX, mistakes)),
        backoff_max: max.and_then(|spec| duration(spec, "retry.backoffMax", BACKOFF_MAX, mistakes)),
        jitter: word(
            spec.jitter.as_ref(),
            "retry.jitter",
            &[("full", true), ("none", false)],
            mistakes,
        ),
    };
    if let (Some(delay), Some(longest)) = (retry.backoff_delay, retry.backoff_max)
        && delay > longest
    {
        let line = max.and_then(line_of);
        let message = "must be at least backoffDelay";
        mistakes.add(line, "spec.delivery.retry.backoffMax", message);
    }
    retry
}

fn dead_letter(spec: DeadLetterSpec, namespace: &str, mistakes: &mut Mistakes) -> DeadLetter {
    const SINK: &str = "spec.delivery.deadLetter.sink";
    let sink = spec.sink;
    let sink = sink.and_then(|sink| sink::http(sink, SINK, namespace, mistakes));
    let RetentionSpec { max_age, max_size } = &spec.retention;
    let age = max_age.as_ref();
    let size = max_size.as_ref();
    DeadLetter {
        sink,
        age_max: age.and_then(|spec| {
            duration(spec, "deadLetter.retention.maxAge", Duration::MAX, mistakes)
        }),
        bytes_max: size.and_then(|spec| bytes(spec, "deadLetter.retention.maxSize", mistakes)),
    }
}

fn format(spec: Option<Spanned<FormatSpec>>, mistakes: &mut Mistakes) -> Format {
    const FIELD: &str = "spec.delivery.format";
    let Some(spec) = spec else {
        return Format::Binary;
    };
    let line = line_of(&spec);
    let BatchSpec { size, wait } = match spec.value {
        FormatSpec::Word(word) => match word.as_str() {
            "binary" => return Format::Binary,
            "structured" => return Format::Structured,
            "batch" => BatchSpec::default(),
            _ => {
                let message = format!("must be binary, structured or batch, got {word:?}");
                mistakes.add(line, FIELD, message);
                return Format::Binary;
            }
        },
        FormatSpec::Batch(BatchedSpec { batch }) => batch,
    };
    let most = u32::try_from(size)
        .ok()
        .filter(|size| *size <= BATCH_SIZE_MAX);
    let Some(size) = most.and_then(NonZeroU32::new) else {
        let message = format!("must be from 1 to {BATCH_SIZE_MAX}, got {size}");
        mistakes.add(line, &format!("{FIELD}.batch.size"), message);
        return Format::Binary;
    };
    match humantime::parse_duration(&wait) {
        Ok(wait) if wait <= BATCH_WAIT_MAX => Format::Batch { size, wait },
        Ok(_) | Err(_) => {
            let message = format!("must be a duration of at most 1m, such as 100ms, got {wait:?}");
            mistakes.add(line, &format!("{FIELD}.batch.wait"), message);
            Format::Binary
        }
    }
}

fn order(spec: OrderSpec, mistakes: &mut Mistakes) -> Option<Order> {
    let line = line_of(&spec.key);
    let key = spec.key.value;
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if key.is_empty() || !key.bytes().all(is_name) {
        let message = format!("must be the name of an attribute, such as subject, got {key:?}");
        mistakes.add(line, "spec.delivery.order.key", message);
        return None;
    }
    let on_dead_letter = word(
        spec.on_dead_letter.as_ref(),
        "order.onDeadLetter",
        &[
            ("continue", OnDeadLetter::Continue),
            ("stop", OnDeadLetter::Stop),
        ],
        mistakes,
    );
    Some(Order {
        key,
        on_dead_letter: on_dead_letter.unwrap_or_default(),
    })
}

/// Names that another part of the document speaks for.
fn said_already(spec: &Spec) -> Vec<(&'static str, &'static str)> {
    let mut said = Vec::new();
    if spec.auth.is_some() {
        said.push(("authorization", "is said by auth already"));
    }
    if spec.webhook.is_some() {
        said.push(("webhook-request-origin", "is said by webhook already"));
    }
    if spec.signing.is_some() {
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        said.extend(names.map(|name| (name, "is said by signing already")));
    }
    said
}

pub(super) fn number(
    spec: &Spanned<i64>,
    field: &str,
    most: u32,
    mistakes: &mut Mistakes,
) -> Option<NonZeroU32> {
    let number = u32::try_from(spec.value)
        .ok()
        .filter(|number| *number <= most);
    let number = number.and_then(NonZeroU32::new);
    if number.is_none() {
        let message = format!("must be from 1 to {most}, got {}", spec.value);
        mistakes.add(line_of(spec), &format!("spec.delivery.{field}"), message);
    }
    number
}

fn duration(
    spec: &Spanned<String>,
    field: &str,
    most: Duration,
    mistakes: &mut Mistakes,
) -> Option<Duration> {
    let text = &spec.value;
    let message = match humantime::parse_duration(text) {
        Err(_) => format!("must be a duration such as 500ms, 30s or 7d, got {text:?}"),
        Ok(duration) if duration.is_zero() => "must be longer than 0s".to_owned(),
        Ok(duration) if duration > most => {
            let most = humantime::format_duration(most);
            format!("must be at most {most}, got {text}")
        }
        Ok(duration) => return Some(duration),
    };
    mistakes.add(line_of(spec), &format!("spec.delivery.{field}"), message);
    None
}

fn bytes(spec: &Spanned<String>, field: &str, mistakes: &mut Mistakes) -> Option<u64> {
    let size = spec.value.parse::<ByteSize>();
    let bytes = size
        .ok()
        .map(|size| size.as_u64())
        .filter(|bytes| *bytes > 0);
    if bytes.is_none() {
        let message = format!("must be a size such as 100MiB or 2GB, got {:?}", spec.value);
        mistakes.add(line_of(spec), &format!("spec.delivery.{field}"), message);
    }
    bytes
}

fn word<T: Copy>(
    spec: Option<&Spanned<String>>,
    field: &str,
    words: &[(&str, T)],
    mistakes: &mut Mistakes,
) -> Option<T> {
    let spec = spec?;
    let found = words.iter().find(|(word, _)| *word == spec.value);
    if found.is_none() {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("must be one of {}, got {:?}", names.join(", "), spec.value);
        mistakes.add(line_of(spec), &format!("spec.delivery.{field}"), message);
    }
    found.map(|(_, value)| *value)
}
