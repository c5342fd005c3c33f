//! The control socket: who may connect, and the lines in and out. What the
//! lines mean is in [`crate::protocol`].

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::registry::{Reader, Watch};
use crate::protocol::{FailureCode, MAX_LINE, Reply, SmsEvent, VERSION, failed};
use crate::sms::desk::News;

/// Connections served at once; more are told that the daemon is busy. Each
/// costs a few kilobytes.
pub const MAX_CLIENTS: usize = 16;

/// How long a client may take to send its next line or to take a reply, so
/// that a hung one does not keep its place for ever.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// How much of what a refused client says is heard out, and for how long.
const PATIENT_BYTES: u64 = 1 << 20;
const PATIENT_TIME: Duration = Duration::from_secs(1);

/// The listening socket; its file goes away with it.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Listens on `path`, for the owner and the group of this process.
    ///
    /// # Errors
    /// Another daemon listens there already, or the directory is missing or
    /// not writable.
    pub fn bind(path: &Path) -> Result<Control> {
        // A socket file outlives a killed daemon; nobody answers on it then.
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => bail!("another a7670e already listens on {}", path.display()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
                .with_context(|| format!("cannot remove the old socket {}", path.display()))?,
            Err(_) => {}
        }
        let listener = UnixListener::bind(path)
            .with_context(|| format!("cannot listen on {}", path.display()))?;
        let control = Control { listener, path: path.to_owned() };
        fs::set_permissions(path, Permissions::from_mode(0o660))
            .with_context(|| format!("cannot set the mode of {}", path.display()))?;
        Ok(control)
    }

    /// Waits for the next client.
    ///
    /// # Errors
    /// As `accept(2)`: for want of file descriptors, for example.
    pub async fn accept(&self) -> std::io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Serves one client until it leaves, stalls or breaks the rules.
///
/// # Errors
/// The connection broke, or a line was too long or too slow in coming.
pub async fn serve(mut stream: UnixStream, reader: &Reader) -> Result<()> {
    let (half, mut writer) = stream.split();
    let mut lines = BufReader::with_capacity(1024, half);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = MAX_LINE as u64 + 1;
        let mut limited = (&mut lines).take(limit);
        let read = limited.read_until(b'\n', &mut line);
        match timeout(CLIENT_TIMEOUT, read).await.context("client is silent")?? {
            0 => return Ok(()),
            _ if line.last() == Some(&b'\n') => line.truncate(line.len() - 1),
            _ if line.len() > MAX_LINE => {
                let message = format!("a line may have {MAX_LINE} bytes at most");
                send(&mut writer, &refusal(FailureCode::BadRequest, message)).await?;
                hear_out(&mut lines).await;
                bail!("client sent a line of more than {MAX_LINE} bytes");
            }
            // The client closed after a last line without its newline.
            _ => {}
        }
        // Before the answer: from that on nothing is missed.
        let watch = reader.watch(&line);
        send(&mut writer, &reader.answer(&line).await).await?;
        if let Some(watch) = watch {
            tell_kept(&mut writer, reader, &watch).await?;
            return follow(&mut lines, &mut writer, watch).await;
        }
    }
}

/// Tells a client of the messages that are kept already, if it wants to know.
async fn tell_kept(
    writer: &mut tokio::net::unix::WriteHalf<'_>,
    reader: &Reader,
    watch: &Watch,
) -> Result<()> {
    let (Some(modem), Some(mut after)) = (&watch.modem, watch.after) else { return Ok(()) };
    loop {
        let page = reader.page(modem, after).await.context("the messages cannot be read")?;
        for message in page.messages {
            after = message.id;
            let news = News { event: "kept".to_owned(), message };
            let event = SmsEvent { v: VERSION, id: watch.id, modem: modem.clone(), news };
            send(writer, &serde_json::to_vec(&event)?).await?;
        }
        if !page.more {
            return Ok(());
        }
    }
}

/// Tells a client of messages until it leaves; what it says is not heard.
async fn follow(
    lines: &mut (impl AsyncRead + Unpin),
    writer: &mut tokio::net::unix::WriteHalf<'_>,
    watch: Watch,
) -> Result<()> {
    let Watch { id, modem: wanted, mut news, .. } = watch;
    let mut heard = [0; 256];
    loop {
        tokio::select! {
            told = news.recv() => match told {
                Ok((modem, _)) if wanted.as_ref().is_some_and(|wanted| *wanted != modem) => {}
                Ok((modem, news)) => {
                    let event = SmsEvent { v: VERSION, id, modem, news };
                    send(writer, &serde_json::to_vec(&event)?).await?;
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    bail!("a client that watches messages is {missed} behind");
                }
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            },
            read = lines.read(&mut heard) => {
                if read? == 0 {
                    return Ok(());
                }
            }
        }
    }
}

/// Lets a client say what it has to say although it is refused, within bounds. A connection
/// that is closed while something in it is unread takes the answer along
/// (`unix_release_sock` in net/unix/af_unix.c), and the client would see it broken
/// instead of the reason.
async fn hear_out(lines: &mut (impl AsyncRead + Unpin)) {
    let mut rest = lines.take(PATIENT_BYTES);
    // It is closed next, whatever comes of this.
    _ = timeout(PATIENT_TIME, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

/// Tells a client that there is no room for it.
///
/// # Errors
/// The connection broke.
pub async fn refuse(mut stream: UnixStream) -> Result<()> {
    let message = format!("{MAX_CLIENTS} clients are connected already; try again");
    let (mut half, mut writer) = stream.split();
    send(&mut writer, &refusal(FailureCode::Busy, message)).await?;
    hear_out(&mut half).await;
    Ok(())
}

/// A reply to a request that was not read, as a line without its newline.
fn refusal(code: FailureCode, message: String) -> Vec<u8> {
    encode(&failed(0, code, message))
}

/// A reply as a line without its newline.
pub fn encode<T: serde::Serialize>(reply: &Reply<T>) -> Vec<u8> {
    // Serialising plain structs to memory fails only for maps whose keys are
    // not strings; replies have none.
    serde_json::to_vec(reply).unwrap_or_default()
}

async fn send(writer: &mut tokio::net::unix::WriteHalf<'_>, line: &[u8]) -> Result<()> {
    let mut bytes = line.to_vec();
    bytes.push(b'\n');
    timeout(CLIENT_TIMEOUT, writer.write_all(&bytes)).await.context("client does not read")??;
    Ok(())
}
