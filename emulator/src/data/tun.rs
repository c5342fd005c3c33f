//! A TUN device as the far end: the carrier's side as a network of this
//! machine, or of a network namespace (Linux, networking/tuntap.rst).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl};

/// Bytes of an interface's name, its final 0 included (linux/if.h).
const NAME: usize = 16;
/// `TUNSETIFF`, `_IOW('T', 202, int)` (linux/if_tun.h).
const TUNSETIFF: Opcode = 0x4004_54ca;
/// IP packets, and nothing before them: `IFF_TUN | IFF_NO_PI`.
const FLAGS: u16 = 0x1001;
/// No packet is longer.
const LONGEST: usize = 65_536;

/// `struct ifreq` (linux/if.h): a name, and a union of 24 bytes that begins
/// with the flags.
#[repr(C)]
struct Request {
    name: [u8; NAME],
    flags: u16,
    rest: [u8; 22],
}

/// The device.
#[derive(Debug)]
pub struct Tun {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Tun {
    /// Opens the device `name`, and makes it if there is none; one that was
    /// made goes away with this. Its addresses and routes are others' business.
    ///
    /// # Errors
    /// A name of no or more than 15 bytes; `/dev/net/tun` is missing; the
    /// caller has no `CAP_NET_ADMIN` in the network namespace; the device is
    /// no TUN device, or in use.
    pub fn open(name: &str) -> io::Result<Tun> {
        let bytes = name.as_bytes();
        if bytes.is_empty() || bytes.len() >= NAME || bytes.contains(&0) {
            let why = format!("{name:?} is no name of a network device: 1 to 15 bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open("/dev/net/tun", flags, Mode::empty())?;
        let mut request = Request { name: [0; NAME], flags: FLAGS, rest: [0; 22] };
        request.name[..bytes.len()].copy_from_slice(bytes);
        // SAFETY: TUNSETIFF reads and writes a struct ifreq, which `Request`
        // is: 40 bytes, of which any value is valid.
        unsafe { ioctl(&fd, Updater::<TUNSETIFF, Request>::new(&mut request))? };
        Ok(Tun { fd, buffer: vec![0; LONGEST] })
    }

    /// What to wait on for packets.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// A packet from the modem; lost while the device is down, as without a
    /// cable, or when its queue is full.
    ///
    /// # Errors
    /// The device is gone.
    pub fn take_in(&mut self, packet: &[u8]) -> io::Result<()> {
        match rustix::io::write(&self.fd, packet) {
            // EINVAL: no IP packet.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::IO | Errno::INVAL | Errno::NOBUFS) => {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next packet to the modem.
    ///
    /// # Errors
    /// The device is gone.
    pub fn give_out(&mut self) -> io::Result<Option<Vec<u8>>> {
        match rustix::io::read(&self.fd, &mut self.buffer) {
            Ok(length) => Ok(self.buffer.get(..length).map(<[u8]>::to_vec)),
            // EIO: it is down.
            Err(Errno::AGAIN | Errno::INTR | Errno::IO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
