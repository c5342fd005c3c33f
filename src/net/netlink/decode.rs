//! From the kernel's messages to [`super::super::model`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};

use crate::net::model::{ADVERTISED_ADDRESS, Address, Link, Route, Rule};

/// `RT_TABLE_LOCAL`: the kernel's own notes about local addresses.
const LOCAL_TABLE: u32 = 255;

pub fn link(message: &LinkMessage) -> Option<Link> {
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        arp: !flags.contains(LinkFlags::Noarp),
        mtu: 0,
        mac: None,
        rx_bytes: 0,
        tx_bytes: 0,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(bytes) => link.mac = bytes.as_slice().try_into().ok(),
            LinkAttribute::Stats64(stats) => {
                (link.rx_bytes, link.tx_bytes) = (stats.rx_bytes, stats.tx_bytes);
            }
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

pub fn address(message: &AddressMessage) -> Option<Address> {
    let (mut local, mut peer, mut metric, mut protocol) = (None, None, 0, 0);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => peer = Some(*address),
            AddressAttribute::RoutePriority(priority) => metric = *priority,
            AddressAttribute::Protocol(origin) => protocol = u8::from(*origin),
            // Before Linux 5.18 this alone tells; of an address with a random
            // part, which has no origin of its own, always.
            AddressAttribute::Flags(flags) if from_router(message, *flags) => {
                protocol = ADVERTISED_ADDRESS;
            }
            _ => {}
        }
    }
    let (index, prefix) = (message.header.index, message.header.prefix_len);
    // IPv6 has `Address` alone; with IPv4 that is the peer's.
    local.or(peer).map(|address| Address { index, address, prefix, metric, protocol })
}

/// Whether the kernel made an address from a router's advertisement: only such
/// can have addresses with a random part beside them (RFC 8981), which are
/// `IFA_F_TEMPORARY`, the same bit as `IFA_F_SECONDARY` of IPv4.
fn from_router(message: &AddressMessage, flags: AddressFlags) -> bool {
    message.header.family == AddressFamily::Inet6
        && flags.intersects(AddressFlags::Managetempaddr | AddressFlags::Secondary)
}

pub fn route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let unspecified: IpAddr = match header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    if header.kind != RouteType::Unicast || header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let mut route = Route {
        table: u32::from(header.table),
        destination: (unspecified, header.destination_prefix_length),
        gateway: None,
        index: 0,
        metric: 0,
        source: None,
        protocol: u8::from(header.protocol),
        onlink: header.flags.contains(RouteFlags::Onlink),
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Destination(to) => route.destination.0 = ip(to)?,
            RouteAttribute::Gateway(gateway) => route.gateway = ip(gateway),
            RouteAttribute::PrefSource(source) => route.source = ip(source),
            RouteAttribute::Oif(index) => route.index = *index,
            RouteAttribute::Priority(metric) => route.metric = *metric,
            _ => {}
        }
    }
    (route.table != LOCAL_TABLE).then_some(route)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

pub fn rule(message: &RuleMessage) -> Option<Rule> {
    if message.header.action != RuleAction::ToTable {
        return None;
    }
    let mut rule = Rule {
        priority: 0,
        table: u32::from(message.header.table),
        from: None,
        oif: None,
        protocol: 0,
        ipv6: message.header.family == AddressFamily::Inet6,
    };
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::Source(from) => rule.from = Some((*from, message.header.src_len)),
            RuleAttribute::Oifname(name) => rule.oif = Some(name.clone()),
            RuleAttribute::Protocol(origin) => rule.protocol = u8::from(*origin),
            _ => {}
        }
    }
    Some(rule)
}
