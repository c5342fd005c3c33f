//! Asks the service over its control socket.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::de::DeserializeOwned;

use super::args::Asked;
use crate::protocol::{MAX_LINE, ModemStatus, Outcome, Params, Reply, Request, Status, VERSION};

/// How long the service may take for what it answers from memory, in
/// milliseconds; one that does not in this time hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Nobody listens on the control socket.
#[derive(Debug, thiserror::Error)]
#[error(
    "the service is not running (nobody answers on {0}); start it with `systemctl start a7670e`; \
     if it does not stay, `a7670e check-config` tells of a mistake in its configuration"
)]
pub struct NotRunning(PathBuf);

/// A connection to the service.
pub struct Client {
    stream: BufReader<UnixStream>,
    id: u64,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// [`NotRunning`]; the socket may not be used by this user.
    pub fn connect(socket: &Path) -> Result<Client> {
        let stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                anyhow!(NotRunning(socket.to_owned()))
            }
            ErrorKind::PermissionDenied => anyhow!(
                "you may not use {}; it is for root and the members of its group",
                socket.display()
            ),
            _ => anyhow!("cannot connect to {}: {error}", socket.display()),
        })?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream: BufReader::new(stream), id: 0 })
    }

    /// Everything that the service knows, of one modem or all.
    ///
    /// # Errors
    /// As [`Client::ask`]; there is no such modem.
    pub fn status(&mut self, asked: &Asked) -> Result<Status> {
        let mut status: Status = self.ask("status", Params::default(), Duration::ZERO)?;
        if let Some(place) = &asked.modem {
            status.modems.retain(|one: &ModemStatus| one.modem.usb_path == *place);
            if status.modems.is_empty() {
                bail!("there is no modem at {place}");
            }
        }
        Ok(status)
    }

    /// Asks, and waits for the answer as long as it may take on top of the
    /// service's own time.
    ///
    /// # Errors
    /// The service does not answer, not in this protocol, or refuses.
    pub fn ask<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: Params,
        takes: Duration,
    ) -> Result<T> {
        self.id += 1;
        let request = Request { v: VERSION, id: self.id, method: method.to_owned(), params };
        let mut line = serde_json::to_vec(&request)?;
        line.push(b'\n');
        let patience = PATIENCE.saturating_add(takes);
        let stream = self.stream.get_mut();
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(&line).context("cannot ask the service")?;
        line.clear();
        (&mut self.stream).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line).with_context(
            || format!("the service gave no answer within {} s", patience.as_secs()),
        )?;
        let reply: Reply<T> = serde_json::from_slice(&line)
            .context("the service answers in another way than this program asks; same version?")?;
        match reply.outcome {
            Outcome::Result(result) => Ok(result),
            Outcome::Error(failure) => bail!("the service refused: {}", failure.message),
        }
    }
}

impl Client {
    /// The next line that the service sends unasked, however long that takes.
    ///
    /// # Errors
    /// The connection is closed, or the line is not what was expected.
    pub fn next_line<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.stream.get_mut().set_read_timeout(None)?;
        let mut line = Vec::new();
        (&mut self.stream).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            bail!("the service has ended");
        }
        serde_json::from_slice(&line).context("the service tells something unknown")
    }
}

/// Writes to standard output. A reader that has seen enough (`| head`) ends the
/// program, and is no error.
///
/// # Errors
/// Standard output cannot be written to.
pub fn write_out(text: &str) -> Result<()> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.context("cannot write to standard output"),
    }
}
