//! `a7670e ussd`: questions to the network.

use std::time::Duration;

use anyhow::{Result, bail};
use lexopt::Arg::{Long, Short, Value};
use lexopt::{Error, Parser, ValueExt};

use super::args::{Asked, Command, Question};
use super::client::{Client, write_out};
use crate::protocol::{self, Params};
use crate::sms::ussd::{Stage, Told};

/// What the service may take: IMS off and on, and the network's minute.
const TAKES: Duration = Duration::from_secs(120);

/// Reads what follows `ussd`.
pub fn parse(parser: &mut Parser) -> Result<Command, Error> {
    let mut asked =
        Asked { socket: protocol::SOCKET.into(), modem: None, json: false, watch: false };
    let (mut code, mut cancel) = (None, false);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("socket") => asked.socket = parser.value()?.into(),
            Long("modem") => asked.modem = Some(parser.value()?.parse()?),
            Long("json") => asked.json = true,
            Long("cancel") => cancel = true,
            Value(value) if code.is_none() => code = Some(value.string()?),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    if code.is_some() == cancel {
        return Err("ussd needs a code such as '*144#', an answer, or --cancel".into());
    }
    Ok(Command::Ask(Question::Ussd(code), asked))
}

/// Asks, and shows what the network says.
///
/// # Errors
/// There is no answer, or the network has none.
pub fn run(client: &mut Client, asked: &Asked, code: Option<&str>) -> Result<()> {
    let params =
        Params { modem: asked.modem.clone(), code: code.map(str::to_owned), ..Params::default() };
    let told: Told = client.ask("ussd", params, TAKES)?;
    if asked.json {
        return write_out(&super::line(&told)?);
    }
    match told.stage {
        Stage::Unsupported => bail!("the network does not know this code"),
        Stage::TimedOut => bail!("the network did not answer in time; try again later"),
        Stage::Elsewhere => bail!("another program at the modem has the dialogue"),
        Stage::Done | Stage::More | Stage::Ended => {}
    }
    if !told.text.is_empty() {
        write_out(&format!("{}\n", told.text.trim_end()))?;
    }
    if told.stage == Stage::More {
        eprintln!("(the network waits: a7670e ussd ANSWER, or a7670e ussd --cancel)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::args;
    use super::*;

    #[test]
    fn a_code_or_the_end_of_it() {
        let parsed = |line: &str| {
            args::parse(line.split_whitespace().map(OsString::from)).map_err(|e| e.to_string())
        };
        let question = |line: &str| match parsed(line) {
            Ok(Command::Ask(Question::Ussd(code), _)) => code,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(question("ussd *144#").as_deref(), Some("*144#"));
        assert_eq!(question("ussd --json --modem 1-1 1").as_deref(), Some("1"));
        assert_eq!(question("ussd --cancel"), None);
        for line in ["ussd", "ussd --cancel *144#", "ussd 1 2", "ussd --report"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
