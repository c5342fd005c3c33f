//! Asks for IPv6 routers on a link: a router solicitation (RFC 4861 section 4.1).

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};

use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with, sockopt,
};

/// All routers of the link (RFC 4291 section 2.7.1).
const ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Type 133, code 0, a checksum that the kernel fills in, and four bytes that are
/// 0. Without the option that tells our Ethernet address, so that it may also
/// come from no address.
const MESSAGE: [u8; 8] = [133, 0, 0, 0, 0, 0, 0, 0];

/// Sends one on the link of this index.
///
/// # Errors
/// No CAP_NET_RAW, the link is gone or has no address yet (a link-local address
/// takes a second or two to be tested).
pub fn solicit(index: u32) -> io::Result<()> {
    let (family, protocol) = (AddressFamily::INET6, Some(ipproto::ICMPV6));
    let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    // What has passed a router is ignored (RFC 4861 section 6.1.1).
    sockopt::set_ipv6_multicast_hops(&socket, 255)?;
    let to = SocketAddrV6::new(ROUTERS, 0, 0, index);
    sendto(&socket, &MESSAGE, SendFlags::empty(), &to)?;
    Ok(())
}
