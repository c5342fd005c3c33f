//! A pseudo-terminal with a name of its own: a symbolic link to it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::{CHUNK, Transport, tolerate};
use crate::modem::Port;

/// One port as a pseudo-terminal.
#[derive(Debug)]
pub struct Pty {
    port: Port,
    link: PathBuf,
    open: Option<Ends>,
}

/// Our end, and the host's, which we keep open too so that a host may come
/// and go without the terminal hanging up.
#[derive(Debug)]
struct Ends {
    ours: OwnedFd,
    host: OwnedFd,
}

impl Pty {
    /// A port that is found at the path `link` while the modem is attached.
    pub fn new(port: Port, link: PathBuf) -> Pty {
        Pty { port, link, open: None }
    }
}

impl Transport for Pty {
    fn port(&self) -> Port {
        self.port
    }

    fn attach(&mut self) -> std::io::Result<()> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let host = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
        // A serial port is a plain pipe: the modem echoes, not the terminal.
        let mut termios = tcgetattr(&host)?;
        termios.make_raw();
        tcsetattr(&host, OptionalActions::Now, &termios)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        // Only ever take away a link, such as a killed emulator leaves behind.
        if self.link.is_symlink() {
            std::fs::remove_file(&self.link)?;
        }
        let target = PathBuf::from(name.to_string_lossy().into_owned());
        std::os::unix::fs::symlink(target, &self.link)?;
        self.open = Some(Ends { ours, host });
        Ok(())
    }

    fn detach(&mut self) {
        if self.open.take().is_some() {
            // Gone already is as good.
            let _ = std::fs::remove_file(&self.link);
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.open.as_ref().map(|ends| ends.ours.as_fd())
    }

    fn read(&mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; CHUNK];
        let Some(ends) = &self.open else { return Ok(Vec::new()) };
        // A port that one program had for itself is free again when that program
        // closes it. This one stays open here, so it never comes to that.
        rustix::termios::ioctl_tiocnxcl(&ends.host)?;
        match rustix::io::read(&ends.ours, &mut bytes) {
            Ok(count) => bytes.truncate(count),
            Err(error) => {
                tolerate(error)?;
                bytes.clear();
            }
        }
        Ok(bytes)
    }

    fn write(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        let Some(ends) = &self.open else { return Ok(()) };
        while !bytes.is_empty() {
            match rustix::io::write(&ends.ours, bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) => return tolerate(error),
            }
        }
        Ok(())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.detach();
    }
}
