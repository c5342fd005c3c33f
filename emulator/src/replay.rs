//! Answers of a real modem, from a transcript as `a7670e record` makes it.
//!
//! A transcript is text: after a first line that says so, each line is the
//! milliseconds since its start, `>` (to the modem) or `<` (from it), and a
//! line of the dialogue, escaped as Rust escapes a string.
//!
//! ```text
//! # a7670e transcript 1
//! 120 > AT+CSQ
//! 128 < +CSQ: 17,99
//! 128 < OK
//! ```
//!
//! A command that was recorded gets the recorded answer at the recorded pace,
//! its first one first and its last one from then on. One that was not is
//! answered by the profile; so are commands with a prompt. What the modem said
//! unasked, that is after the end of an answer, is left to the profile, too.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// First line of a transcript.
const HEADER: &str = "# a7670e transcript 1";
/// Lines that end an answer (ITU-T V.250 section 5.7, TS 27.007 section 9.2).
const FINAL: [&str; 6] = ["OK", "ERROR", "NO CARRIER", "NO ANSWER", "BUSY", "NO DIALTONE"];
const FINAL_STARTS: [&str; 3] = ["+CME ERROR:", "+CMS ERROR:", "CONNECT"];

/// Pieces of an answer, with the time from the command to each.
pub(crate) type Pieces = Vec<(Duration, String)>;

/// Recorded answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    answers: HashMap<String, VecDeque<Pieces>>,
}

/// A line that is not one of a transcript.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TranscriptError {
    line: usize,
    reason: String,
}

/// A command and what followed.
struct Asked {
    command: String,
    since: u64,
    pieces: Pieces,
    over: bool,
}

impl Transcript {
    /// Reads a transcript.
    ///
    /// # Errors
    /// The first line is another, or one is not of this form or goes back in
    /// time.
    pub fn parse(text: &str) -> Result<Transcript, TranscriptError> {
        let mut transcript = Transcript::default();
        let mut asked: Option<Asked> = None;
        let mut last = 0;
        if text.lines().next().map(str::trim_end) != Some(HEADER) {
            let reason = format!("a transcript begins with {HEADER:?}");
            return Err(TranscriptError { line: 1, reason });
        }
        for (index, text) in text.lines().enumerate().skip(1) {
            if text.trim().is_empty() || text.starts_with('#') {
                continue;
            }
            let wrong = |reason: String| TranscriptError { line: index + 1, reason };
            let form = "is not \"<milliseconds> > <line>\" or the same with <";
            let (at, host, text) = entry(text).ok_or_else(|| wrong(form.into()))?;
            if at < last {
                return Err(wrong(format!("the time goes back from {last} to {at} ms")));
            }
            last = at;
            if host {
                let begun =
                    Asked { command: key(&text), since: at, pieces: Vec::new(), over: false };
                transcript.keep(asked.replace(begun));
            } else if let Some(asked) = asked.as_mut().filter(|asked| !asked.over) {
                asked.hear(at, &text);
            }
        }
        transcript.keep(asked);
        Ok(transcript)
    }

    fn keep(&mut self, asked: Option<Asked>) {
        let Some(Asked { command, pieces, .. }) = asked else { return };
        let prompts = pieces.last().is_some_and(|(_, text)| text.ends_with("> "));
        if command.starts_with("AT") && !pieces.is_empty() && !prompts {
            self.answers.entry(command).or_default().push_back(pieces);
        }
    }

    /// The recorded answer to a command line, if there is one.
    pub(crate) fn answer(&mut self, line: &str) -> Option<Pieces> {
        let answers = self.answers.get_mut(&key(line))?;
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
    }
}

impl Asked {
    /// A line of the modem's.
    fn hear(&mut self, at: u64, text: &str) {
        // The echo is made anew.
        if self.pieces.is_empty() && key(text) == self.command {
            return;
        }
        let after = Duration::from_millis(at - self.since);
        let line = if text == "> " { "\r\n> ".to_owned() } else { format!("\r\n{text}\r\n") };
        self.over = FINAL.contains(&text) || FINAL_STARTS.iter().any(|it| text.starts_with(it));
        match self.pieces.last_mut() {
            Some((before, piece)) if *before == after => piece.push_str(&line),
            _ => self.pieces.push((after, line)),
        }
    }
}

/// Milliseconds, whether the host speaks, and what.
fn entry(line: &str) -> Option<(u64, bool, String)> {
    let (ms, rest) = line.split_once(' ')?;
    let (sign, text) = rest.split_once(' ')?;
    let host = match sign {
        ">" => true,
        "<" => false,
        _ => return None,
    };
    Some((ms.parse().ok()?, host, unescape(text)?))
}

/// The inverse of `str::escape_debug`.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        plain.push(match rest.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            'u' => {
                let hex = rest.as_str().strip_prefix('{')?.split_once('}')?.0;
                rest.nth(hex.len() + 1)?;
                char::from_u32(u32::from_str_radix(hex, 16).ok()?)?
            }
            other => other,
        });
    }
    Some(plain)
}

fn key(line: &str) -> String {
    line.trim().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_come_in_order_and_the_last_stays() {
        let text = "# a7670e transcript 1\n\n0 > AT+CSQ\n0 < AT+CSQ\n8 < +CSQ: 1,99\n9 < OK\n\
                    10 < +CEREG: 1\n20 > at+csq\n25 < +CSQ: 2,99\n25 < OK\n\
                    30 > AT+CMGS=4\n31 < > \n40 > hello\n50 < OK\n60 > AT+QUIET\n";
        let mut transcript = Transcript::parse(text).unwrap();
        let mut ask = |line| transcript.answer(line);
        let first = vec![
            (Duration::from_millis(8), "\r\n+CSQ: 1,99\r\n".to_owned()),
            (Duration::from_millis(9), "\r\nOK\r\n".to_owned()),
        ];
        assert_eq!(ask("AT+CSQ"), Some(first));
        let second = vec![(Duration::from_millis(5), "\r\n+CSQ: 2,99\r\n\r\nOK\r\n".to_owned())];
        assert_eq!(ask("AT+CSQ"), Some(second.clone()));
        assert_eq!(ask("AT+CSQ"), Some(second));
        for other in ["AT+CMGS=4", "hello", "AT+QUIET"] {
            assert_eq!(ask(other), None, "{other}");
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = |text: &str| Transcript::parse(text).unwrap_err().to_string();
        assert!(error("0 > AT\n").starts_with("line 1: a transcript begins with"));
        let with = |line: &str| error(&format!("{HEADER}\n7 > AT\n{line}\n"));
        assert!(with("8 = OK").starts_with("line 3: is not"));
        assert!(with("6 < OK").starts_with("line 3: the time goes back"));
        assert!(with("8 < \\u{zz}").starts_with("line 3: is not"));
    }

    proptest! {
        #[test]
        fn escapes_are_undone(text: String) {
            prop_assert_eq!(unescape(&text.escape_debug().to_string()), Some(text));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = Transcript::parse(&format!("{HEADER}\n{text}"));
            let _ = unescape(&text);
        }
    }
}
