//! Queues a text message with the service and tells what becomes of it:
//! `sms_queue [--socket PATH] NUMBER TEXT`.
//!
//! All that is needed is the control socket and JSON (docs/control-protocol.md), so
//! it is done in the same way in any language. The service keeps the message,
//! retries, and waits for the network: nothing of that is to be done here.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

fn main() -> Result<()> {
    run(std::env::args().skip(1), &mut std::io::stdout())
}

/// The example, with the arguments after its name; what it tells goes to `out`.
///
/// # Errors
/// The service is not there, refuses the message, or could not send it.
pub fn run(mut args: impl Iterator<Item = String>, out: &mut impl Write) -> Result<()> {
    let mut socket = PathBuf::from("/run/a7670e/control.sock");
    let mut words = Vec::new();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--socket" => socket = args.next().context("--socket needs a path")?.into(),
            _ => words.push(arg),
        }
    }
    let [number, text] = &words[..] else {
        bail!("usage: sms_queue [--socket PATH] NUMBER TEXT");
    };

    // One connection is told what happens, from before the message is sent.
    let mut watch = Connection::open(&socket)?;
    watch.ask("sms-watch", &json!({}))?;
    let message = json!({ "to": [number], "text": text, "report": true });
    let accepted = Connection::open(&socket)?.ask("sms-send", &json!({ "message": message }))?;
    let id = accepted["messages"][0]["id"].as_u64().context("an answer without a number")?;
    // From here on it is on the disk: it will be sent though all of this ends.
    writeln!(out, "message {id} accepted")?;
    loop {
        let event = watch.line()?;
        if event["message"]["id"] != id {
            continue;
        }
        let detail =
            event["message"]["detail"].as_str().map_or(String::new(), |d| format!(": {d}"));
        let state = event["event"].as_str().unwrap_or_default();
        match state {
            "submitted" => writeln!(out, "message {id} is with the network")?,
            "reported" => {
                writeln!(out, "message {id} has arrived")?;
                return Ok(());
            }
            "failed" | "expired" | "unknown" => bail!("message {id} is {state}{detail}"),
            _ if !detail.is_empty() => writeln!(out, "message {id} waits{detail}")?,
            _ => {}
        }
    }
}

/// A connection to the service.
struct Connection(BufReader<UnixStream>);

impl Connection {
    fn open(socket: &Path) -> Result<Connection> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("no service at {}", socket.display()))?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// A line of JSON from the service.
    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            bail!("the service has ended");
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Asks, and gives the result.
    fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        let request = json!({ "v": 1, "id": 1, "method": method, "params": params });
        writeln!(self.0.get_mut(), "{request}")?;
        let mut answer = self.line()?;
        if let Some(why) = answer["error"]["message"].as_str() {
            bail!("the service refuses: {why}");
        }
        Ok(answer["result"].take())
    }
}
