//! `a7670e sms code`: what to send for a command by text message. Needs neither
//! the service nor a modem: it is for whoever sends.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use lexopt::Arg::{Long, Short, Value};
use lexopt::{Error, Parser, ValueExt};

use super::args::Command;
use super::client::write_out;
use crate::config::SecretValue;
use crate::sms::commands::{code, is_one};
use crate::sms::spool::CLOCK_SET;

/// Where the key is unless told otherwise: as in the example of a configuration.
pub const KEY: &str = "/etc/a7670e.key";

/// What to make.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The file of the key.
    key: PathBuf,
    /// The counter; none for the second of the clock.
    counter: Option<u64>,
    /// The command.
    command: String,
}

/// Reads what follows `sms code`.
pub fn parse(parser: &mut Parser) -> Result<Command, Error> {
    let mut wanted = Wanted { key: KEY.into(), counter: None, command: String::new() };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("key") => wanted.key = parser.value()?.into(),
            Long("counter") => wanted.counter = Some(parser.value()?.parse()?),
            Value(word) => {
                if !wanted.command.is_empty() {
                    wanted.command.push(' ');
                }
                wanted.command.push_str(&word.string()?);
            }
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    if wanted.command.trim().is_empty() {
        return Err("sms code needs a command: status, why, reboot or apn NAME".into());
    }
    Ok(Command::Code(wanted))
}

/// Prints the text to send.
///
/// # Errors
/// The key cannot be read, or the clock is not set.
pub fn run(wanted: &Wanted) -> Result<()> {
    let key = SecretValue::File(wanted.key.clone()).reveal()?;
    let counter = match wanted.counter {
        Some(counter) => counter,
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock")?.as_secs();
            by_clock(now)
                .context("the clock is not set; give --counter N, higher than ever before")?
        }
    };
    let text = format!(
        "{counter} {} {}",
        code(key.reveal().as_bytes(), counter, &wanted.command),
        wanted.command
    );
    if !is_one(&text) {
        bail!("the counter has more than 18 digits");
    }
    write_out(&format!("{text}\n"))
}

/// The counter at this second of the Unix epoch, one for each second: nobody types
/// two commands within one. `None` before the clock can have been set.
fn by_clock(now: u64) -> Option<u64> {
    now.checked_sub(CLOCK_SET)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::args;
    use super::*;

    /// The device refuses a counter that it has seen, and all below.
    #[test]
    fn of_two_commands_the_later_has_the_higher_counter() {
        let now = 1_795_291_200;
        assert!(by_clock(now + 1) > by_clock(now));
        // Also higher than the minutes that were taken before.
        assert!(by_clock(now) > Some((now - CLOCK_SET) / 60));
        assert_eq!(by_clock(7), None);
    }

    #[test]
    fn words_need_no_quotes() {
        let parsed = |line: &str| {
            args::parse(line.split_whitespace().map(OsString::from)).map_err(|e| e.to_string())
        };
        let wanted = Wanted { key: "k".into(), counter: Some(7), command: "apn web".to_owned() };
        let line = "sms code --key k --counter 7 apn web";
        assert_eq!(parsed(line), Ok(Command::Code(wanted)));
        for line in ["sms code", "sms code --counter x status", "sms code --to 1 status"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
