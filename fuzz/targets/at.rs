//! The AT channel: whatever a port says, every command ends exactly once, and
//! how the bytes are cut makes no difference.
#![no_main]

use std::time::Duration;

use a7670e::at::{Channel, Command, Output};
use libfuzzer_sys::fuzz_target;

fn run(bytes: &[u8], piece: usize) -> Vec<Output> {
    let mut channel = Channel::default();
    let now = Duration::ZERO;
    channel.opened(now);
    let ids = [
        Command::new("AT+CEREG?"),
        Command::new("AT+CPIN?"),
        Command::new("AT+CMGL=4"),
        Command::new("AT+CMGS=2").with_payload("00"),
    ]
    .map(|command| channel.submit(now, command));
    for bytes in bytes.chunks(piece) {
        channel.receive(now, bytes);
    }
    channel.closed();
    let outputs: Vec<Output> = std::iter::from_fn(|| channel.take()).collect();
    for id in ids {
        let ends = outputs.iter().filter(|one| matches!(one, Output::Done(done) if done.id == id));
        assert_eq!(ends.count(), 1);
    }
    outputs
}

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(run(bytes, 1), run(bytes, usize::MAX));
});
