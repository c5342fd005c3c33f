//! A command to send, how long the modem may take for it, and which lines are
//! its own.

use std::fmt;
use std::time::Duration;

/// A command line, and what may follow it.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    text: String,
    timeout: Duration,
    payload: Option<Vec<u8>>,
    secret: bool,
}

/// A text that is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCommand {
    /// It does not begin with `AT`.
    #[error("`{0}` does not begin with AT")]
    NotAt(String),
    /// It has a character that would end it, or that is not ASCII.
    #[error("character {0} of the command is not printable ASCII: send one line at a time")]
    Unprintable(usize),
    /// It is longer than the modem's line buffer.
    #[error("the command has {0} characters; the modem takes 559")]
    TooLong(usize),
    /// It would turn the port from commands to data.
    #[error("`{0}` makes the port carry data, which would take it from the daemon")]
    DataMode(String),
}

/// Longest command line: SIMCom A76XX AT Command Manual V1.09 §1.4, "the
/// command line buffer can accept a maximum of 559 characters".
const MAX_COMMAND: usize = 559;

/// Most commands: SIMCom A76XX AT Command Manual V1.09, "Max Response Time
/// 9000ms" in the command's own table.
const USUAL: Duration = Duration::from_secs(9);

/// Commands that may take longer or shorter, by name. Where no other source
/// stands, it is the same manual's "Max Response Time".
const TIMEOUTS: &[(&str, Duration)] = &[
    // Does nothing, so there is nothing to wait for.
    ("", Duration::from_secs(2)),
    ("I", Duration::from_secs(120)),
    ("&V", Duration::from_secs(120)),
    ("+COPS", Duration::from_secs(60)),
    // Ten seconds seen on an A7602E-H: ModemManager commit 7c490818.
    ("+CRSM", Duration::from_secs(20)),
    // A full store: ModemManager commit 5056936b.
    ("+CMGL", Duration::from_secs(120)),
    ("+CNMP", Duration::from_secs(10)),
    ("+CMGS", Duration::from_secs(40)),
    ("+CMGW", Duration::from_secs(40)),
    ("+CMSS", Duration::from_secs(40)),
    ("+CMGRD", Duration::from_secs(40)),
    ("+CMGSEX", Duration::from_secs(40)),
    ("+CMSSEX", Duration::from_secs(40)),
    ("+CCONCINDEX", Duration::from_secs(12)),
    ("+NETOPEN", Duration::from_secs(120)),
    // Attach and detach wait for the network: TS 24.301 T3410 15 s, five tries.
    ("+CGATT", Duration::from_secs(75)),
    ("+CGACT", Duration::from_secs(75)),
    // Brings the protocol stack down in order, detach included.
    ("+CFUN", Duration::from_secs(20)),
    ("$QCRMCALL", Duration::from_secs(60)),
];

/// A scan of all operators takes minutes (TS 27.007 §7.3 sets no limit;
/// ModemManager waits 300 s).
const SCAN: Duration = Duration::from_secs(300);

impl Command {
    /// A command that this program makes. Characters that would end a command
    /// line are left out, so that no value in it can start another.
    pub fn new(text: impl AsRef<str>) -> Command {
        let text: String = text.as_ref().chars().filter(|c| !c.is_control()).collect();
        let timeout = timeout(&text);
        Command { text, timeout, payload: None, secret: false }
    }

    /// A command that a person typed.
    ///
    /// # Errors
    /// It is no single command line, or one that would take the port away.
    pub fn typed(text: &str) -> Result<Command, BadCommand> {
        let text = text.trim();
        if let Some(at) = text.chars().position(|c| !c.is_ascii() || c.is_ascii_control()) {
            return Err(BadCommand::Unprintable(at + 1));
        }
        if text.len() > MAX_COMMAND {
            return Err(BadCommand::TooLong(text.len()));
        }
        let upper = text.to_ascii_uppercase();
        let Some(rest) = upper.strip_prefix("AT") else {
            return Err(BadCommand::NotAt(text.to_owned()));
        };
        if rest.contains("D*99") || rest.contains("+CGDATA") || rest.starts_with('O') {
            return Err(BadCommand::DataMode(text.to_owned()));
        }
        Ok(Command::new(text))
    }

    /// With text to send at the prompt; the channel ends it with Ctrl-Z.
    pub fn with_payload(mut self, payload: impl Into<Vec<u8>>) -> Command {
        self.payload = Some(payload.into());
        self
    }

    /// With a secret in it: its text appears in no log.
    pub fn secret(mut self) -> Command {
        self.secret = true;
        self
    }

    /// With another time limit.
    pub fn within(mut self, timeout: Duration) -> Command {
        self.timeout = timeout;
        self
    }

    /// The line, without its end.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line for a log.
    pub fn shown(&self) -> &str {
        if self.secret {
            self.text.split_once('=').map_or("AT", |parts| parts.0)
        } else {
            &self.text
        }
    }

    /// How long the modem may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What is typed at the prompt, in tests.
    #[cfg(test)]
    pub(crate) fn typed_at_prompt(&self) -> Option<&[u8]> {
        self.payload()
    }

    pub(super) fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    /// The prefix of a line that may be this command's reply although it looks
    /// like an unsolicited code. A command that only sets something has none.
    pub(super) fn claims(&self) -> Option<&str> {
        let name = name(&self.text);
        let rest = self.text.get(2 + name.len()..).unwrap_or_default();
        (name.len() > 1 && matches!(rest, "" | "?")).then_some(name)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("text", &self.shown())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The name of a command: `+CEREG` of `AT+CEREG?`, `I` of `ATI`, `` of `AT`.
fn name(text: &str) -> &str {
    let Some(rest) = text.get(2..) else { return "" };
    let sign = usize::from(rest.starts_with(['+', '$', '*', '&', '^']));
    let letters = rest[sign..].bytes().take_while(u8::is_ascii_alphabetic).count();
    &rest[..sign + letters]
}

fn timeout(text: &str) -> Duration {
    let name = name(text);
    if text.eq_ignore_ascii_case("AT+COPS=?") {
        return SCAN;
    }
    TIMEOUTS.iter().find(|row| row.0.eq_ignore_ascii_case(name)).map_or(USUAL, |row| row.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_its_time_limit() {
        for (text, seconds) in [
            ("AT", 2),
            ("ATI", 120),
            ("AT+CPIN?", 9),
            ("AT+COPS?", 60),
            ("AT+COPS=?", 300),
            ("AT+CRSM=176,28589,0,0,4", 20),
            ("at+cmgl=4", 120),
        ] {
            assert_eq!(Command::new(text).timeout().as_secs(), seconds, "{text}");
        }
    }

    #[test]
    fn only_a_question_claims_lines() {
        assert_eq!(Command::new("AT+CEREG?").claims(), Some("+CEREG"));
        assert_eq!(Command::new("AT+CSQ").claims(), Some("+CSQ"));
        for text in ["AT+CEREG=2", "AT+CPIN=\"1234\"", "AT+CEREG=?", "AT", "ATE0"] {
            assert_eq!(Command::new(text).claims(), None, "{text}");
        }
    }

    #[test]
    fn a_value_cannot_start_another_command() {
        assert_eq!(Command::new("AT+X=\"a\r\nAT+CRESET\"").text(), "AT+X=\"aAT+CRESET\"");
    }

    #[test]
    fn what_is_typed_must_be_one_command() {
        assert!(Command::typed(" at+csq ").is_ok());
        assert_eq!(Command::typed("AT\rAT"), Err(BadCommand::Unprintable(3)));
        assert!(matches!(Command::typed("hello"), Err(BadCommand::NotAt(_))));
        assert!(matches!(Command::typed("ATD*99#"), Err(BadCommand::DataMode(_))));
        assert!(matches!(Command::typed(&"AT".repeat(300)), Err(BadCommand::TooLong(600))));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let command = Command::new("AT+CPIN=\"1234\"").secret();
        assert!(!format!("{command:?}").contains("1234"));
        assert_eq!(command.shown(), "AT+CPIN");
    }
}
