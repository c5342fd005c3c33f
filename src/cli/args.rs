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

/// What `--help` prints.
pub const HELP: &str = "\
a7670e - brings a SIMCom A7670E LTE USB modem online and keeps it there

Usage: a7670e COMMAND [OPTION]...

Commands:
  status     How the modems are: ports, network, signal, data, and the verdict.
  why        Why it is not online, or that it is: the verdict, the facts behind
             it, what the service does next and when.
  plan       What the network is to be like, and what is still to be done.
  signal     How well the modem hears; with --watch a line a second.
  usage      Data used this month, what is left, and what it comes to.
  at CMD     Sends an AT command through the service: a7670e at AT+CSQ
  sms send --to NUMBER [--to NUMBER]... TEXT|-
             Sends a text message, or what standard input has: --report for a
             status report, --validity 1d, --priority high, --flash. It is on
             the disk when the command ends, and is sent as soon as it can be.
  sms list, outbox, show N, delete N, watch [--after N]
             Messages that came and went; watch: a line of JSON for each thing
             that happens, with --after first for each that is kept after N.
  sms adopt PLACE  Takes over the messages of a modem that was at this place, when
             neither it nor its SIM is there any more. Else they go along by
             themselves.
  sms code [--key FILE] [--counter N] COMMAND
             What to send to a device for a command by text message: status,
             why, reboot, apn NAME (key: /etc/a7670e.key; counter: the clock).
  ussd CODE|ANSWER|--cancel
             Asks the network, for example a7670e ussd '*144#', or answers it.
  control [direct|modemmanager]
             Who has the AT port; with a word, who shall have it until the
             service is started again.
  record FILE  Records what is said on the AT port to FILE, with all that tells
             who you are replaced, for the emulator and for bug reports.
  test [URL] Latency, loss and bandwidth through the modem, within a budget of
             bytes, by a page with plain HTTP
             (default http://speedtest.tele2.net/10MB.zip).
  doctor     Asks the modem all there is to ask, and says which errors are
             harmless; ten seconds.
  metrics    The same as status, as Prometheus text.
  run        The service: finds the modem, brings it online, keeps it there.
             Normally started by systemd (systemctl start a7670e).
  check-config [FILE]
             Checks what the service would read, /etc/a7670e.toml over
             /etc/a7670e/provisioning.toml, or FILE alone; shows what it comes to,
             without secrets, or the first mistake with file, line and column.
  first-boot Makes this device the unit that its card says: host name, keys,
             access point, files; then wipes what it read. Run at each boot by
             systemd; --dry-run tells the steps, --root DIR is for a tree.
  enrol      What the flashing desk is to know of this unit: IMEI, ICCID, Ethernet
             address, serial number; JSON, or with --sms a text message.
  forget     Takes away what a service that was killed left in NetworkManager;
             for the removal of the package.
  net-name   Renames a modem's network device to the next free wwan0, wwan1...
             Called by udev: a7670e net-name usb0

Options of all but run, check-config, first-boot, forget and net-name:
  --modem PLACE    the modem at this place on the USB bus, for example 1-1.2
  --socket PATH    the control socket (default /run/a7670e/control.sock)
  --json           status, why, plan, usage, at, control, test, doctor, sms,
                   ussd: JSON, not text
  --watch          status, why, signal: again every second, until Ctrl-C
  --timeout S      at: seconds that the modem may take
  --seconds S      record: how long (default 60)
  --bytes N        test: most bytes to spend (default 2000000)

Options of run:
  --socket PATH        the control socket
  --config FILE        the configuration (default /etc/a7670e.toml)
  --provisioning FILE  what the flashing desk left
                       (default /etc/a7670e/provisioning.toml)
  --state DIR          what outlives the service (default /var/lib/a7670e)
  --sysfs DIR          look for devices in DIR instead of /sys
  --dev DIR            look for serial ports in DIR instead of /dev

  -h, --help       Show this help
  -V, --version    Show the version

Exit status: 0 done, 1 failed, 2 wrong usage, 3 the service is not running,
4 the modem refused (at).
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
            ..Options::default()
        };
        assert_eq!(parsed("run --sysfs=/x --socket /y --dev /z"), Ok(Command::Run(options)));
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
