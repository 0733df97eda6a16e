//! What every fuzz target does with an input, so that a test can do the same with the kept inputs.
//!
//! No target stands here, and nothing is fuzzed: that is `cargo xtask fuzz`.

mod applications;
mod cesql;
mod codec;
mod formats;
mod record;
mod request;

pub use cesql::cesql;
pub use codec::{codec_http, codec_json, codec_kafka, codec_nats};
pub use formats::{detect, events, format, publish};
pub use record::Record;
pub use request::Request;

use tidegate_application::Format;

/// The targets that are no format's.
const OTHERS: [&str; 6] = [
    "codec_http",
    "codec_json",
    "codec_kafka",
    "codec_nats",
    "detect",
    "publish",
];

/// Every target, by the name of its file.
pub fn targets() -> impl Iterator<Item = String> {
    let formats = Format::ALL.into_iter().map(of_format);
    formats.chain(OTHERS.map(str::to_owned))
}

/// The target of a format.
pub fn of_format(format: Format) -> String {
    format!("format_{}", format.name().replace(['-', '.'], "_"))
}

/// Does what a target does. False where there is no such target.
pub fn run(target: &str, input: &[u8]) -> bool {
    match target {
        "cesql" => cesql(input),
        "codec_http" => codec_http(input),
        "codec_json" => codec_json(input),
        "codec_kafka" => codec_kafka(input),
        "codec_nats" => codec_nats(input),
        "detect" => detect(input),
        "publish" => publish(input),
        target => {
            let mut formats = Format::ALL.into_iter();
            let Some(found) = formats.find(|one| of_format(*one) == target) else {
                return false;
            };
            format(found.name(), input);
        }
    }
    true
}
