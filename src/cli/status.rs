//! `a7670e status`: asks the daemon and shows its answer.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::protocol::{MAX_LINE, Outcome, Reply, Request, Status, VERSION};

/// How long the daemon may take to answer. It answers from memory, in
/// milliseconds; one that does not in this time hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Nobody listens on the control socket.
#[derive(Debug, thiserror::Error)]
#[error(
    "the service is not running (nobody answers on {0}); start it with `systemctl start a7670e`"
)]
pub struct NotRunning(PathBuf);

/// Shows the daemon's status, as text or as JSON.
///
/// # Errors
/// [`NotRunning`]; the socket may not be used by this user; the daemon does
/// not answer, or not in this protocol.
pub fn status(socket: &Path, json: bool) -> Result<()> {
    let status = ask(socket)?;
    if json {
        let text = serde_json::to_string(&status).context("cannot write the status as JSON")?;
        write_out(&format!("{text}\n"))
    } else {
        write_out(&render(&status))
    }
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no
/// error.
///
/// # Errors
/// Standard output cannot be written to.
pub fn write_out(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

fn ask(socket: &Path) -> Result<Status> {
    let mut stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            anyhow!(NotRunning(socket.to_owned()))
        }
        ErrorKind::PermissionDenied => anyhow!(
            "you may not use {}; it is for root and the members of its group",
            socket.display()
        ),
        _ => anyhow!("cannot connect to {}: {error}", socket.display()),
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = Request { v: VERSION, id: 1, method: "status".to_owned() };
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    stream.write_all(&line).context("cannot ask the service")?;
    line.clear();
    BufReader::new(stream)
        .take(MAX_LINE as u64 + 1)
        .read_until(b'\n', &mut line)
        .with_context(|| format!("the service gave no answer within {} s", PATIENCE.as_secs()))?;
    let reply: Reply<Status> = serde_json::from_slice(&line)
        .context("the service answers in another way than this program asks; same version?")?;
    match reply.outcome {
        Outcome::Result(status) => Ok(status),
        Outcome::Error(failure) => bail!("the service refused: {}", failure.message),
    }
}

fn render(status: &Status) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |text: String| _ = writeln!(out, "{text}");
    let daemon = &status.daemon;
    line(format!(
        "service  a7670e {}, process {}, up {} s",
        daemon.version, daemon.pid, daemon.uptime_s
    ));
    for modem in &status.inventory.modems {
        line(String::new());
        line(format!("modem {}  {} ({})", modem.usb_path, modem.model, modem.usb_id));
        for port in &modem.ports {
            line(format!("  {:<8} {}  ({})", port.role.name(), port.device, port.link));
        }
        let network = &modem.network;
        let kind = format!("{:?}", network.kind).to_uppercase();
        line(format!(
            "  {:<8} {}  ({kind}, {})",
            "network",
            network.device.as_deref().unwrap_or("none"),
            network.driver.as_deref().unwrap_or("no driver")
        ));
        for problem in &modem.problems {
            line(format!("  problem  {problem}"));
        }
    }
    for device in &status.inventory.unrecognised {
        line(String::new());
        line(format!("device {}  {}, no known modem", device.usb_path, device.usb_id));
        line(format!("  interfaces {}", device.interfaces.join(" ")));
    }
    if status.inventory.modems.is_empty() {
        line(String::new());
        line("no modem is plugged in, or it has not started yet (it takes about 10 s)".to_owned());
    }
    out
}
