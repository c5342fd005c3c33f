//! The TCP port on which clients find the device. One of them can have it; to
//! take the device away is to close its connection.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags};

use super::session::Session;
use crate::usb::device::Device;
use crate::usb::write_out;

/// Connections at once; more wait.
const MOST: usize = 8;
/// Most bytes read at once.
const CHUNK: usize = 64 << 10;

/// The port.
#[derive(Debug)]
pub struct UsbIpPort {
    listener: TcpListener,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    stream: TcpStream,
    session: Session,
    unsent: Vec<u8>,
}

impl UsbIpPort {
    /// Listens at `address`.
    ///
    /// # Errors
    /// When that is not possible, such as for a port that is taken.
    pub fn listen(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, open: Vec::new() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What to wait on.
    pub fn poll_fds(&self) -> Vec<PollFd<'_>> {
        let mut fds: Vec<_> = self.open.iter().map(Open::poll_fd).collect();
        if self.open.len() < MOST {
            fds.push(PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN));
        }
        fds
    }

    /// The device goes.
    pub fn unplug(&mut self) {
        self.open.retain(|open| !open.session.has_device());
    }

    /// Moves what can be moved without waiting.
    pub fn run(&mut self, mut device: Option<&mut Device>) {
        while self.open.len() < MOST {
            // Nobody, or one that is gone again.
            let Ok((stream, _)) = self.listener.accept() else { break };
            if stream.set_nonblocking(true).is_ok() && stream.set_nodelay(true).is_ok() {
                let session = Session::default();
                self.open.push(Open { stream, session, unsent: Vec::new() });
            }
        }
        let mut taken = self.open.iter().any(|open| open.session.has_device());
        self.open.retain_mut(|open| {
            let had = open.session.has_device();
            let result = open.run(device.as_deref_mut(), !taken);
            taken |= open.session.has_device();
            match result {
                Ok(open) => open,
                Err(reason) => {
                    eprintln!("usbip: {reason}; connection closed");
                    taken &= !had;
                    false
                }
            }
        });
    }
}

impl Open {
    fn poll_fd(&self) -> PollFd<'_> {
        let out = if self.unsent.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN | out)
    }

    /// Whether it is still open; `Err` says why not, if there was an error.
    fn run(&mut self, mut device: Option<&mut Device>, free: bool) -> Result<bool, String> {
        let mut chunk = vec![0; CHUNK];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    let bytes = chunk.get(..count).unwrap_or_default();
                    let received = self.session.receive(bytes, device.as_deref_mut(), free);
                    received.map_err(|error| error.to_string())?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        if let Some(device) = device.filter(|_| self.session.has_device()) {
            self.session.service(device);
        }
        self.unsent.extend(self.session.output());
        write_out(&mut self.stream, &mut self.unsent).map_err(|error| error.to_string())?;
        Ok(true)
    }
}
