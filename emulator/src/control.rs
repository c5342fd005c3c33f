//! Changes a running modem: JSON lines on a Unix socket, one answer per line.
//!
//! ```json
//! {"do": "inflict", "fault": {"effect": "silence", "for_ms": 5000}}
//! {"do": "inflict", "fault": {"effect": "sms", "from": "+254700000001", "text": "hi"}}
//! {"do": "state"}
//! {"do": "sent"}
//! ```
//!
//! The answer is `{"ok": …}` or `{"error": "…"}`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fault::Effect;
use crate::link::Link;
use crate::modem::Modem;
use crate::sms::Sent;

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum ControlCommand {
    /// Makes something go wrong, or right.
    Inflict {
        /// As in a fault script.
        fault: Effect,
    },
    /// Tells how the modem is.
    State,
    /// Tells the text messages that the host has sent.
    Sent,
}

/// What a command tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// Answer to `state`.
    State(State),
    /// Answer to `sent`, the first message first.
    Sent(Vec<Sent>),
}

/// How the modem is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    /// Registration as in TS 27.007 section 7.2.
    pub stat: u8,
    /// The data path.
    pub link: Link,
    /// Bytes carried from and to the host.
    pub carried: (u64, u64),
    /// Tries that the card leaves for its PIN, and for its PUK.
    pub tries: (u8, u8),
}

impl Modem {
    /// Carries out a control command; `None` is: done, nothing to tell.
    ///
    /// # Errors
    /// What a modem of this profile lacks for it.
    pub fn command(
        &mut self,
        now: Duration,
        command: ControlCommand,
    ) -> Result<Option<Reply>, String> {
        Ok(match command {
            ControlCommand::Inflict { fault } => {
                if let Some(lacks) = fault.lacks(&self.profile) {
                    return Err(lacks);
                }
                self.inflict(now, fault);
                None
            }
            ControlCommand::State => {
                self.advance(now);
                let (link, carried) = (self.link().clone(), self.carried());
                let tries = (self.pin_tries, self.puk_tries);
                Some(Reply::State(State { stat: self.stat.code(), link, carried, tries }))
            }
            ControlCommand::Sent => {
                self.advance(now);
                Some(Reply::Sent(self.sent_messages().to_vec()))
            }
        })
    }
}

/// A command under way, and where its answer goes.
type Asked = (ControlCommand, Sender<Result<Option<Reply>, String>>);

/// The control socket. Threads of its own read it; the modem is touched by
/// [`Control::serve`] only.
#[derive(Debug)]
pub struct Control {
    asked: Receiver<Asked>,
}

impl Control {
    /// Listens at `path`, which must not exist.
    ///
    /// # Errors
    /// When the socket cannot be made there.
    pub fn listen(path: &Path) -> std::io::Result<Control> {
        let listener = UnixListener::bind(path)?;
        let (ask, asked) = mpsc::channel();
        thread::spawn(move || {
            for host in listener.incoming().map_while(Result::ok) {
                let ask = ask.clone();
                // A host that goes away in mid-sentence ends its own thread.
                thread::spawn(move || converse(host, &ask));
            }
        });
        Ok(Control { asked })
    }

    /// Carries out what was asked since the last call.
    pub fn serve(&self, modem: &mut Modem, now: Duration) {
        while let Ok((command, answer)) = self.asked.try_recv() {
            // Nobody waits for the answer any more: as well.
            let _ = answer.send(modem.command(now, command));
        }
    }
}

fn converse(host: UnixStream, ask: &Sender<Asked>) -> std::io::Result<()> {
    let mut out = host.try_clone()?;
    for line in BufReader::new(host).lines() {
        let mut answer = reply(&line?, ask).to_string();
        answer.push('\n');
        out.write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn reply(line: &str, ask: &Sender<Asked>) -> Value {
    let (answer, answered) = mpsc::channel();
    let asked = serde_json::from_str(line).map_err(|error| error.to_string()).and_then(|command| {
        ask.send((command, answer)).map_err(|_| "the modem has ended".to_owned())?;
        answered.recv().map_err(|_| "the modem has ended".to_owned())?
    });
    match asked {
        Ok(state) => json!({ "ok": state }),
        Err(error) => json!({ "error": error }),
    }
}
