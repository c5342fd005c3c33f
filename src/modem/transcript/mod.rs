//! Transcripts of a real modem, for `a7670e record`: what was said, when, with
//! everything replaced that tells who or where the owner is.
//!
//! A transcript is text. Its first line is [`HEADER`]; each further line is
//! milliseconds since the start, `>` (to the modem) or `<` (from it), and a
//! line of the dialogue without its end:
//!
//! ```text
//! # a7670e transcript 1
//! 0 > AT+CSQ
//! 12 < +CSQ: 20,99
//! 12 < OK
//! ```
//!
//! Whole lines are recorded, not reads: a number that was cut in two by a read
//! could not be recognised.

mod redact;

use std::time::Duration;

pub use redact::Redactor;

use crate::at::{Framer, Line};

/// First line of a transcript.
pub const HEADER: &str = "# a7670e transcript 1";

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This program.
    Host,
    /// The modem.
    Modem,
}

/// One line of the dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Since the start.
    pub at: Duration,
    /// Who said it.
    pub side: Side,
    /// What, without the end of the line.
    pub text: String,
}

/// Makes a transcript of what goes through a port.
pub struct Recorder {
    start: Duration,
    redactor: Redactor,
    host: Framer,
    modem: Framer,
}

impl Recorder {
    /// Begins at `now`. `salt` is to be random and kept nowhere: with it the
    /// replaced numbers could be found by trying.
    pub fn new(now: Duration, salt: [u8; 16]) -> Recorder {
        Recorder {
            start: now,
            redactor: Redactor::new(salt),
            host: Framer::default(),
            modem: Framer::default(),
        }
    }

    /// Takes bytes in; gives the lines of the transcript that they complete,
    /// each with its newline.
    pub fn record(&mut self, now: Duration, side: Side, bytes: &[u8]) -> String {
        let mut lines = String::new();
        for byte in bytes {
            let framer = match side {
                Side::Host => &mut self.host,
                Side::Modem => &mut self.modem,
            };
            // Ctrl-Z ends the text at a prompt.
            let byte = if *byte == 0x1a { b'\r' } else { *byte };
            let text = match framer.push(byte) {
                Some(Line::Text(text)) => self.redactor.line(&text),
                Some(Line::Prompt) => "> ".to_owned(),
                Some(Line::TooLong { .. }) | None => continue,
            };
            let at = now.saturating_sub(self.start);
            lines.push_str(&Entry { at, side, text }.to_line());
        }
        lines
    }
}

impl Entry {
    /// The entry as a line of a transcript.
    pub fn to_line(&self) -> String {
        let sign = if self.side == Side::Host { '>' } else { '<' };
        format!("{} {sign} {}\n", self.at.as_millis(), self.text.escape_debug())
    }

    /// Reads a line of a transcript back; `None` when it is none.
    pub fn parse(line: &str) -> Option<Entry> {
        let (ms, rest) = line.split_once(' ')?;
        let (sign, text) = rest.split_once(' ')?;
        let side = match sign {
            ">" => Side::Host,
            "<" => Side::Modem,
            _ => return None,
        };
        Some(Entry { at: Duration::from_millis(ms.parse().ok()?), side, text: unescape(text)? })
    }
}

/// The inverse of `str::escape_debug`.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match rest.next()? {
            'n' => plain.push('\n'),
            'r' => plain.push('\r'),
            't' => plain.push('\t'),
            '0' => plain.push('\0'),
            'u' => {
                let hex: String =
                    rest.by_ref().skip_while(|c| *c == '{').take_while(|c| *c != '}').collect();
                plain.push(char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?);
            }
            other => plain.push(other),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_dialogue_in_pieces() {
        let mut recorder = Recorder::new(ms(5), [1; 16]);
        let mut text = recorder.record(ms(5), Side::Host, b"AT+CSQ\r");
        text += &recorder.record(ms(10), Side::Modem, b"\r\n+CSQ: 2");
        text += &recorder.record(ms(17), Side::Modem, b"0,99\r\n\r\nOK\r\n");
        assert_eq!(text, "0 > AT+CSQ\n12 < +CSQ: 20,99\n12 < OK\n");
    }

    proptest! {
        #[test]
        fn entries_read_back(at in 0..u64::from(u32::MAX), text: String, host: bool) {
            let side = if host { Side::Host } else { Side::Modem };
            let entry = Entry { at: ms(at), side, text };
            let line = entry.to_line();
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert_eq!(Entry::parse(line.trim_end_matches('\n')), Some(entry));
        }

        #[test]
        fn any_line_is_read_or_refused(line: String) {
            _ = Entry::parse(&line);
        }
    }
}
