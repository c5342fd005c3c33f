//! What the emulated modem's network function is to the kernel: a TAP device, or
//! one end of a veth pair, which NetworkManager takes for Ethernet.

#![allow(dead_code, reason = "every test crate uses its own part")]

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::common::namespace::ip;

/// The far end of the veth pair.
const FAR: &str = "modem";

/// What udev's `ID_PATH` of the network function is where a test has udev's data.
pub const PLACE: &str = "platform-fe980000.usb-usb-0:1:1.0";

/// Where udev keeps what it knows of devices.
const UDEV: &str = "/run/udev/data";

/// One or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Tap,
    Veth,
}

impl Wire {
    /// Makes the device; frames are read from and written to the file.
    pub fn attach(self, name: &str, mac: [u8; 6]) -> File {
        match self {
            Wire::Tap => tap(name, mac),
            Wire::Veth => veth(name, mac),
        }
    }

    /// Removes it, after its file.
    pub fn detach(self) {
        if self == Wire::Veth {
            ip(&format!("link del {FAR}"));
        }
    }
}

/// `struct ifreq` of linux/if.h with flags.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// Makes a TAP device; it is gone when the file is closed.
fn tap(name: &str, mac: [u8; 6]) -> File {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .expect("needs /dev/net/tun");
    let mut request = InterfaceRequest {
        name: [0; 16],
        // linux/if_tun.h: IFF_TAP, IFF_NO_PI.
        flags: 0x0002 | 0x1000,
        rest: [0; 22],
    };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: TUNSETIFF (linux/if_tun.h) takes a `struct ifreq`, of whose size
    // and layout this one is.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), 0x4004_54ca, &raw mut request) };
    assert_eq!(done, 0, "TUNSETIFF: {}", std::io::Error::last_os_error());
    ip(&format!("link set {name} address {}", text(mac)));
    file
}

/// Switches the far side of the wire.
pub fn carrier(wire: Wire, file: &File, on: bool) {
    if wire == Wire::Veth {
        ip(&format!("link set {FAR} {}", if on { "up" } else { "down" }));
        return;
    }
    let on = libc::c_int::from(on);
    // SAFETY: TUNSETCARRIER (linux/if_tun.h) takes a pointer to an int.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), 0x4004_54e2, &raw const on) };
    assert_eq!(done, 0, "TUNSETCARRIER: {}", std::io::Error::last_os_error());
}

fn text(mac: [u8; 6]) -> String {
    let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    mac.join(":")
}

/// Makes a veth pair, of which the far end is ours by a packet socket.
fn veth(name: &str, mac: [u8; 6]) -> File {
    ip(&format!("link add {name} address {} type veth peer name {FAR}", text(mac)));
    // Whoever listens there is us alone.
    fs::write(format!("/proc/sys/net/ipv6/conf/{FAR}/disable_ipv6"), "1").unwrap();
    checksummed(name);
    // Not by sysfs, over which a test may have mounted another.
    let index = |name: &str| -> i32 {
        let line = ip(&format!("-o link show dev {name}"));
        line.split(':').next().unwrap().parse().unwrap()
    };
    if fs::exists(UDEV).unwrap() {
        // As udev keeps it (sd-device.c, `device_read_db_internal`), by our rules.
        let known =
            format!("I:1\nE:ID_PATH={PLACE}\nE:ID_NET_DRIVER=cdc_ether\nE:NM_UNMANAGED=1\nV:1\n");
        fs::write(format!("{UDEV}/n{}", index(name)), known).unwrap();
        fs::write(format!("{UDEV}/n{}", index(FAR)), "I:1\nE:NM_UNMANAGED=1\nV:1\n").unwrap();
    }
    let all = (libc::ETH_P_ALL as u16).to_be();
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the arguments are numbers; the result is checked.
    let socket = unsafe { libc::socket(libc::AF_PACKET, kind, i32::from(all)) };
    assert!(socket >= 0, "AF_PACKET: {}", std::io::Error::last_os_error());
    // SAFETY: the descriptor is new, and nobody else's.
    let file = unsafe { File::from_raw_fd(socket) };
    // SAFETY: `sockaddr_ll` is plain data, for which zeros are a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = all;
    address.sll_ifindex = index(FAR);
    let length = size_of::<libc::sockaddr_ll>() as u32;
    // SAFETY: the address lives for the call and has the length that is told.
    let done = unsafe { libc::bind(socket, (&raw const address).cast(), length) };
    assert_eq!(done, 0, "bind: {}", std::io::Error::last_os_error());
    let on: libc::c_int = 1;
    let (level, option) = (libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING);
    let length = size_of::<libc::c_int>() as u32;
    // SAFETY: the value lives for the call and has the length that is told.
    let done = unsafe { libc::setsockopt(socket, level, option, (&raw const on).cast(), length) };
    assert_eq!(done, 0, "PACKET_IGNORE_OUTGOING: {}", std::io::Error::last_os_error());
    file
}

/// `struct ethtool_value` of linux/ethtool.h.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    value: u32,
}

/// `struct ifreq` of linux/if.h with a pointer.
#[repr(C)]
struct PointerRequest {
    name: [u8; 16],
    data: *mut EthtoolValue,
    rest: [u8; 16],
}

/// Has the kernel put checksums into what it sends by the device, and send no
/// more than a packet at once: a packet socket sees frames as they are.
fn checksummed(name: &str) {
    const ETHTOOL_STXCSUM: u32 = 0x17;
    const SIOCETHTOOL: libc::c_ulong = 0x8946;
    let mut value = EthtoolValue { command: ETHTOOL_STXCSUM, value: 0 };
    let mut request = PointerRequest { name: [0; 16], data: &raw mut value, rest: [0; 16] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    // SAFETY: SIOCETHTOOL takes a `struct ifreq` with a pointer to what the command
    // takes; both live for the call.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
    assert_eq!(done, 0, "ETHTOOL_STXCSUM: {}", std::io::Error::last_os_error());
}
