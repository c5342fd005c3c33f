//! Carries DHCP messages on a link that has no address yet: a packet socket
//! below IP, with the headers made here.
//!
//! The kernel adds and removes the link's own header (`SOCK_DGRAM`), so that
//! Ethernet and links without such a header are the same to us. A filter in the
//! kernel lets nothing through but UDP to port 68: the service sleeps through
//! all other traffic.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Mutex;

use rustix::io::Errno;
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto,
    socket_with,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

/// Length of an IPv4 header without options and of UDP's.
const IP_BYTES: usize = 20;
const UDP_BYTES: usize = 8;

/// `ETH_P_IP` of linux/if_ether.h.
const ETH_P_IP: u16 = 0x0800;

/// `struct sockaddr_ll` of linux/if_packet.h: a link, and a station on it.
struct LinkAddress(libc::sockaddr_ll);

impl LinkAddress {
    fn new(index: u32, mac: [u8; 6]) -> LinkAddress {
        let mut address = [0; 8];
        address[..6].copy_from_slice(&mac);
        LinkAddress(libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: ETH_P_IP.to_be(),
            sll_ifindex: index as i32,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: address,
        })
    }
}

// SAFETY: the closure gets the address and the true length of a `sockaddr_ll`,
// which is what the kernel takes for AF_PACKET.
unsafe impl SocketAddrArg for LinkAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        f((&raw const self.0).cast(), size_of::<libc::sockaddr_ll>() as SocketAddrLen)
    }
}

/// A packet socket for the DHCP of one link.
pub struct Socket {
    socket: AsyncFd<OwnedFd>,
    index: u32,
    buffer: Mutex<[u8; 2048]>,
}

impl Socket {
    /// Opens the socket on the link `index`; needs CAP_NET_RAW. To be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// The privilege is missing, the link is gone, or the kernel has no packet
    /// sockets.
    pub fn open(index: u32) -> io::Result<Socket> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Protocol 0 hears nothing until it is bound, so that nothing comes in
        // before the filter.
        let socket =
            socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, None::<Protocol>)?;
        attach_filter(&socket)?;
        bind(&socket, &LinkAddress::new(index, [0; 6]))?;
        // SAFETY: an OwnedFd keeps its one descriptor open and the same until it
        // is dropped, which AsyncFd does after deregistering it.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Socket { socket, index, buffer: Mutex::new([0; 2048]) })
    }

    /// Sends a message to all stations of the link. Also what is meant for the
    /// server alone goes this way: its Ethernet address need not be asked for,
    /// and the link has no third station.
    ///
    /// # Errors
    /// The link is gone, switched off, or its queue is full.
    pub fn send(&self, from: Ipv4Addr, to: Ipv4Addr, message: &[u8]) -> io::Result<()> {
        let packet = packet(from, to, message);
        let everybody = LinkAddress::new(self.index, [0xff; 6]);
        sendto(self.socket.get_ref(), &packet, SendFlags::empty(), &everybody)?;
        Ok(())
    }

    /// Waits for a message. Can be dropped at any time without losing one.
    ///
    /// # Errors
    /// The link is gone.
    pub async fn receive(&self) -> io::Result<Vec<u8>> {
        loop {
            let mut ready = self.socket.readable().await?;
            let Ok(mut buffer) = self.buffer.lock() else {
                return Err(io::Error::other("an earlier read failed half way"));
            };
            match recv(self.socket.get_ref(), &mut buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => {
                    if let Some(message) = payload(&buffer[..length.min(2048)]) {
                        return Ok(message.to_vec());
                    }
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Classic BPF (linux/filter.h): UDP over IPv4, no later fragment, to port 68.
/// Offsets count from the IP header, as the socket is `SOCK_DGRAM`.
fn attach_filter(socket: &OwnedFd) -> io::Result<()> {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let (byte, half) = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, libc::BPF_LD | libc::BPF_H);
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let mut program = [
        step(byte, 0, 0, 9),
        step(equal, 0, 6, 17),
        step(half | libc::BPF_ABS, 0, 0, 6),
        step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 4, 0, 0x1fff),
        step(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0, 0),
        step(half | libc::BPF_IND, 0, 0, 2),
        step(equal, 0, 1, u32::from(CLIENT_PORT)),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the pointer and length are those of `filter`, whose program
    // outlives the call; the kernel copies both.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// An IPv4 packet (RFC 791) with a UDP datagram (RFC 768).
fn packet(from: Ipv4Addr, to: Ipv4Addr, message: &[u8]) -> Vec<u8> {
    let udp = UDP_BYTES + message.len();
    let mut bytes = vec![0x45, 0];
    bytes.extend(((IP_BYTES + udp) as u16).to_be_bytes());
    // No identification, no fragments, 64 hops, UDP, the sum to come.
    bytes.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    bytes.extend(from.octets());
    bytes.extend(to.octets());
    let checksum = sum(&bytes);
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    for field in [CLIENT_PORT, SERVER_PORT, udp as u16, 0] {
        bytes.extend(field.to_be_bytes());
    }
    bytes.extend(message);
    let checksum = match udp_sum(&bytes) {
        // 0 means that there is none; its twin says the same.
        0 => u16::MAX,
        sum => sum,
    };
    bytes[IP_BYTES + 6..IP_BYTES + 8].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The sum over pseudo header and datagram of a packet without IP options; 0
/// when the checksum in it is right.
fn udp_sum(packet: &[u8]) -> u16 {
    let udp = &packet[IP_BYTES..];
    let mut bytes = packet[12..20].to_vec();
    bytes.extend([0, 17]);
    bytes.extend((udp.len() as u16).to_be_bytes());
    bytes.extend(udp);
    sum(&bytes)
}

/// The internet checksum (RFC 1071).
fn sum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The message in an IPv4 packet from a server's port to a client's. The
/// datagram's checksum is not looked at: on a virtual link the sender may have
/// left it to hardware that does not exist.
fn payload(packet: &[u8]) -> Option<&[u8]> {
    let first = *packet.first()?;
    let header = usize::from(first & 15) * 4;
    let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    if first >> 4 != 4 || header < IP_BYTES || *packet.get(9)? != 17 {
        return None;
    }
    let udp = packet.get(header..total)?;
    let field = |at: usize| Some(u16::from_be_bytes(udp.get(at..at + 2)?.try_into().ok()?));
    let ports = field(0)? == SERVER_PORT && field(2)? == CLIENT_PORT;
    if ports { udp.get(UDP_BYTES..usize::from(field(4)?)) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packet_has_right_sums() {
        for message in [&b""[..], b"a", b"abc", &[255; 300]] {
            let packet = packet(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, message);
            assert_eq!(sum(&packet[..IP_BYTES]), 0);
            assert_eq!(udp_sum(&packet), 0);
            assert_eq!(packet.len(), IP_BYTES + UDP_BYTES + message.len());
        }
    }

    #[test]
    fn a_servers_message_is_found() {
        let mut packet = packet(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), b"hello");
        assert_eq!(payload(&packet), None, "it is a client's");
        packet[IP_BYTES..IP_BYTES + 4].copy_from_slice(&[0, 67, 0, 68]);
        assert_eq!(payload(&packet), Some(&b"hello"[..]));
        // Ethernet pads what is short.
        packet.extend([0; 20]);
        assert_eq!(payload(&packet), Some(&b"hello"[..]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = payload(&bytes);
        }
    }
}
