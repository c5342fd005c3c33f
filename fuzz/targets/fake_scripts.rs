//! What people write for the emulator: transcripts, fault scripts, control
//! commands. Any text is read or refused.
#![no_main]

use a7670e_emulator::control::ControlCommand;
use a7670e_emulator::fault::FaultScript;
use a7670e_emulator::replay::Transcript;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    _ = (Transcript::parse(text), FaultScript::parse(text));
    _ = serde_json::from_str::<ControlCommand>(text);
});
