//! The connection to QEMU's `usb-redir` device: a Unix socket that QEMU
//! listens on. It may come late, go, and come again.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use super::session::{Care, Session};
use crate::usb::device::Device;
use crate::usb::write_out;

/// Between two tries to connect.
const RETRY: Duration = Duration::from_millis(100);
/// Most bytes read at once.
const CHUNK: usize = 64 << 10;

/// The connection, or the wish for one.
#[derive(Debug)]
pub struct RedirPort {
    path: PathBuf,
    care: Care,
    open: Option<Open>,
    next_try: Duration,
}

#[derive(Debug)]
struct Open {
    stream: UnixStream,
    session: Session,
    unsent: Vec<u8>,
}

impl RedirPort {
    /// Connects to `path` once somebody listens there.
    pub fn new(path: PathBuf, care: Care) -> Self {
        Self { path, care, open: None, next_try: Duration::ZERO }
    }

    /// What to wait on.
    pub fn poll_fd(&self) -> Option<PollFd<'_>> {
        let open = self.open.as_ref()?;
        let out = if open.unsent.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let fd: BorrowedFd<'_> = open.stream.as_fd();
        Some(PollFd::from_borrowed_fd(fd, PollFlags::IN | out))
    }

    /// The device comes.
    pub fn plug(&mut self, device: &Device) {
        if let Some(open) = &mut self.open {
            open.session.plug(device);
        }
    }

    /// The device goes.
    pub fn unplug(&mut self) {
        if let Some(open) = &mut self.open {
            open.session.unplug();
        }
    }

    /// When to call [`Self::run`] although nothing happens.
    pub fn next_event(&self) -> Option<Duration> {
        self.open.is_none().then_some(self.next_try)
    }

    /// Moves what can be moved without waiting.
    pub fn run(&mut self, now: Duration, mut device: Option<&mut Device>) {
        if self.open.is_none() && now >= self.next_try {
            self.next_try = now + RETRY;
            self.open = connect(&self.path, self.care);
            if let (Some(open), Some(device)) = (&mut self.open, device.as_deref_mut()) {
                // Another host, perhaps.
                device.reset();
                open.session.plug(device);
            }
        }
        let Some(open) = &mut self.open else { return };
        if let Err(reason) = open.run(device) {
            eprintln!("usbredir, {}: {reason}; trying again", self.path.display());
            self.open = None;
            self.next_try = now + RETRY;
        }
    }
}

fn connect(path: &std::path::Path, care: Care) -> Option<Open> {
    // Nobody listens yet: the next try will tell.
    let stream = UnixStream::connect(path).ok()?;
    stream.set_nonblocking(true).ok()?;
    Some(Open { stream, session: Session::new(care), unsent: Vec::new() })
}

impl Open {
    /// `Err` ends the connection and says why.
    fn run(&mut self, mut device: Option<&mut Device>) -> Result<(), String> {
        let mut chunk = vec![0; CHUNK];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("the host closed the connection".into()),
                Ok(count) => {
                    let bytes = chunk.get(..count).unwrap_or_default();
                    let device = device.as_deref_mut();
                    self.session.receive(bytes, device).map_err(|error| error.to_string())?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        if self.session.is_refused() {
            return Err("the host's filter refused the modem".into());
        }
        if let Some(device) = device {
            self.session.service(device);
        }
        self.unsent.extend(self.session.output());
        write_out(&mut self.stream, &mut self.unsent).map_err(|error| error.to_string())?;
        Ok(())
    }
}
