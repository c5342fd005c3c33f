//! From arguments to a command. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg::{Long, Short, Value};
use lexopt::{Error, Parser, ValueExt};

use crate::daemon::Options;
use crate::protocol;

/// What `--help` prints.
pub const HELP: &str = "\
a7670e - brings a SIMCom A7670E LTE USB modem online and keeps it there

Usage: a7670e COMMAND [OPTION]...

Commands:
  run        The service: watches for modems until it is told to stop.
             Normally started by systemd (systemctl start a7670e).
  status     Shows the modems that the service sees: their serial ports,
             their network device, and what is missing.
  net-name   Renames a modem's network device to the next free wwan0, wwan1...
             Called by udev: a7670e net-name usb0

Options:
  --json           status: one JSON object instead of text
  --socket PATH    run, status: the control socket
                   (default /run/a7670e/control.sock)
  --sysfs DIR      run: look for devices in DIR instead of /sys
  -h, --help       Show this help
  -V, --version    Show the version

Exit status: 0 done, 1 failed, 2 wrong usage, 3 the service is not running.
";

/// A command, ready to run.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// The service.
    Run(Options),
    /// Ask the service.
    Status {
        /// Where it listens.
        socket: PathBuf,
        /// As JSON.
        json: bool,
    },
    /// Rename a network device.
    NetName {
        /// Its present name.
        device: String,
    },
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// An unknown command or option, a missing value, or a word too many; the
/// message names it.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Error> {
    let mut parser = Parser::from_args(args);
    let command = match parser.next()? {
        None => return Err("no command given".into()),
        Some(Short('h') | Long("help")) => return Ok(Command::Help),
        Some(Short('V') | Long("version")) => return Ok(Command::Version),
        Some(Value(name)) => name.string()?,
        Some(other) => return Err(other.unexpected()),
    };
    match command.as_str() {
        "help" => Ok(Command::Help),
        "run" => run(&mut parser),
        "status" => status(&mut parser),
        "net-name" => net_name(&mut parser),
        other => Err(format!("there is no command `{other}`").into()),
    }
}

fn run(parser: &mut Parser) -> Result<Command, Error> {
    let mut options = Options { sysfs: "/sys".into(), socket: protocol::SOCKET.into() };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("sysfs") => options.sysfs = parser.value()?.into(),
            Long("socket") => options.socket = parser.value()?.into(),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Run(options))
}

fn status(parser: &mut Parser) -> Result<Command, Error> {
    let mut socket = PathBuf::from(protocol::SOCKET);
    let mut json = false;
    while let Some(arg) = parser.next()? {
        match arg {
            Long("json") => json = true,
            Long("socket") => socket = parser.value()?.into(),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Status { socket, json })
}

fn net_name(parser: &mut Parser) -> Result<Command, Error> {
    let mut device = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Value(name) if device.is_none() => device = Some(name.string()?),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    let device = device.ok_or("net-name needs the name of a network device")?;
    Ok(Command::NetName { device })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_and_their_options() {
        assert_eq!(parsed("--help"), Ok(Command::Help));
        assert_eq!(parsed("run --help"), Ok(Command::Help));
        assert_eq!(parsed("-V"), Ok(Command::Version));
        let options = Options { sysfs: "/x".into(), socket: "/y".into() };
        assert_eq!(parsed("run --sysfs=/x --socket /y"), Ok(Command::Run(options)));
        assert_eq!(
            parsed("status --json"),
            Ok(Command::Status { socket: protocol::SOCKET.into(), json: true })
        );
        assert_eq!(parsed("net-name usb0"), Ok(Command::NetName { device: "usb0".into() }));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, word) in [
            ("", "no command"),
            ("stop", "`stop`"),
            ("--json", "--json"),
            ("run --jsn", "--jsn"),
            ("run --sysfs", "--sysfs"),
            ("status now", "now"),
            ("net-name", "needs the name"),
            ("net-name usb0 usb1", "usb1"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    #[test]
    fn the_help_names_the_real_default() {
        assert!(HELP.contains(protocol::SOCKET));
    }
}
