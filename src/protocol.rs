//! The control protocol between `a7670e run` and whoever asks it: one JSON
//! object a line, described for other programs in `docs/control-protocol.md`.

use serde::{Deserialize, Serialize};

use crate::modem::inventory::Inventory;

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
}

/// Result of the method `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon itself.
    pub daemon: DaemonStatus,
    /// What it sees on the USB bus.
    #[serde(flatten)]
    pub inventory: Inventory,
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

/// Answers one request line. Pure: `status` is the state to report.
pub fn answer(line: &[u8], status: impl FnOnce() -> Status) -> Reply<Status> {
    let fail = |id, code, message: String| Reply {
        v: VERSION,
        id,
        outcome: Outcome::Error(Failure { code, message }),
    };
    // The version first: what the rest means depends on it.
    #[derive(Deserialize)]
    struct Envelope {
        v: u32,
        #[serde(default)]
        id: u64,
    }
    let envelope: Envelope = match serde_json::from_slice(line) {
        Ok(envelope) => envelope,
        Err(error) => {
            return fail(0, FailureCode::BadRequest, format!("no request: {error}"));
        }
    };
    if envelope.v != VERSION {
        let message = format!("version {} is not spoken here; use {VERSION}", envelope.v);
        return fail(envelope.id, FailureCode::UnsupportedVersion, message);
    }
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            return fail(envelope.id, FailureCode::BadRequest, format!("no request: {error}"));
        }
    };
    match request.method.as_str() {
        "status" => Reply { v: VERSION, id: request.id, outcome: Outcome::Result(status()) },
        other => {
            let message = format!("there is no method `{other}`; there is `status`");
            fail(request.id, FailureCode::UnknownMethod, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let daemon = DaemonStatus { version: "1.2.3".into(), pid: 42, uptime_s: 7 };
        Status { daemon, inventory: Inventory::default() }
    }

    fn text(line: &str) -> String {
        serde_json::to_string(&answer(line.as_bytes(), status)).unwrap()
    }

    #[test]
    fn answers_as_documented() {
        assert_eq!(
            text(r#"{"v":1,"id":9,"method":"status"}"#),
            r#"{"v":1,"id":9,"result":{"daemon":{"version":"1.2.3","pid":42,"uptime_s":7},"modems":[],"unrecognised":[]}}"#
        );
    }

    #[test]
    fn the_documented_answer_is_one_that_this_program_gives() {
        let text = include_str!("../docs/control-protocol.md");
        let start = text.find(r#"    {"v":1,"id":7,"result""#).unwrap();
        let block = text[start..].lines().take_while(|line| line.starts_with("    "));
        let line: String = block.map(str::trim).collect();
        let reply: Reply<Status> = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::to_string(&reply).unwrap(), line);
    }

    #[test]
    fn refuses_with_a_code_and_the_request_number() {
        for (line, id, code) in [
            ("", 0, "bad-request"),
            ("status", 0, "bad-request"),
            (r#"{"v":1,"id":3}"#, 3, "bad-request"),
            (r#"{"v":1,"id":3,"method":"status","force":true}"#, 3, "bad-request"),
            (r#"{"v":2,"id":4,"verb":"x"}"#, 4, "unsupported-version"),
            (r#"{"v":1,"id":5,"method":"reboot"}"#, 5, "unknown-method"),
        ] {
            let reply = text(line);
            let start = format!(r#"{{"v":1,"id":{id},"error":{{"code":"{code}","message":""#);
            assert!(reply.starts_with(&start), "{line}: {reply}");
        }
    }

    #[test]
    fn a_reply_reads_back() {
        for line in [r#"{"v":1,"id":9,"method":"status"}"#, "nonsense"] {
            let reply = answer(line.as_bytes(), status);
            let text = serde_json::to_vec(&reply).unwrap();
            assert_eq!(serde_json::from_slice::<Reply<Status>>(&text).unwrap(), reply);
        }
    }
}
