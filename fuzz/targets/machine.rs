//! The machine: no dialogue makes it panic, spend a PIN's last try, or spin.
#![no_main]

use std::time::Duration;

use a7670e::modem::catalogue::NetKind;
use a7670e::modem::machine::{Action, CellularSettings, Event, Machine, ModelTraits, Secret};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let settings =
        CellularSettings { pin: Some(Secret::new("1234")), ..CellularSettings::default() };
    let mut machine = Machine::new(settings, ModelTraits::of("A76XX", NetKind::Ecm), ());
    let mut now = Duration::ZERO;
    machine.event(now, Event::PortOpened);
    let mut pins = 0;
    // Each piece of the input is what the modem says next; a 0xff lets the
    // clock go to what the machine waits for.
    for piece in bytes.split_inclusive(|byte| *byte == b'\n' || *byte == 0xff) {
        machine.event(now, Event::Bytes(piece.to_vec()));
        if piece.ends_with(&[0xff]) {
            now = machine.next_event().unwrap_or(now).max(now);
            machine.advance(now);
        }
        for action in machine.take() {
            match action {
                Action::Write(bytes) => pins += u32::from(bytes.starts_with(b"AT+CPIN=")),
                Action::ReopenPort => machine.event(now, Event::PortOpened),
                _ => {}
            }
        }
    }
    // A modem may say between two attempts that the PIN was right, and then
    // ask again; that alone allows another.
    let right = bytes.windows(5).filter(|part| part == b"READY").count();
    assert!(pins as usize <= 1 + right);
});
