//! The words for the state of the network: links, addresses, routes, rules.
//! Plain data; how it is read and written is [`super::netlink`]'s business.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::networkmanager::Seen;

/// The origin that our routes, rules and addresses carry (`proto 167` in `ip
/// route`): 0xa7. Above all numbers that the kernel or a listed program uses up
/// to 99 and beside the rest (iproute2's rt_protos: 186 bgp, 187 isis, 188 ospf,
/// 189 rip, 192 eigrp). What carries another number is never changed.
pub const PROTOCOL: u8 = 167;

/// The origin of addresses that the kernel made from a router's advertisement
/// (`IFAPROT_KERNEL_RA` of linux/if_addr.h).
pub const ADVERTISED_ADDRESS: u8 = 2;

/// The origin of routes that a router advertised (`RTPROT_RA` of
/// linux/rtnetlink.h).
pub const ADVERTISED_ROUTE: u8 = 9;

/// The origin of the kernel's routes to networks of its addresses
/// (`RTPROT_KERNEL` of linux/rtnetlink.h).
pub const KERNEL_ROUTE: u8 = 2;

/// Priority of our policy rules. After tailscale's (5210 to 5270), before the
/// main table (32766).
pub const RULE_PRIORITY: u32 = 7670;

/// The routing table of a link is this plus the link's index.
pub const TABLE_BASE: u32 = 7_670_000;

/// The kernel's main routing table (`RT_TABLE_MAIN`).
pub const MAIN_TABLE: u32 = 254;

/// The table of routes that only packets of link `index` use.
#[must_use]
pub fn table(index: u32) -> u32 {
    TABLE_BASE.saturating_add(index)
}

/// What a modem's network device is to be like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Name of the link, such as `wwan0`.
    pub link: String,
    /// Its index.
    pub index: u32,
    /// Its MTU in bytes; `None` leaves it alone.
    pub mtu: Option<u32>,
    /// The lease, as soon as there is one.
    pub ipv4: Option<Ipv4>,
    /// Metric of the route to the link's own network; the lowest wins.
    pub metric: u32,
    /// Metric of the default route for everybody. `None`: only what is bound to
    /// the link uses it (not proven yet, or the cap is reached).
    pub default_route: Option<u32>,
    /// Name servers to use through this link; `None` for none of ours.
    pub dns: Option<NameServers>,
    /// What to do about IPv6.
    pub ipv6: Ipv6,
}

/// Name servers of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameServers {
    /// Their addresses, the first to ask first.
    pub servers: Vec<IpAddr>,
    /// Whether they are for names of every domain: so for the uplink in use,
    /// and for that one alone.
    pub primary: bool,
}

/// An IPv4 configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipv4 {
    /// Our address.
    pub address: Ipv4Addr,
    /// Length of the network's prefix in bits, at most 32.
    pub prefix: u8,
    /// The next hop; `None` on a link where everything is one hop away.
    pub gateway: Option<Ipv4Addr>,
}

/// Whether to take part in IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ipv6 {
    /// Leave the kernel's setting alone.
    Leave,
    /// Take what router advertisements offer (SLAAC).
    Accept,
    /// Refuse them, and have nothing of those that came before.
    Refuse,
}

/// What there is, of all interfaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The links.
    pub links: Vec<Link>,
    /// The addresses.
    pub addresses: Vec<Address>,
    /// The unicast routes of all tables but the kernel's `local`.
    pub routes: Vec<Route>,
    /// The policy rules.
    pub rules: Vec<Rule>,
    /// The name servers that we have set for the link in question; `None` when
    /// we have set nothing.
    pub dns: Option<NameServers>,
    /// `accept_ra` of the link in question: 0, 1 (unless forwarding) or 2;
    /// `None` without IPv6.
    pub accept_ra: Option<u8>,
    /// `ra_defrtr_metric` of the link in question: the metric of default routes
    /// that routers advertise; `None` before Linux 5.12.
    pub ra_metric: Option<u32>,
    /// What NetworkManager says of the link in question, where it configures it.
    #[serde(skip)]
    pub manager: Option<Seen>,
}

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is switched on (`IFF_UP`).
    pub up: bool,
    /// Whether the other side is there (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// Whether it resolves addresses by ARP (no `IFF_NOARP`).
    pub arp: bool,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Its Ethernet address, if it has one.
    pub mac: Option<[u8; 6]>,
    /// Bytes received since the device appeared.
    pub rx_bytes: u64,
    /// Bytes sent since the device appeared.
    pub tx_bytes: u64,
}

#[cfg(test)]
impl Link {
    /// An Ethernet link, switched off, with a cable in it.
    pub(crate) fn sample(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.to_owned(),
            up: false,
            carrier: true,
            arp: true,
            mtu: 1500,
            mac: None,
            rx_bytes: 0,
            tx_bytes: 0,
        }
    }
}

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Index of the link.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of its network's prefix in bits.
    pub prefix: u8,
    /// Metric of the route to its network; 0 when not given.
    pub metric: u32,
    /// Who made it (`IFA_PROTO`); 0 when unknown, always so before Linux 5.18.
    pub protocol: u8,
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Routing table.
    pub table: u32,
    /// Destination network and the length of its prefix; the unspecified
    /// address with length 0 for the default route.
    pub destination: (IpAddr, u8),
    /// Next hop; `None` for a network that is one hop away.
    pub gateway: Option<IpAddr>,
    /// Index of the link; 0 when it has none (a route by several links).
    pub index: u32,
    /// Metric; the lowest wins.
    pub metric: u32,
    /// Address that our packets bear.
    pub source: Option<IpAddr>,
    /// Who made it.
    pub protocol: u8,
    /// The next hop counts as reachable though no network of the link has it.
    pub onlink: bool,
}

/// A policy rule: which table to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its place; the lowest is asked first.
    pub priority: u32,
    /// The table that it leads to.
    pub table: u32,
    /// Only packets from this network.
    pub from: Option<(IpAddr, u8)>,
    /// Only packets of sockets that are bound to this link.
    pub oif: Option<String>,
    /// Who made it.
    pub protocol: u8,
    /// Whether it is for IPv6.
    pub ipv6: bool,
}

impl Observed {
    /// The routes that routers on this link advertised.
    pub fn advertised_routes(&self, index: u32) -> impl Iterator<Item = &Route> {
        let of_link = move |route: &&Route| route.index == index;
        self.routes.iter().filter(of_link).filter(|route| route.protocol == ADVERTISED_ROUTE)
    }

    /// The link with this index.
    #[must_use]
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The link with this name.
    #[must_use]
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }
}

impl Ipv4 {
    /// The network that the address is in.
    #[must_use]
    pub fn network(&self) -> Ipv4Addr {
        network(self.address, self.prefix)
    }
}

/// The network of an address: all bits after the prefix cleared.
#[must_use]
pub fn network(address: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    Ipv4Addr::from(u32::from(address) & mask)
}

impl fmt::Display for Route {
    /// As `ip route` words it, the table first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.table {
            MAIN_TABLE => {}
            table => write!(f, "table {table}: ")?,
        }
        match self.destination {
            (_, 0) => f.write_str("default")?,
            (network, prefix) => write!(f, "{network}/{prefix}")?,
        }
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if self.onlink {
            f.write_str(" onlink")?;
        }
        write!(f, " metric {}", self.metric)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.priority)?;
        if let Some((from, prefix)) = self.from {
            write!(f, " from {from}/{prefix}")?;
        }
        if let Some(oif) = &self.oif {
            write!(f, " bound to {oif}")?;
        }
        write!(f, " ask table {}", self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_the_prefix_and_nothing_else() {
        let address = Ipv4Addr::new(192, 168, 5, 77);
        for (prefix, expected) in [
            (0, [0, 0, 0, 0]),
            (16, [192, 168, 0, 0]),
            (24, [192, 168, 5, 0]),
            (26, [192, 168, 5, 64]),
            (32, [192, 168, 5, 77]),
        ] {
            assert_eq!(network(address, prefix), Ipv4Addr::from(expected), "/{prefix}");
        }
    }
}
