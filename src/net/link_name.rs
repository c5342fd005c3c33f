//! Gives a modem's network device the next free `wwanN` name.
//!
//! The kernel counts: a rename to the template `wwan%d` takes the lowest free
//! number under the kernel's own lock (`dev_change_name` in net/core/dev.c), so
//! two sticks that appear together, or a driver that names its device `wwan%d`
//! itself, can never get the same name. Neither a `.link` file nor a udev
//! `NAME=` can say this, as both refuse `%` (ADR 0004).

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// Names that are right already.
const PREFIX: &str = "wwan";

/// What the kernel is asked for.
const TEMPLATE: &[u8] = b"wwan%d\0";

// include/uapi/linux/netlink.h and rtnetlink.h.
const RTM_SETLINK: u16 = 19;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLMSG_ERROR: u16 = 2;
const IFLA_IFNAME: u16 = 3;
const NLMSG_HEADER: usize = 16;
const IFINFO_BYTES: usize = 16;

/// Renames the network device `name` to the next free `wwanN`, unless it has
/// such a name. `sysfs` is where its index is looked up.
///
/// # Errors
/// There is no such device, the caller may not configure networks, or the
/// kernel refuses (before Linux 6.2 it does so while the device is up).
pub fn rename(sysfs: &Path, name: &str) -> Result<()> {
    if name.starts_with(PREFIX) {
        return Ok(());
    }
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        bail!("`{name}` is no name of a network device");
    }
    let path = sysfs.join("class/net").join(name).join("ifindex");
    let index = fs::read_to_string(&path)
        .with_context(|| format!("no network device `{name}` ({})", path.display()))?;
    let index = index
        .trim_end()
        .parse()
        .with_context(|| format!("{}: `{}` is no index", path.display(), index.trim_end()))?;
    set_name(index).with_context(|| format!("cannot rename network device `{name}` to `wwanN`"))
}

fn set_name(index: i32) -> io::Result<()> {
    // Protocol 0 is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    sendto(&socket, &request(index), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    // The answer repeats the request after its own header and error number.
    let mut buffer = [0; 256];
    let (_, length) = recv(&socket, &mut buffer, RecvFlags::empty())?;
    match error_number(&buffer[..length.min(buffer.len())]) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::Error::other("the kernel's answer is no acknowledgement")),
    }
}

/// RTM_SETLINK for the device `index` with the template as its new name.
fn request(index: i32) -> Vec<u8> {
    let attribute = 4 + TEMPLATE.len();
    let length = NLMSG_HEADER + IFINFO_BYTES + attribute.next_multiple_of(4);
    let mut bytes = Vec::with_capacity(length);
    // struct nlmsghdr: length, type, flags, sequence, port.
    bytes.extend((length as u32).to_ne_bytes());
    bytes.extend(RTM_SETLINK.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    bytes.extend([0; 8]);
    // struct ifinfomsg: family and type, index, flags, change mask.
    bytes.extend([0; 4]);
    bytes.extend(index.to_ne_bytes());
    bytes.extend([0; 8]);
    // struct rtattr: length, type, then the value, padded to four bytes.
    bytes.extend((attribute as u16).to_ne_bytes());
    bytes.extend(IFLA_IFNAME.to_ne_bytes());
    bytes.extend(TEMPLATE);
    bytes.resize(length, 0);
    bytes
}

/// The error number of an NLMSG_ERROR message, 0 for success, else negative.
fn error_number(message: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?);
    let error = message.get(NLMSG_HEADER..NLMSG_HEADER + 4)?.try_into().ok()?;
    (kind == NLMSG_ERROR).then(|| i32::from_ne_bytes(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_has_the_length_that_it_claims() {
        let bytes = request(7);
        assert_eq!(bytes.len(), 44);
        assert_eq!(u32::from_ne_bytes(bytes[..4].try_into().unwrap()), 44);
        assert_eq!(i32::from_ne_bytes(bytes[20..24].try_into().unwrap()), 7);
        assert_eq!(&bytes[36..43], b"wwan%d\0");
    }

    #[test]
    fn reads_acknowledgements_only() {
        let mut message = vec![0; 20];
        assert_eq!(error_number(&message), None);
        message[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        assert_eq!(error_number(&message), Some(0));
        message[16..20].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(error_number(&message), Some(-1));
        assert_eq!(error_number(&message[..18]), None);
    }

    #[test]
    fn a_right_name_is_left_and_a_wrong_one_refused() {
        let empty = tempfile::tempdir().unwrap();
        rename(empty.path(), "wwan3").unwrap();
        for bad in ["", "../x", "."] {
            assert!(rename(empty.path(), bad).unwrap_err().to_string().contains("no name"));
        }
        let error = rename(empty.path(), "usb0").unwrap_err().to_string();
        assert!(error.contains("no network device `usb0`"), "{error}");
    }
}
