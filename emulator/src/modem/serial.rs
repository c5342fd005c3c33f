//! The ports: echo, lines, answers (ITU-T V.250 section 5).

use std::collections::VecDeque;
use std::time::Duration;

use super::faults::Pace;
use super::{Action, Event, Modem, Port};
use crate::at::{Failure, Outcome, final_line, split};

/// A longer line is cut; longer than any command of the manual.
const LONGEST_LINE: usize = 2048;

/// What is typed behind `> `, up to Ctrl-Z.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// A PDU whose TPDU has so many octets.
    Pdu { octets: usize },
    /// A text for this number.
    Text { to: String },
}

/// What one port remembers.
#[derive(Debug, Clone)]
pub(crate) struct PortState {
    pub(crate) echo: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    /// AT+CMEE.
    pub(crate) cmee: u8,
    line: Vec<u8>,
    /// Came while a command was carried out, and waits for its end.
    held: VecDeque<u8>,
    busy: bool,
    pub(super) prompt: Option<Prompt>,
    /// How the next answer comes.
    pace: Pace,
}

/// Factory values: E1 Q0 V1, and errors in words (A76XX manual, `AT&V`).
impl Default for PortState {
    fn default() -> Self {
        PortState {
            echo: true,
            quiet: false,
            verbose: true,
            cmee: 2,
            line: Vec::new(),
            held: VecDeque::new(),
            busy: false,
            prompt: None,
            pace: Pace::default(),
        }
    }
}

impl Modem {
    /// Bytes from the host. They are lost where the modem has no such port, or
    /// not yet; before `*ATREADY` they are echoed only.
    pub fn write(&mut self, now: Duration, port: Port, bytes: &[u8]) {
        self.advance(now);
        let speaks = matches!(port, Port::At | Port::Modem);
        if !speaks || self.now < self.silent_until || self.wedged.contains(&port) {
            return;
        }
        if self.carries(port) {
            return self.hear_call(bytes);
        }
        let Some(state) = self.ports.get_mut(&port) else { return };
        state.held.extend(bytes);
        self.drain(port);
    }

    /// DTR of a port. Without it a call ends (`AT&D2`, V.250 section 6.2.8), and
    /// the line that was begun is forgotten.
    pub fn line_state(&mut self, now: Duration, port: Port, dtr: bool) {
        self.advance(now);
        if let Some(state) = self.ports.get_mut(&port).filter(|_| !dtr) {
            state.line.clear();
            state.held.clear();
            state.prompt = None;
            if self.carries(port) {
                self.end_call();
            }
        }
    }

    pub(super) fn send(&mut self, port: Port, bytes: Vec<u8>) {
        let silent = self.now < self.silent_until || self.wedged.contains(&port);
        if self.attached && !silent && self.ports.contains_key(&port) {
            let size = if self.splits { 1 } else { bytes.len().max(1) };
            for piece in bytes.chunks(size) {
                self.out.push(Action::Serial { port, bytes: piece.to_vec() });
            }
        }
    }

    pub(crate) fn port(&self, port: Port) -> PortState {
        self.ports.get(&port).cloned().unwrap_or_default()
    }

    pub(crate) fn set_port(&mut self, port: Port, change: impl FnOnce(&mut PortState)) -> Outcome {
        if let Some(state) = self.ports.get_mut(&port) {
            // `&F` and `Z` replace everything but the bytes under way.
            let (held, busy, pace) = (std::mem::take(&mut state.held), state.busy, state.pace);
            change(state);
            (state.held, state.busy, state.pace) = (held, busy, pace);
        }
        Ok(Vec::new())
    }

    /// Takes bytes until a command is to be carried out.
    fn drain(&mut self, port: Port) {
        let ready = self.ready;
        let mut echo = Vec::new();
        let mut execute = None;
        let Some(state) = self.ports.get_mut(&port) else { return };
        while !state.busy {
            let Some(byte) = state.held.pop_front() else { break };
            if state.echo && byte != b'\n' {
                echo.push(byte);
            }
            match byte {
                // Ctrl-Z sends what was typed, escape forgets it.
                0x1a if state.prompt.is_some() => {
                    state.busy = true;
                    execute = Some(Event::Submit(port));
                }
                0x1b if state.prompt.is_some() => {
                    state.prompt = None;
                    state.line.clear();
                    echo.extend(b"\r\nOK\r\n");
                }
                byte if state.prompt.is_some() && state.line.len() < LONGEST_LINE => {
                    state.line.push(byte);
                }
                _ if state.prompt.is_some() => {}
                b'\r' if ready && after_at(&state.line).is_some() => {
                    state.busy = true;
                    execute = Some(Event::Execute(port));
                }
                b'\r' => state.line.clear(),
                b'\n' => {}
                0x08 | 0x7f => {
                    state.line.pop();
                }
                byte if state.line.len() < LONGEST_LINE => state.line.push(byte),
                _ => {}
            }
        }
        if !echo.is_empty() {
            self.send(port, echo);
        }
        if let Some(event) = execute {
            let latency = self.latency(port);
            self.later(latency, event);
        }
    }

    /// How long the line that is complete on a port takes.
    fn latency(&self, port: Port) -> Duration {
        let timing = &self.profile.timing;
        let line = self.ports.get(&port).and_then(|state| after_at(&state.line));
        let line = String::from_utf8_lossy(line.unwrap_or_default()).to_ascii_uppercase();
        let longest = timing.commands.iter().filter(|(start, _)| line.starts_with(*start));
        let ms = longest.max_by_key(|(start, _)| start.len()).map_or(timing.latency_ms, |it| *it.1);
        let (more, until) = self.slow;
        let more = if self.now < until { more } else { Duration::ZERO };
        Duration::from_millis(ms).saturating_add(more)
    }

    /// Carries out the line that is complete on a port, and answers.
    pub(super) fn carry_out(&mut self, port: Port) {
        let line = match self.ports.get_mut(&port) {
            Some(state) => std::mem::take(&mut state.line),
            None => return,
        };
        let text = after_at(&line).map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        let mut lines = Vec::new();
        let blow = self.strike(&format!("AT{text}"));
        // The port may be gone by now.
        if let Some(state) = self.ports.get_mut(&port) {
            state.pace = blow.pace;
            state.busy = !blow.mute;
        }
        if blow.mute {
            return;
        }
        let recorded = self.transcript.answer(&format!("AT{text}"));
        if let Some(pieces) = recorded.filter(|_| blow.failure.is_none()) {
            // Echo is not part of a recording, but made here.
            for command in split(&text).iter().filter(|it| ["E", "Z", "&F"].contains(&&*it.name)) {
                let _ = self.execute(port, command);
            }
            // Its time counts from the command, which came a while ago.
            let passed = Duration::from_millis(self.profile.timing.latency_ms);
            let count = pieces.len();
            for (index, (after, text)) in pieces.into_iter().enumerate() {
                let last = index + 1 == count;
                self.later(
                    after.saturating_sub(passed) + blow.pace.late,
                    Event::Piece { port, text, last },
                );
            }
            return;
        }
        let mut failure = blow.failure;
        let commands = if failure.is_none() { split(&text) } else { Vec::new() };
        for command in commands {
            match self.execute(port, &command) {
                Ok(more) => lines.extend(more),
                Err(why) => {
                    failure = Some(why);
                    break;
                }
            }
        }
        self.answer(port, &lines, failure);
    }

    /// A piece of a recorded answer; the port is free again after the last.
    pub(super) fn play(&mut self, port: Port, text: String, last: bool) {
        if !text.is_empty() {
            self.send(port, text.into_bytes());
        }
        if let Some(state) = self.ports.get_mut(&port).filter(|_| last) {
            state.busy = false;
            self.drain(port);
        }
    }

    /// Takes what was typed at the prompt.
    pub(super) fn submit_typed(&mut self, port: Port) {
        let Some(state) = self.ports.get_mut(&port) else { return };
        let typed = std::mem::take(&mut state.line);
        let Some(prompt) = state.prompt.take() else {
            // The port was closed meanwhile, and what was typed is forgotten.
            state.busy = false;
            return;
        };
        match self.submit(&prompt, &typed) {
            Ok(lines) => self.answer(port, &lines, None),
            Err(why) => self.answer(port, &[], Some(why)),
        }
    }

    /// Information and the final result, or the prompt; then what was held.
    fn answer(&mut self, port: Port, lines: &[String], failure: Option<Failure>) {
        let Some(state) = self.ports.get_mut(&port) else { return };
        if state.prompt.is_some() && failure.is_none() {
            return self.utter(port, "\r\n> ".into());
        }
        state.prompt = None;
        if let [result] = lines {
            if result.starts_with("CONNECT") || result == "NO CARRIER" {
                // These are final results themselves; then the call may speak.
                self.utter(port, format!("\r\n{result}\r\n"));
                self.tend_call();
                return self.tell_link();
            }
        }
        let mut answer = String::new();
        if state.verbose && !lines.is_empty() {
            answer.push_str("\r\n");
        }
        for line in lines {
            answer.push_str(line);
            answer.push_str("\r\n");
        }
        if !state.quiet {
            let (text, number) = final_line(failure, state.cmee);
            match number {
                Some(number) if !state.verbose => answer.push_str(&format!("{number}\r")),
                _ => answer.push_str(&format!("\r\n{text}\r\n")),
            }
        }
        self.utter(port, answer);
    }

    /// Says an answer at the pace that the command met; then the port is free.
    fn utter(&mut self, port: Port, text: String) {
        let Some(state) = self.ports.get_mut(&port) else { return };
        let pace = std::mem::take(&mut state.pace);
        if pace == Pace::default() {
            return self.play(port, text, true);
        }
        let Some((at, pause)) = pace.cut else {
            return self.later(pace.late, Event::Piece { port, text, last: true });
        };
        let mut at = at.unwrap_or(text.len() / 2).min(text.len());
        while !text.is_char_boundary(at) {
            at += 1;
        }
        let (first, second) = text.split_at(at);
        let (first, second) = (first.to_owned(), second.to_owned());
        self.later(pace.late, Event::Piece { port, text: first, last: false });
        self.later(pace.late + pause, Event::Piece { port, text: second, last: true });
    }
}

/// What follows the first `AT` of a line; noise before it is skipped.
fn after_at(line: &[u8]) -> Option<&[u8]> {
    let at = line.windows(2).position(|pair| pair.eq_ignore_ascii_case(b"at"))?;
    line.get(at + 2..)
}
