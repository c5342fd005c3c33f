//! Serial ports of the modem on this machine: pseudo-terminals, and the
//! abstract socket on which ModemManager's test interface looks for a port.

mod abstract_socket;
mod pty;

use std::os::fd::BorrowedFd;

pub use abstract_socket::AbstractSocket;
pub use pty::Pty;

use crate::modem::Port;

/// Most bytes read at once.
pub(crate) const CHUNK: usize = 4096;

/// One serial port of the modem, as a file descriptor.
pub trait Transport {
    /// Which port of the modem it is.
    fn port(&self) -> Port;
    /// The USB device came: the port exists from now on.
    ///
    /// # Errors
    /// When the port cannot be made.
    fn attach(&mut self) -> std::io::Result<()>;
    /// The USB device is gone, and the port with it.
    fn detach(&mut self);
    /// What to wait on until [`Transport::read`] has news; `None` while there
    /// is no port.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
    /// Bytes from the host, without waiting; none if there are none.
    ///
    /// # Errors
    /// When the port is broken beyond a host that went away.
    fn read(&mut self) -> std::io::Result<Vec<u8>>;
    /// Bytes to the host. What a host does not read is lost, as on a cable.
    ///
    /// # Errors
    /// When the port is broken beyond a host that went away.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()>;
}

/// A host that is away is no error: `EIO` is a terminal that nobody has open.
pub(crate) fn tolerate(error: rustix::io::Errno) -> std::io::Result<()> {
    use rustix::io::Errno;
    match error {
        Errno::AGAIN | Errno::IO | Errno::PIPE | Errno::CONNRESET | Errno::INTR => Ok(()),
        error => Err(error.into()),
    }
}
