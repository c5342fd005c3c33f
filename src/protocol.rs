//! The control protocol between `a7670e run` and whoever asks it: one JSON
//! object a line, described for other programs in `docs/control-protocol.md`.

mod messages;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::at::{self, AtError, Command};
use crate::config::Control;
use crate::modem::inventory::{Modem, Unrecognised};
use crate::modem::usb_path::UsbPath;
use crate::session::Report;
pub use messages::{MessagesCall, SmsEvent, SmsList, Text, Watching};

/// The version of the protocol that this program speaks.
pub const VERSION: u32 = 1;

/// Where the daemon listens unless told otherwise.
pub const SOCKET: &str = "/run/a7670e/control.sock";

/// Longest line that either side accepts, in bytes without the newline. A
/// status with two modems is 2 kB.
pub const MAX_LINE: usize = 65_536;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Protocol version that the client speaks.
    pub v: u32,
    /// Chosen by the client; the reply repeats it.
    pub id: u64,
    /// What to do.
    pub method: String,
    /// With what.
    #[serde(default, skip_serializing_if = "Params::is_empty")]
    pub params: Params,
}

/// The parameters of all methods; each takes some.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Place of the modem on the bus; none for the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modem: Option<UsbPath>,
    /// An AT command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Seconds that the modem may take; none for what its manual says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u16>,
    /// A text message to send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Text>,
    /// Who shall have the AT port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// The number of a text message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// What to ask by USSD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Where messages were left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<UsbPath>,
}

impl Params {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Params::default()
    }
}

/// A request that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Everything that is known.
    Status,
    /// Send a command to a modem.
    At {
        /// Which modem; none for the only one.
        modem: Option<UsbPath>,
        /// The command.
        command: Command,
    },
    /// Tell who has the AT port, and who shall have it.
    Control {
        /// Which modem; none for the only one.
        modem: Option<UsbPath>,
        /// Who shall; none to leave it.
        wanted: Option<Control>,
    },
    /// What was said on a modem's AT port since the last time.
    Transcript {
        /// Which modem; none for the only one.
        modem: Option<UsbPath>,
    },
    /// Something about text messages.
    Messages {
        /// Which modem; none for the only one.
        modem: Option<UsbPath>,
        /// What.
        call: MessagesCall,
    },
    /// Ask the network by USSD.
    Ussd {
        /// Which modem; none for the only one.
        modem: Option<UsbPath>,
        /// What, or the answer to what it asked; none to end the dialogue.
        text: Option<String>,
    },
    /// Tell of text messages from now on.
    Watch {
        /// Of which modem; none for all, or the only one.
        modem: Option<UsbPath>,
        /// First of those that are kept already, of higher numbers than this.
        after: Option<u64>,
    },
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply<T> {
    /// Protocol version of the reply.
    pub v: u32,
    /// The request's `id`; 0 when the request could not be read.
    pub id: u64,
    /// `result` or `error`.
    #[serde(flatten)]
    pub outcome: Outcome<T>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome<T> {
    /// It was done.
    Result(T),
    /// It was not.
    Error(Failure),
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For programs.
    pub code: FailureCode,
    /// For people.
    pub message: String,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// The line is no request.
    BadRequest,
    /// The daemon does not speak the request's version.
    UnsupportedVersion,
    /// There is no such method.
    UnknownMethod,
    /// All of the daemon's connections are in use.
    Busy,
    /// There is no such modem, or more than one and none was named.
    NoModem,
    /// The modem gave no answer.
    NoAnswer,
    /// The daemon could not do it; the message says why.
    Failed,
    /// The modem, or the configuration, has no text messages.
    Unsupported,
    /// It must not be done, or cannot be now.
    Refused,
    /// There is no such text message.
    NoMessage,
}

/// Result of the method `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon itself.
    pub daemon: DaemonStatus,
    /// The modems on the USB bus, ordered by place.
    pub modems: Vec<ModemStatus>,
    /// Devices with a modem's ids whose interfaces match no composition we
    /// know.
    pub unrecognised: Vec<Unrecognised>,
}

/// A modem, in `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModemStatus {
    /// What the bus shows of it.
    #[serde(flatten)]
    pub modem: Modem,
    /// How it is; none in the first moments.
    pub session: Option<Report>,
}

/// Result of the method `at`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtAnswer {
    /// Whether the modem did it.
    pub ok: bool,
    /// The lines between command and result.
    pub lines: Vec<String>,
    /// The result: `OK`, `ERROR`, `+CME ERROR: 10 (SIM not inserted)`.
    pub result: String,
    /// Milliseconds from the command to its result; none for a refusal.
    pub took_ms: Option<u64>,
}

/// Result of the method `transcript`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// Its lines, in the form of [`crate::modem::transcript`].
    pub text: String,
}

/// The daemon, in `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_s: u64,
}

/// A reply that the request failed.
#[must_use]
pub fn failed(id: u64, code: FailureCode, message: impl Into<String>) -> Reply<()> {
    Reply { v: VERSION, id, outcome: Outcome::Error(Failure { code, message: message.into() }) }
}

/// A reply that it was done.
#[must_use]
pub fn done<T>(id: u64, result: T) -> Reply<T> {
    Reply { v: VERSION, id, outcome: Outcome::Result(result) }
}

/// Reads one request line: its number and what it asks for. Pure.
///
/// # Errors
/// The reply to a line that asks for nothing that there is.
pub fn parse(line: &[u8]) -> Result<(u64, Call), Reply<()>> {
    // The version first: what the rest means depends on it.
    #[derive(Deserialize)]
    struct Envelope {
        v: u32,
        #[serde(default)]
        id: u64,
    }
    let bad = |id, why: String| failed(id, FailureCode::BadRequest, format!("no request: {why}"));
    let envelope: Envelope =
        serde_json::from_slice(line).map_err(|error| bad(0, error.to_string()))?;
    let id = envelope.id;
    if envelope.v != VERSION {
        let message = format!("version {} is not spoken here; use {VERSION}", envelope.v);
        return Err(failed(id, FailureCode::UnsupportedVersion, message));
    }
    let request: Request =
        serde_json::from_slice(line).map_err(|error| bad(id, error.to_string()))?;
    if request.method.starts_with("sms-") {
        let method = request.method.clone();
        return messages::parse(request).map_err(|why| match why {
            Some(why) => bad(id, why),
            None => unknown(id, &method),
        });
    }
    if request.method == "ussd" {
        let Params { modem, code: text, .. } = request.params.clone();
        let taken = Params { modem: modem.clone(), code: text.clone(), ..Params::default() };
        return match taken == request.params {
            true => Ok((id, Call::Ussd { modem, text })),
            false => Err(bad(id, "`ussd` takes `modem` and `code` alone".into())),
        };
    }
    let Params { modem, command, timeout_s, message, control, id: number, code, from } =
        request.params;
    if code.is_some() || from.is_some() {
        return Err(bad(id, format!("`{}` takes neither `code` nor `from`", request.method)));
    }
    if request.method == "control" && (command.is_some() || timeout_s.is_some()) {
        return Err(bad(id, "`control` takes no such parameter".into()));
    }
    if request.method != "control" && control.is_some() {
        return Err(bad(id, format!("`{}` takes no `control`", request.method)));
    }
    if message.is_some() || number.is_some() {
        let why = format!("`{}` takes neither `message` nor `id`", request.method);
        return Err(bad(id, why));
    }
    let call = match (request.method.as_str(), modem, command, timeout_s) {
        ("status", None, None, None) => Call::Status,
        ("transcript", modem, None, None) => Call::Transcript { modem },
        ("control", modem, ..) => Call::Control { modem, wanted: control },
        ("at", modem, Some(text), timeout_s) => {
            let mut command = Command::typed(&text).map_err(|error| bad(id, error.to_string()))?;
            if let Some(seconds) = timeout_s {
                command = command.within(Duration::from_secs(u64::from(seconds.max(1))));
            }
            Call::At { modem, command }
        }
        ("at", _, None, _) => return Err(bad(id, "`at` needs `command`".into())),
        (method @ ("status" | "transcript"), ..) => {
            return Err(bad(id, format!("`{method}` takes no such parameter")));
        }
        (other, ..) => return Err(unknown(id, other)),
    };
    Ok((id, call))
}

fn unknown(id: u64, method: &str) -> Reply<()> {
    let message = format!(
        "there is no method `{method}`; there are `status`, `at`, `transcript`, `control`, \
         `sms-send`, `sms-list`, `sms-outbox`, `sms-show`, `sms-delete`, `sms-adopt`, `sms-watch`, \
         `ussd`"
    );
    failed(id, FailureCode::UnknownMethod, message)
}

/// What came of a command, as a reply.
///
/// # Errors
/// The reply that there is no answer.
pub fn at_answer(
    id: u64,
    result: Result<at::Reply, AtError>,
) -> Result<Reply<AtAnswer>, Reply<()>> {
    match result {
        Ok(reply) => Ok(done(
            id,
            AtAnswer {
                ok: true,
                lines: reply.lines,
                result: reply.result.to_string(),
                took_ms: Some(u64::try_from(reply.took.as_millis()).unwrap_or(u64::MAX)),
            },
        )),
        Err(AtError::Refused(result)) => {
            let result = result.to_string();
            Ok(done(id, AtAnswer { ok: false, lines: Vec::new(), result, took_ms: None }))
        }
        Err(error) => Err(failed(id, FailureCode::NoAnswer, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::ControlReport;

    fn answer(line: &str) -> Result<(u64, Call), String> {
        parse(line.as_bytes()).map_err(|reply| serde_json::to_string(&reply).unwrap())
    }

    #[test]
    fn reads_what_is_documented() {
        assert_eq!(answer(r#"{"v":1,"id":9,"method":"status"}"#), Ok((9, Call::Status)));
        let line = r#"{"v":1,"id":2,"method":"control","params":{"control":"direct"}}"#;
        let wanted = Some(Control::Direct);
        assert_eq!(answer(line), Ok((2, Call::Control { modem: None, wanted })));
        let line = r#"{"v":1,"id":8,"method":"at","params":{"modem":"1-1.2","command":"AT+CSQ","timeout_s":3}}"#;
        let command = Command::typed("AT+CSQ").unwrap().within(Duration::from_secs(3));
        let modem = Some("1-1.2".parse().unwrap());
        assert_eq!(answer(line), Ok((8, Call::At { modem, command })));
        // And what the client writes is what is read.
        let params = Params { command: Some("ATI".into()), ..Params::default() };
        let request = Request { v: VERSION, id: 1, method: "at".into(), params };
        let line = serde_json::to_string(&request).unwrap();
        let command = Command::typed("ATI").unwrap();
        assert_eq!(answer(&line), Ok((1, Call::At { modem: None, command })));
    }

    #[test]
    fn the_documented_answers_are_those_that_this_program_gives() {
        let text = include_str!("../docs/control-protocol.md");
        let block = |start: &str| -> String {
            let start = text.find(start).unwrap();
            text[start..]
                .lines()
                .take_while(|line| line.starts_with("    "))
                .map(str::trim)
                .collect()
        };
        let line = block(r#"    {"v":1,"id":7,"result""#);
        let reply: Reply<Status> = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::to_string(&reply).unwrap(), line);
        let line = block(r#"    {"v":1,"id":2,"result""#);
        let reply: Reply<ControlReport> = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::to_string(&reply).unwrap(), line);
        let line = block(r#"    {"v":1,"id":8,"result""#);
        let reply: Reply<AtAnswer> = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::to_string(&reply).unwrap(), line);
        let line = block(r#"    {"v":1,"id":9,"result""#);
        let reply: Reply<SmsList> = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::to_string(&reply).unwrap(), line);
        let line = block(r#"    {"v":1,"id":11,"result""#);
        let reply: Reply<crate::sms::ussd::Told> = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::to_string(&reply).unwrap(), line);
        let line = block(r#"    {"v":1,"id":10,"modem""#);
        let event: SmsEvent = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), line);
    }

    #[test]
    fn refuses_with_a_code_and_the_request_number() {
        for (line, id, code) in [
            ("", 0, "bad-request"),
            ("status", 0, "bad-request"),
            (r#"{"v":1,"id":3}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"status","force":true}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"status","params":{"command":"AT"}}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"at"}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"at","params":{"command":"ATD*99#"}}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"at","params":{"command":"AT\rAT"}}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"status","params":{"id":1}}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"status","params":{"control":"direct"}}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"control","params":{"control":"me"}}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"sms-send"}"#, 3, "bad-request"),
            (
                r#"{"v":1,"id":3,"method":"sms-send","params":{"message":{"to":["x"],"text":""}}}"#,
                3,
                "bad-request",
            ),
            (r#"{"v":1,"id":3,"method":"sms-show"}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"status","params":{"code":"*1#"}}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"sms-list","params":{"code":"*1#"}}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"ussd","params":{"id":1}}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"sms-adopt"}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"sms-adopt","params":{"from":"../x"}}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"sms-list","params":{"from":"1-1"}}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"sms-burn"}"#, 3, "unknown-method"),
            (r#"{"v":2,"id":4,"verb":"x"}"#, 4, "unsupported-version"),
            (r#"{"v":1,"id":5,"method":"reboot"}"#, 5, "unknown-method"),
        ] {
            let reply = answer(line).unwrap_err();
            let start = format!(r#"{{"v":1,"id":{id},"error":{{"code":"{code}","message":""#);
            assert!(reply.starts_with(&start), "{line}: {reply}");
        }
    }

    #[test]
    fn a_refusal_by_the_modem_is_an_answer_and_silence_is_none() {
        let refused = at_answer(1, Err(AtError::Refused(at::Final::Error))).unwrap();
        assert!(matches!(refused.outcome, Outcome::Result(AtAnswer { ok: false, .. })));
        let silent = at_answer(1, Err(AtError::PortClosed)).unwrap_err();
        assert!(matches!(
            silent.outcome,
            Outcome::Error(Failure { code: FailureCode::NoAnswer, .. })
        ));
    }
}
