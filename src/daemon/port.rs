//! A serial port, raw and without waiting.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::termios::{
    ControlModes, OptionalActions, SpecialCodeIndex, Termios, ioctl_tiocexcl, tcgetattr, tcsetattr,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Most that is read at once.
const CHUNK: usize = 4096;

/// Most that waits to be written. A modem that takes nothing of this is wedged,
/// and what it would get later is of no use.
const MAX_WAITING: usize = 16 * 1024;

/// An open serial port.
pub struct Port {
    file: AsyncFd<File>,
    waiting: VecDeque<u8>,
}

/// Opens `path` for this process alone. May block for as long as the kernel
/// talks to the modem (`option` sets its lines): call it where that is allowed.
///
/// # Errors
/// The port is gone, another program has it for itself (ModemManager), or it
/// is not for this user.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    // Without O_NONBLOCK the kernel would wait for a carrier.
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    let file =
        OpenOptions::new().read(true).write(true).custom_flags(flags.bits() as i32).open(path)?;
    let mut settings: Termios = tcgetattr(&file)?;
    settings.make_raw();
    // No carrier is needed, no line control by hardware; the speed is USB's.
    settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    settings.control_modes -= ControlModes::CRTSCTS;
    settings.special_codes[SpecialCodeIndex::VMIN] = 1;
    settings.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(&file, OptionalActions::Flush, &settings)?;
    ioctl_tiocexcl(&file)?;
    Ok(file.into())
}

impl Port {
    /// Takes over an open port. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The file is none that can be waited for.
    pub fn new(fd: OwnedFd) -> io::Result<Port> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        // SAFETY: a File keeps its one descriptor open and the same until it is
        // dropped, which AsyncFd does after deregistering it.
        let file = unsafe { AsyncFd::register_with_interest(File::from(fd), interest) }?;
        Ok(Port { file, waiting: VecDeque::new() })
    }

    /// Puts bytes at the end of what is to be written.
    ///
    /// # Errors
    /// The modem has taken nothing for too long.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.waiting.len() + bytes.len() > MAX_WAITING {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the modem takes no more bytes"));
        }
        self.waiting.extend(bytes);
        Ok(())
    }

    /// Writes what waits and waits for bytes. Can be dropped at any time
    /// without losing any.
    ///
    /// # Errors
    /// The modem is gone.
    pub async fn work(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let wanted = if self.waiting.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let mut ready = self.file.ready_mut(wanted).await?;
            let mut file = ready.get_inner();
            if ready.ready().is_writable() {
                while !self.waiting.is_empty() {
                    match file.write(self.waiting.as_slices().0) {
                        Ok(0) => break,
                        Ok(count) => drop(self.waiting.drain(..count)),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            ready.clear_ready_matching(tokio::io::Ready::WRITABLE);
                            break;
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                    file = ready.get_inner();
                }
            }
            if ready.ready().is_readable() {
                let mut buffer = [0; CHUNK];
                let mut file = ready.get_inner();
                match file.read(&mut buffer) {
                    // A terminal that hangs up.
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => return Ok(buffer[..count].to_vec()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        ready.clear_ready_matching(tokio::io::Ready::READABLE);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
