//! A transcript that the device makes of one emulated modem, replayed by
//! another.

#![allow(clippy::unwrap_used, reason = "all of this is test code")]

use std::time::Duration;

use a7670e::modem::transcript::{HEADER, Recorder, Side};
use a7670e_emulator::fault::FaultScript;
use a7670e_emulator::modem::{Action, Modem, Port};
use a7670e_emulator::profile::Profile;
use a7670e_emulator::replay::Transcript;

const COMMANDS: [&str; 5] = ["ATE0", "ATI", "AT+CPIN?", "AT+COPS?", "AT+CGDCONT?"];

fn booted(profile: &str) -> Modem {
    let mut modem = Modem::new(Profile::load(profile).unwrap(), FaultScript::default(), 0);
    modem.advance(Duration::from_secs(20));
    modem.take();
    modem
}

/// All that the modem says to the commands, each given a second; whatever
/// passes is told to `hear`.
fn dialogue(modem: &mut Modem, mut hear: impl FnMut(Duration, Side, &[u8])) -> Vec<String> {
    let mut answers = Vec::new();
    for (second, command) in (30..).zip(COMMANDS) {
        let now = Duration::from_secs(second);
        let line = format!("{command}\r");
        hear(now, Side::Host, line.as_bytes());
        modem.write(now, Port::At, line.as_bytes());
        let mut answer = String::new();
        let mut at = now;
        loop {
            for action in modem.take() {
                if let Action::Serial { port: Port::At, bytes } = action {
                    hear(at, Side::Modem, &bytes);
                    answer += &String::from_utf8(bytes).unwrap();
                }
            }
            at = match modem.next_event() {
                Some(next) if next < now + Duration::from_secs(1) => next,
                _ => break,
            };
            modem.advance(at);
        }
        let lines: Vec<_> = answer.split(['\r', '\n']).filter(|it| !it.is_empty()).collect();
        answers.push(lines.join("\n"));
    }
    answers
}

#[test]
fn a_recorded_modem_answers_as_it_did() {
    let mut recorder = Recorder::new(Duration::from_secs(30), [7; 16]);
    let mut text = format!("{HEADER}\n");
    let said = dialogue(&mut booted("sim7600-ndis"), |now, side, bytes| {
        text += &recorder.record(now, side, bytes);
    });
    let mut other = booted("a7670e-ecm");
    let own = dialogue(&mut booted("a7670e-ecm"), |_, _, _| {});
    other.replay(Transcript::parse(&text).unwrap());
    let replayed = dialogue(&mut other, |_, _, _| {});
    assert_ne!(own[1], said[1], "the two models are not the same");
    // What is secret was replaced, and was so when it was recorded.
    for (command, (said, replayed)) in COMMANDS.iter().zip(said.iter().zip(&replayed)) {
        let shape = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "9");
        assert_eq!(shape(said), shape(replayed), "{command}\n{text}");
    }
    let imei = said[1].lines().find_map(|line| line.strip_prefix("IMEI: ")).unwrap();
    assert!(!replayed[1].contains(imei), "{text}");
}
