//! Transcripts: what is recorded reads back, and redaction keeps the length.
#![no_main]

use std::time::Duration;

use a7670e::modem::transcript::{Entry, Recorder, Redactor, Side};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut recorder = Recorder::new(Duration::ZERO, [3; 16]);
    for line in recorder.record(Duration::ZERO, Side::Modem, bytes).lines() {
        assert!(Entry::parse(line).is_some());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        _ = Entry::parse(text);
        let told = Redactor::new([3; 16]).line(text);
        assert_eq!(told.chars().count(), text.chars().count());
    }
});
