//! Hears that something changed in the network, whoever changed it.
//!
//! A message is only a hint to look again, so a lost or doubled one does no
//! harm, and a full socket buffer is just another hint.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Links, IPv4 addresses, IPv4 routes, IPv4 rules: `RTMGRP_*` of
/// include/uapi/linux/rtnetlink.h.
const GROUPS: u32 = 1 | 0x10 | 0x40 | 0x80;

/// A socket on which the kernel announces changes.
pub struct Monitor {
    socket: AsyncFd<OwnedFd>,
}

impl Monitor {
    /// Opens the socket; needs no privilege. To be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// There are no file descriptors left.
    pub fn open() -> io::Result<Monitor> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Protocol 0 is NETLINK_ROUTE.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        // SAFETY: an OwnedFd keeps its one descriptor open and the same until it
        // is dropped, which AsyncFd does after deregistering it.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Monitor { socket })
    }

    /// Waits for a change, and takes in all that were announced by then. Can be
    /// dropped at any time without losing a change.
    ///
    /// # Errors
    /// The socket is broken; it will not recover.
    pub async fn hint(&self) -> io::Result<()> {
        let mut heard = false;
        // What the messages say is asked for anew; they may be cut off.
        let mut buffer = [0; 64];
        loop {
            let mut ready = self.socket.readable().await?;
            match recv(self.socket.get_ref(), &mut buffer, RecvFlags::TRUNC) {
                Ok(_) | Err(Errno::NOBUFS) => heard = true,
                Err(Errno::AGAIN) => {
                    ready.clear_ready();
                    if heard {
                        return Ok(());
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
