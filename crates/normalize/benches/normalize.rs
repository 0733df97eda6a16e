//! What normalizing costs: microseconds for each sample, beside a parser that reads the same body
//! and makes nothing of it.
//!
//! `cargo bench -p tidegate-normalize`; `-- idoc` for the samples whose name holds a word.
#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program for people, on files of its own"
)]

use std::{
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use quick_xml::events::Event as XmlEvent;
use serde::de::IgnoredAny;
use tidegate_application::{Application, Format, Mapping, Template};
use tidegate_event::Leniency;
use tidegate_normalize::{Input, Reading, normalize};

/// Rounds, of which the median counts: a round that something else disturbed does not.
const ROUNDS: usize = 9;

/// Long enough that a round is thousands of requests.
const ROUND: Duration = Duration::from_millis(50);

/// A request of a file: a line for each header, an empty line, the body.
struct Sample {
    format: Format,
    name: String,
    headers: HeaderMap,
    topic: Option<String>,
    body: Bytes,
}

fn main() {
    let word = env::args().skip(1).find(|word| !word.starts_with('-'));
    let mut samples: Vec<Sample> = Format::ALL.into_iter().flat_map(samples).collect();
    samples.retain(|sample| {
        let word = word.as_deref().unwrap_or_default();
        sample.name.contains(word)
    });
    println!("| sample | bytes | events | µs a request | µs an event | parser alone, µs | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for sample in &samples {
        let application = application(sample.format);
        let events = sample.events(&application);
        let took = microseconds(|| {
            black_box(sample.events(&application));
        });
        let parser = microseconds(|| sample.only_parsed());
        println!(
            "| {} | {} | {events} | {took:.1} | {:.1} | {parser:.1} | {:.1} |",
            sample.name,
            sample.body.len(),
            took / f64::from(events),
            took / parser
        );
    }
}

/// The median of the rounds.
fn microseconds(mut work: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            let mut times = 0_u32;
            while began.elapsed() < ROUND {
                for _ in 0..16 {
                    work();
                }
                times += 16;
            }
            began.elapsed().as_secs_f64() * 1e6 / f64::from(times)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

impl Sample {
    fn events(&self, application: &Application) -> u32 {
        let normalized = normalize(Input {
            reading: Reading::As(self.format),
            application,
            proven: true,
            headers: &self.headers,
            body: self.body.clone(),
            topic: self.topic.as_deref(),
            place: None,
            batch_events_max: 1000,
            received_at: Timestamp::UNIX_EPOCH,
        });
        let normalized = normalized.expect("a sample is taken, as a test says");
        u32::try_from(normalized.events.as_slice().len()).expect("few events")
    }

    fn only_parsed(&self) {
        let text = std::str::from_utf8(&self.body).unwrap_or_default();
        if !text.starts_with('<') {
            black_box(serde_json::from_str::<IgnoredAny>(text).is_ok());
            return;
        }
        let mut reader = quick_xml::Reader::from_str(text);
        while let Ok(event) = reader.read_event() {
            if matches!(black_box(event), XmlEvent::Eof) {
                return;
            }
        }
    }
}

fn samples(format: Format) -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let files = fs::read_dir(folder.join(format.name())).expect("every format has samples");
    let mut files: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    files.sort();
    files.iter().map(|file| sample(format, file)).collect()
}

fn sample(format: Format, file: &Path) -> Sample {
    let text = fs::read_to_string(file).expect("a sample is text");
    let (head, body) = text.split_once("\n\n").expect("headers, then the body");
    let mut sample = Sample {
        format,
        name: format!(
            "{}/{}",
            format.name(),
            file.file_stem().unwrap_or_default().to_string_lossy()
        ),
        headers: HeaderMap::new(),
        topic: None,
        body: Bytes::copy_from_slice(body.trim_end().as_bytes()),
    };
    for line in head.lines() {
        if let Some(topic) = line.strip_prefix(":topic: ") {
            sample.topic = Some(topic.to_owned());
            continue;
        }
        let (name, value) = line.split_once(": ").expect("a header");
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        let value = HeaderValue::from_str(value).expect("a header's value");
        sample.headers.append(name, value);
    }
    sample
}

fn application(format: Format) -> Application {
    let template = |text: &str| Some(Template::parse(text).expect("a template"));
    let mapping = if format == Format::GenericXml {
        Mapping {
            id: template("{/order/@number}"),
            r#type: template("acme.{/order/kind}.v1"),
            subject: template("/order/item[2]"),
            time: template("/order/when"),
            data: Some("/order/body".to_owned()),
            ..Mapping::default()
        }
    } else {
        Mapping {
            id: template("{/number}"),
            r#type: template("acme.{/scenario}.v1"),
            subject: template("/data/order/no~11"),
            time: template("/when"),
            data: Some("/data".to_owned()),
            ..Mapping::default()
        }
    };
    Application {
        namespace: Some("acme".to_owned()),
        mapping: Some(mapping),
        // As in an Application's document that says nothing of it.
        extension_names: Leniency::Lowercase,
        ..Application::unnamed("sys")
    }
}
