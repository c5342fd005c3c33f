//! Listens to the kernel's device events.
//!
//! An event is only a hint to look at sysfs again: what is true is what sysfs
//! says then. So a lost, doubled or reordered event does no harm, and a full
//! socket buffer is just another hint.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Multicast group 1 carries the kernel's own messages (group 2 udev's).
const KERNEL_GROUP: u32 = 1;

/// The kernel's limit for one message, `UEVENT_BUFFER_SIZE` in
/// include/linux/kobject.h, plus the header line before it.
const MESSAGE_BYTES: usize = 2048 + 512;

/// A socket on which the kernel announces devices.
pub struct Uevents {
    socket: AsyncFd<OwnedFd>,
}

impl Uevents {
    /// Opens the socket; needs no privilege. Events from then on are kept
    /// until read, so open first and scan afterwards.
    ///
    /// # Errors
    /// The kernel has no netlink, or there are no file descriptors left.
    pub fn open() -> io::Result<Uevents> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
        bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP))?;
        // SAFETY: an OwnedFd keeps its one descriptor open and the same until it
        // is dropped, which AsyncFd does after deregistering it.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Uevents { socket })
    }

    /// Waits until something happened to a USB device, terminal or network
    /// device. Can be dropped at any time without losing an event.
    ///
    /// # Errors
    /// The socket is broken; it will not recover.
    pub async fn hint(&self) -> io::Result<()> {
        let mut buffer = [0; MESSAGE_BYTES];
        loop {
            let mut ready = self.socket.readable().await?;
            match recvfrom(self.socket.get_ref(), &mut buffer, RecvFlags::empty()) {
                Ok((length, _, sender)) => {
                    // Root may also send to this socket; only the kernel (port
                    // 0) tells of devices.
                    let kernel = sender
                        .and_then(|sender| SocketAddrNetlink::try_from(sender).ok())
                        .is_some_and(|sender| sender.pid() == 0);
                    if kernel && concerns_us(&buffer[..length]) {
                        return Ok(());
                    }
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                // Messages were dropped for want of room: one may have been ours.
                Err(Errno::NOBUFS) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether a message (`ACTION@DEVPATH`, then `KEY=value`s, each ended by NUL)
/// is about a subsystem we look at.
fn concerns_us(message: &[u8]) -> bool {
    message.split(|&byte| byte == 0).any(|field| {
        matches!(
            field,
            b"SUBSYSTEM=usb" | b"SUBSYSTEM=tty" | b"SUBSYSTEM=net" | b"SUBSYSTEM=usbmisc"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hears_of_usb_terminals_and_networks_only() {
        let message = |subsystem: &str| {
            format!(
                "add@/devices/x\0ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM={subsystem}\0SEQNUM=7\0"
            )
        };
        for ours in ["usb", "tty", "net", "usbmisc"] {
            assert!(concerns_us(message(ours).as_bytes()), "{ours}");
        }
        for other in ["block", "usb-serial", "network", ""] {
            assert!(!concerns_us(message(other).as_bytes()), "{other}");
        }
        assert!(!concerns_us(b""));
        assert!(!concerns_us(b"libudev\0\xfe\xed\xca\xfe"));
    }
}
