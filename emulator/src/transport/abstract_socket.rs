//! An abstract Unix socket that stands for a serial port.
//!
//! ModemManager's `Test.SetProfile` takes port names such as `abstract:port0`
//! and connects to the abstract socket of literally that name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
};

use super::{CHUNK, Transport, tolerate};
use crate::modem::Port;

/// One port as a listening abstract socket; one host at a time.
#[derive(Debug)]
pub struct AbstractSocket {
    port: Port,
    name: String,
    listener: Option<OwnedFd>,
    host: Option<OwnedFd>,
}

impl AbstractSocket {
    /// A port that listens on `name` (without the leading zero byte) while the
    /// modem is attached.
    pub fn new(port: Port, name: String) -> AbstractSocket {
        AbstractSocket { port, name, listener: None, host: None }
    }
}

impl Transport for AbstractSocket {
    fn port(&self) -> Port {
        self.port
    }

    fn attach(&mut self) -> std::io::Result<()> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        bind(&socket, &SocketAddrUnix::new_abstract_name(self.name.as_bytes())?)?;
        listen(&socket, 1)?;
        self.listener = Some(socket);
        Ok(())
    }

    fn detach(&mut self) {
        self.host = None;
        self.listener = None;
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.host.as_ref().or(self.listener.as_ref()).map(AsFd::as_fd)
    }

    fn read(&mut self) -> std::io::Result<Vec<u8>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match (&self.host, &self.listener) {
            (Some(host), _) => {
                let mut bytes = vec![0; CHUNK];
                match rustix::io::read(host, &mut bytes) {
                    Ok(0) => {
                        self.host = None;
                        bytes.clear();
                    }
                    Ok(count) => bytes.truncate(count),
                    Err(error) => {
                        tolerate(error)?;
                        if error != rustix::io::Errno::AGAIN {
                            self.host = None;
                        }
                        bytes.clear();
                    }
                }
                Ok(bytes)
            }
            (None, Some(listener)) => {
                match accept_with(listener, flags) {
                    Ok(host) => self.host = Some(host),
                    Err(error) => tolerate(error)?,
                }
                Ok(Vec::new())
            }
            (None, None) => Ok(Vec::new()),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let Some(host) = &self.host else { return Ok(()) };
        match rustix::net::send(host, bytes, rustix::net::SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(error) => tolerate(error),
        }
    }
}
