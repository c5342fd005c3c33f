//! Answers of a real modem, from a recorded transcript.
//!
//! A transcript has one JSON object per line, in the order of time:
//!
//! ```json
//! {"t_ms": 120, "dir": "tx", "port": "at", "text": "AT+CSQ\r"}
//! {"t_ms": 128, "dir": "rx", "port": "at", "text": "\r\n+CSQ: 17,99\r\n\r\nOK\r\n"}
//! ```
//!
//! `tx` is from the host. A command that was recorded gets the recorded answer
//! at the recorded pace, its first one first and its last one from then on. One
//! that was not is answered by the profile; so are commands with a prompt, and
//! what the modem says unasked at its start is the profile's.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::Deserialize;

use crate::modem::Port;

/// Pieces of an answer, with the time from the command to each.
pub(crate) type Pieces = Vec<(Duration, String)>;

/// Recorded answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    answers: HashMap<(Port, String), VecDeque<Pieces>>,
}

/// A line that is not one of a transcript.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TranscriptError {
    line: usize,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Tx,
    Rx,
}

#[derive(Deserialize)]
struct Entry {
    t_ms: u64,
    dir: Direction,
    port: Port,
    text: String,
}

impl Transcript {
    /// Reads a transcript.
    ///
    /// # Errors
    /// A line that is not JSON, has not these keys, or goes back in time.
    pub fn parse(text: &str) -> Result<Transcript, TranscriptError> {
        let mut transcript = Transcript::default();
        // Per port: the command under way, when it came, what followed.
        let mut asked: HashMap<Port, (String, u64, Pieces)> = HashMap::new();
        let mut last = 0;
        for (index, text) in text.lines().enumerate().filter(|(_, it)| !it.trim().is_empty()) {
            let wrong = |reason: String| TranscriptError { line: index + 1, reason };
            let entry: Entry =
                serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            if entry.t_ms < last {
                return Err(wrong(format!("t_ms goes back from {last} to {}", entry.t_ms)));
            }
            last = entry.t_ms;
            match entry.dir {
                Direction::Tx => {
                    let begun = (key(&entry.text), entry.t_ms, Pieces::new());
                    if let Some(over) = asked.insert(entry.port, begun) {
                        transcript.keep(entry.port, over);
                    }
                }
                Direction::Rx => {
                    if let Some((_, since, pieces)) = asked.get_mut(&entry.port) {
                        pieces.push((Duration::from_millis(entry.t_ms - *since), entry.text));
                    }
                }
            }
        }
        for (port, over) in asked {
            transcript.keep(port, over);
        }
        Ok(transcript)
    }

    fn keep(&mut self, port: Port, (command, _, mut pieces): (String, u64, Pieces)) {
        // The echo is made anew.
        if let Some((_, first)) = pieces.first_mut() {
            let echo = first.get(..command.len()).filter(|it| it.eq_ignore_ascii_case(&command));
            if let Some(rest) = echo.and_then(|echo| first.get(echo.len()..)) {
                *first = rest.strip_prefix('\r').unwrap_or(rest).to_owned();
            }
        }
        pieces.retain(|(_, text)| !text.is_empty());
        let prompts = pieces.last().is_some_and(|(_, text)| text.ends_with("> "));
        if command.starts_with("AT") && !pieces.is_empty() && !prompts {
            self.answers.entry((port, command)).or_default().push_back(pieces);
        }
    }

    /// The recorded answer to a command line, if there is one.
    pub(crate) fn answer(&mut self, port: Port, line: &str) -> Option<Pieces> {
        let answers = self.answers.get_mut(&(port, key(line)))?;
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
    }
}

fn key(line: &str) -> String {
    line.trim().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order_and_the_last_stays() {
        let text = r#"
{"t_ms": 0, "dir": "tx", "port": "at", "text": "AT+CSQ\r"}
{"t_ms": 8, "dir": "rx", "port": "at", "text": "AT+CSQ\r\r\n+CSQ: 1,99\r"}
{"t_ms": 9, "dir": "rx", "port": "at", "text": "\n\r\nOK\r\n"}
{"t_ms": 20, "dir": "tx", "port": "at", "text": "at+csq\r"}
{"t_ms": 25, "dir": "rx", "port": "at", "text": "\r\n+CSQ: 2,99\r\n\r\nOK\r\n"}
"#;
        let mut transcript = Transcript::parse(text).unwrap();
        let mut ask = || transcript.answer(Port::At, "AT+CSQ");
        let first = vec![
            (Duration::from_millis(8), "\r\n+CSQ: 1,99\r".to_owned()),
            (Duration::from_millis(9), "\n\r\nOK\r\n".to_owned()),
        ];
        assert_eq!(ask(), Some(first));
        let second = vec![(Duration::from_millis(5), "\r\n+CSQ: 2,99\r\n\r\nOK\r\n".to_owned())];
        assert_eq!(ask(), Some(second.clone()));
        assert_eq!(ask(), Some(second));
        assert_eq!(transcript.answer(Port::Modem, "AT+CSQ"), None);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = Transcript::parse("\n{\"t_ms\": 1}\n").unwrap_err().to_string();
        assert!(error.starts_with("line 2: missing field"), "{error}");
    }
}
