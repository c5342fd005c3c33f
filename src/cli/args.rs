//! From arguments to a command. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg::{Long, Short, Value};
use lexopt::{Error, Parser, ValueExt};

use super::test::DEFAULT_TARGET;
use crate::config::Control;
use crate::daemon::Options;
use crate::modem::usb_path::UsbPath;
use crate::protocol;

/// What `--help` prints; manual pages and completions are made of it too (`manual`).
pub const HELP: &str = include_str!("help.txt");

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
    Ask(Question, Asked),
    /// Check the configuration.
    CheckConfig {
        /// A file to check alone.
        file: Option<PathBuf>,
    },
    /// Tell the flashing desk of this unit's hardware.
    Enrol {
        /// Which modem.
        asked: Asked,
        /// As a text message.
        sms: bool,
    },
    /// Take away what is left in other programs.
    Forget,
    /// Make the text of a command by text message.
    Code(super::code::Wanted),
    /// Make this device the unit that its card says.
    FirstBoot {
        /// `/`, or a tree.
        root: PathBuf,
        /// Whether only to tell the steps.
        dry: bool,
    },
    /// Rename a network device.
    NetName {
        /// Its present name.
        device: String,
    },
}

/// What to ask the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// How everything is.
    Status,
    /// Why it is not online.
    Why,
    /// What is to be done to the network.
    Plan,
    /// How well the modem hears.
    Signal,
    /// How much data was used.
    Usage,
    /// All numbers, for Prometheus.
    Metrics,
    /// Send this AT command.
    At {
        /// The command line.
        command: String,
        /// Seconds that it may take.
        timeout_s: Option<u16>,
    },
    /// Who has the AT port, and who shall.
    Control(Option<Control>),
    /// Measure the connection.
    Test {
        /// The page to load.
        target: String,
        /// Most bytes to spend.
        bytes: u64,
    },
    /// Text messages.
    Sms(super::sms::Wanted),
    /// Ask the network, or answer it; none ends the dialogue.
    Ussd(Option<String>),
    /// Ask the modem all there is to ask.
    Doctor,
    /// Record the AT port.
    Record {
        /// To this file.
        file: PathBuf,
        /// For so long.
        seconds: u32,
    },
}

/// How to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Where the service listens.
    pub socket: PathBuf,
    /// About which modem; none for all, or the only one.
    pub modem: Option<UsbPath>,
    /// Whether the answer shall be JSON.
    pub json: bool,
    /// Whether to ask again and again.
    pub watch: bool,
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
        "check-config" => check_config(&mut parser),
        "first-boot" => first_boot(&mut parser),
        "enrol" => enrol(&mut parser),
        "net-name" => net_name(&mut parser),
        "forget" => match parser.next()? {
            None => Ok(Command::Forget),
            Some(Short('h') | Long("help")) => Ok(Command::Help),
            Some(extra) => Err(extra.unexpected()),
        },
        "sms" => super::sms::parse(&mut parser),
        "ussd" => super::ussd::parse(&mut parser),
        "status" | "why" | "plan" | "signal" | "usage" | "metrics" | "doctor" | "at" | "record"
        | "test" | "control" => ask(&command, &mut parser),
        other => Err(format!("there is no command `{other}`").into()),
    }
}

fn run(parser: &mut Parser) -> Result<Command, Error> {
    let mut options = Options::default();
    while let Some(arg) = parser.next()? {
        let target = match arg {
            Long("sysfs") => &mut options.sysfs,
            Long("dev") => &mut options.dev,
            Long("socket") => &mut options.socket,
            Long("config") => &mut options.config,
            Long("provisioning") => &mut options.provisioning,
            Long("state") => &mut options.state,
            Long("reboot") => {
                options.reboot = Some(parser.value()?.into());
                continue;
            }
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        };
        *target = parser.value()?.into();
    }
    Ok(Command::Run(options))
}

fn ask(name: &str, parser: &mut Parser) -> Result<Command, Error> {
    let socket = PathBuf::from(protocol::SOCKET);
    let mut asked = Asked { socket, modem: None, json: false, watch: false };
    let mut word: Option<OsString> = None;
    let (mut timeout_s, mut seconds, mut bytes) = (None, 60, 2_000_000);
    while let Some(arg) = parser.next()? {
        match (arg, name) {
            (Long("socket"), _) => asked.socket = parser.value()?.into(),
            (Long("modem"), _) => asked.modem = Some(parser.value()?.parse()?),
            (
                Long("json"),
                "status" | "why" | "plan" | "usage" | "at" | "test" | "doctor" | "control",
            ) => asked.json = true,
            (Long("watch"), "status" | "why" | "signal") => asked.watch = true,
            (Long("timeout"), "at") => timeout_s = Some(parser.value()?.parse()?),
            (Long("seconds"), "record") => seconds = parser.value()?.parse()?,
            (Long("bytes"), "test") => bytes = parser.value()?.parse()?,
            (Value(value), "at" | "record" | "test" | "control") if word.is_none() => {
                word = Some(value)
            }
            (Short('h') | Long("help"), _) => return Ok(Command::Help),
            (other, _) => return Err(other.unexpected()),
        }
    }
    let question = match (name, word) {
        ("at", Some(word)) => Question::At { command: word.string()?, timeout_s },
        ("at", None) => return Err("at needs a command, for example AT+CSQ".into()),
        ("record", Some(word)) => Question::Record { file: word.into(), seconds },
        ("record", None) => return Err("record needs the name of a file to make".into()),
        ("test", word) => {
            let target = match word {
                Some(word) => word.string()?,
                None => DEFAULT_TARGET.to_owned(),
            };
            Question::Test { target, bytes }
        }
        ("control", None) => Question::Control(None),
        ("control", Some(word)) => Question::Control(Some(match word.string()?.as_str() {
            "direct" => Control::Direct,
            "modemmanager" => Control::ModemManager,
            other => return Err(format!("control is direct or modemmanager, not {other}").into()),
        })),
        ("doctor", _) => Question::Doctor,
        ("why", _) => Question::Why,
        ("plan", _) => Question::Plan,
        ("signal", _) => Question::Signal,
        ("usage", _) => Question::Usage,
        ("metrics", _) => Question::Metrics,
        _ => Question::Status,
    };
    Ok(Command::Ask(question, asked))
}

fn check_config(parser: &mut Parser) -> Result<Command, Error> {
    let mut file = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Value(name) if file.is_none() => file = Some(name.into()),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::CheckConfig { file })
}

fn enrol(parser: &mut Parser) -> Result<Command, Error> {
    let socket = PathBuf::from(protocol::SOCKET);
    let mut asked = Asked { socket, modem: None, json: true, watch: false };
    let mut sms = false;
    while let Some(arg) = parser.next()? {
        match arg {
            Long("sms") => sms = true,
            Long("modem") => asked.modem = Some(parser.value()?.parse()?),
            Long("socket") => asked.socket = parser.value()?.into(),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Enrol { asked, sms })
}

fn first_boot(parser: &mut Parser) -> Result<Command, Error> {
    let (mut root, mut dry) = (PathBuf::from("/"), false);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("dry-run") => dry = true,
            Long("root") => root = parser.value()?.into(),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::FirstBoot { root, dry })
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
    use crate::config;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    fn asked() -> Asked {
        Asked { socket: protocol::SOCKET.into(), modem: None, json: false, watch: false }
    }

    #[test]
    fn commands_and_their_options() {
        assert_eq!(parsed("--help"), Ok(Command::Help));
        assert_eq!(parsed("run --help"), Ok(Command::Help));
        assert_eq!(parsed("-V"), Ok(Command::Version));
        let options = Options {
            sysfs: "/x".into(),
            socket: "/y".into(),
            dev: "/z".into(),
            reboot: Some("/sbin/reboot".into()),
            ..Options::default()
        };
        let line = "run --sysfs=/x --socket /y --dev /z --reboot /sbin/reboot";
        assert_eq!(parsed(line), Ok(Command::Run(options)));
        let json = Asked { json: true, ..asked() };
        assert_eq!(parsed("status --json"), Ok(Command::Ask(Question::Status, json)));
        let other = Asked { modem: Some("1-1.2".parse().unwrap()), watch: true, ..asked() };
        assert_eq!(parsed("why --modem 1-1.2 --watch"), Ok(Command::Ask(Question::Why, other)));
        let at = Question::At { command: "AT+CSQ".into(), timeout_s: Some(5) };
        assert_eq!(parsed("at --timeout 5 AT+CSQ"), Ok(Command::Ask(at, asked())));
        let control = Question::Control(Some(Control::ModemManager));
        assert_eq!(parsed("control modemmanager"), Ok(Command::Ask(control, asked())));
        let control = Question::Control(None);
        let json = Asked { json: true, ..asked() };
        assert_eq!(parsed("control --json"), Ok(Command::Ask(control, json)));
        assert!(parsed("control nobody").unwrap_err().contains("direct or modemmanager"));
        let record = Question::Record { file: "x.txt".into(), seconds: 9 };
        assert_eq!(parsed("record x.txt --seconds 9"), Ok(Command::Ask(record, asked())));
        let test = Question::Test { target: "http://x/y".into(), bytes: 5 };
        assert_eq!(parsed("test --bytes 5 http://x/y"), Ok(Command::Ask(test, asked())));
        assert_eq!(parsed("check-config"), Ok(Command::CheckConfig { file: None }));
        assert_eq!(parsed("check-config x"), Ok(Command::CheckConfig { file: Some("x".into()) }));
        assert_eq!(parsed("forget"), Ok(Command::Forget));
        let json = Asked { json: true, ..asked() };
        assert_eq!(parsed("enrol --sms"), Ok(Command::Enrol { asked: json, sms: true }));
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
            ("signal --json", "--json"),
            ("why --modem 1_1", "1_1"),
            ("at", "needs a command"),
            ("at AT AT", "AT"),
            ("record", "needs the name"),
            ("check-config x y", "y"),
            ("net-name", "needs the name"),
            ("forget me", "me"),
            ("enrol --smss", "--smss"),
            ("net-name usb0 usb1", "usb1"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    #[test]
    fn the_help_names_the_real_defaults() {
        let defaults = [
            protocol::SOCKET,
            config::CONFIG,
            config::PROVISIONING,
            crate::state::FOLDER,
            DEFAULT_TARGET,
            crate::cli::code::KEY,
        ];
        for default in defaults {
            assert!(HELP.contains(default), "{default}");
        }
    }
}
