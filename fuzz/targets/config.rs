//! The configuration: any text is read or refused at a place that is there.
#![no_main]

use std::path::Path;

use a7670e::config::{ConfigError, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse(Path::new("fuzz.toml"), text) {
        Ok(config) => _ = format!("{config:?}"),
        Err(ConfigError::Wrong { line, column, message, .. }) => {
            assert!((1..=text.matches('\n').count() + 1).contains(&line));
            let length = text.split('\n').nth(line - 1).map_or(0, |line| line.chars().count());
            assert!((1..=length + 1).contains(&column));
            assert!(!message.is_empty());
        }
        Err(other) => panic!("a text alone cannot be {other:?}"),
    }
});
