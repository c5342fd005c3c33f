//! The data path as the modem sees it: what the USB network function carries,
//! which addresses are on it, and what is wrong with it.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// How packets cross the USB bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// CDC Ethernet, one Ethernet frame per transfer.
    Ecm,
    /// Microsoft's remote NDIS, frames behind a 44 byte header.
    Rndis,
    /// One IP packet per transfer, no header (SIMCom's "NDIS" of 1e0e:9025).
    RawIp,
}

/// Which addresses the host is given by the modem's DHCP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lan {
    /// 192.168.`third`.0/24 behind the modem's NAT, gateway and DNS on `.1`
    /// (`AT+USBNETIP=0`, SIMCom A76XX AT manual V1.09).
    Private {
        /// Third octet of the network.
        third: u8,
        /// First address of the DHCP pool, the last octet.
        first_host: u8,
        /// Last address of the DHCP pool, the last octet.
        last_host: u8,
    },
    /// The carrier's address is passed on to the host (`AT+USBNETIP=1`, and
    /// the raw IP function).
    Public,
}

/// What is wrong with the data path. The default is: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkFaults {
    /// The DHCP server does not answer.
    pub no_lease: bool,
    /// There is a lease, but no packet passes the modem.
    pub no_internet: bool,
    /// Packets pass, but nobody answers DNS questions.
    pub dns_dead: bool,
    /// A captive portal: every name is its address, every HTTP request is
    /// answered 302, and nothing else passes.
    pub captive_portal: bool,
    /// The lease names a gateway that nobody is; name server and DHCP are well.
    /// With public addresses nothing passes but DHCP.
    pub wrong_gateway: bool,
    /// Seconds of a lease; `None` is the modem's own.
    pub lease_s: Option<u32>,
    /// A lease is not renewed: the server refuses, and the host begins anew.
    pub nak_renewal: bool,
    /// IP packets longer than this, in bytes, vanish without an error.
    pub mtu: Option<u16>,
    /// Added to each direction, in milliseconds.
    pub latency_ms: u32,
    /// At most this much more, evenly spread, in milliseconds.
    pub jitter_ms: u32,
    /// Packets lost of a thousand, in each direction.
    pub loss_permille: u16,
    /// Rate towards the host in kbit/s; `None` is as fast as the bus.
    pub down_kbit: Option<u32>,
    /// Rate from the host in kbit/s; `None` is as fast as the bus.
    pub up_kbit: Option<u32>,
}

/// The state of the data path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// How packets cross the bus.
    pub framing: Framing,
    /// What the NETWORK_CONNECTION notification (or its RNDIS counterpart)
    /// tells the host.
    pub carrier: bool,
    /// A data call is up: packets go on to the far end. The modem leases
    /// addresses without it too, as real ones do.
    pub forwarding: bool,
    /// The host has dialled: its packets come and go by PPP.
    pub call: bool,
    /// Addresses on the host's side.
    pub lan: Lan,
    /// The carrier's address of this data call.
    pub address: Ipv4Addr,
    /// What is wrong.
    pub faults: LinkFaults,
}
