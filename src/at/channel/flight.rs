//! The command that is on its way.

use std::time::Duration;

use crate::at::command::Command;
use crate::at::urc::{name, reads_as_reply};

/// Most lines kept of one reply: an SMS store of 180 places (SIMCom A76XX AT
/// Command Manual V1.09, `+CPMS`) makes 360.
const MAX_LINES: usize = 512;

/// Most bytes kept of one reply.
const MAX_BYTES: usize = 128 * 1024;

/// Ends the text at a prompt and sends it (TS 27.005 §3.5.1).
const CTRL_Z: u8 = 0x1a;

pub(super) struct Flight {
    /// None once it was cancelled.
    pub(super) id: Option<u32>,
    command: Command,
    pub(super) sent: Duration,
    pub(super) deadline: Duration,
    lines: Vec<String>,
    bytes: usize,
    payload_sent: bool,
}

impl Flight {
    pub(super) fn new(id: u32, command: Command, now: Duration) -> Flight {
        Flight {
            id: Some(id),
            deadline: now.saturating_add(command.timeout()),
            command,
            sent: now,
            lines: Vec::new(),
            bytes: 0,
            payload_sent: false,
        }
    }

    pub(super) fn waited(&self) -> Duration {
        self.command.timeout()
    }

    /// Whether a prompt is awaited or may be open.
    pub(super) fn awaits_prompt(&self) -> bool {
        self.command.payload().is_some() && !self.payload_sent
    }

    /// What to write at the prompt.
    pub(super) fn prompted(&mut self) -> Option<Vec<u8>> {
        if self.payload_sent || self.id.is_none() {
            return None;
        }
        let mut bytes = self.command.payload()?.to_vec();
        bytes.push(CTRL_Z);
        self.payload_sent = true;
        Some(bytes)
    }

    /// Whether the line is what we sent. Only at the start of the dialogue, as
    /// a reply may well repeat a word of the command later.
    pub(super) fn is_echo(&self, line: &str) -> bool {
        self.lines.is_empty()
            && (line.eq_ignore_ascii_case(self.command.text())
                || self.payload_sent
                    && self.command.payload().is_some_and(|sent| {
                        line.trim_end_matches(char::from(CTRL_Z)).as_bytes() == sent
                    }))
    }

    /// Whether a line that looks like an unsolicited code may be the reply.
    pub(super) fn claims(&self, line: &str) -> bool {
        self.command.claims().is_some_and(|own| name(line) == Some(own))
    }

    pub(super) fn keep(&mut self, line: String) {
        if self.lines.len() < MAX_LINES && self.bytes.saturating_add(line.len()) <= MAX_BYTES {
            self.bytes += line.len();
            self.lines.push(line);
        }
    }

    /// Parts the lines into reply and unsolicited codes, now that the result
    /// is known. A refused command has no reply, so all that bears its name
    /// came unasked. Of those that may be the reply the last is: modems write
    /// reply and result in one go.
    pub(super) fn sort(&mut self, ok: bool) -> (Vec<String>, Vec<String>) {
        let lines = std::mem::take(&mut self.lines);
        let own = |line: &String| self.command.claims().filter(|own| name(line) == Some(own));
        let reply = lines
            .iter()
            .rposition(|line| ok && own(line).is_some_and(|own| reads_as_reply(own, line)));
        let mut at = 0;
        lines.into_iter().partition(|line| {
            let keep = own(line).is_none() || Some(at) == reply;
            at += 1;
            keep
        })
    }
}
