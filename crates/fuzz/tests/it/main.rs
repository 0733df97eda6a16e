//! The inputs that fuzzing has kept, and the samples of every format, without a fuzzer.

use std::{fs, path::PathBuf};

use percent_encoding::percent_decode_str;
use tidegate_application::Format;
use tidegate_fuzz::{events, of_format, run, targets};

fn room() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What a fuzzer has found once is found by everybody who runs the tests.
#[test]
fn kept_inputs_hold() {
    for target in targets() {
        let file = room().join("corpus").join(&target).with_extension("txt");
        let kept = fs::read_to_string(&file).expect("kept inputs");
        assert!(!kept.is_empty(), "{target} has kept nothing");
        for line in kept.lines() {
            let input: Vec<u8> = percent_decode_str(line).collect();
            assert!(run(&target, &input), "no target {target}");
        }
    }
}

/// A format without a target, or without a sample to begin with, is not fuzzed.
#[test]
fn every_format_has_a_target_and_samples() {
    for target in targets() {
        let file = room().join("targets").join(format!("{target}.rs"));
        assert!(file.is_file(), "{} is missing", file.display());
    }
    let samples = room().join("../normalize/samples");
    for format in Format::ALL {
        let folder = samples.join(format.name());
        let files = fs::read_dir(&folder).expect("a folder of samples");
        let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} has no sample", format.name());
        for file in files {
            let sample = fs::read(&file).unwrap();
            let found = events(format.name(), &sample);
            assert!(found.is_ok_and(|found| found > 0), "{}", file.display());
            assert!(run(&of_format(format), &sample));
        }
    }
}
