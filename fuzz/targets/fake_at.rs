//! The emulated modem's AT engine: no host makes it panic or spin.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use a7670e_emulator::fault::FaultScript;
use a7670e_emulator::modem::{Modem, Port};
use a7670e_emulator::profile::Profile;
use libfuzzer_sys::fuzz_target;

static PROFILE: OnceLock<Profile> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let profile = PROFILE.get_or_init(|| Profile::load("a7670e-ecm").expect("ours"));
    let mut modem = Modem::new(profile.clone(), FaultScript::default(), 1);
    // Up and registered by then.
    let mut now = Duration::from_secs(60);
    modem.advance(now);
    // Each piece goes to one of its ports; a 0xff lets the clock go to what the
    // modem waits for.
    for (index, piece) in bytes.split_inclusive(|byte| matches!(byte, b'\n' | 0xff)).enumerate() {
        let port = if index % 4 == 3 { Port::Modem } else { Port::At };
        modem.write(now, port, piece);
        if piece.ends_with(&[0xff]) {
            if let Some(next) = modem.next_event() {
                now = next.max(now);
                modem.advance(now);
                assert!(modem.next_event().is_none_or(|next| next > now), "it spins");
            }
        }
        modem.take();
    }
});
