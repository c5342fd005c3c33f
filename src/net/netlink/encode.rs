//! From [`super::super::model`] to the kernel's messages.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressMessage, AddressProtocol, AddressScope,
};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};

use crate::net::model::{Address, Route, Rule};

pub fn mtu(index: u32, mtu: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes.push(LinkAttribute::Mtu(mtu));
    message
}

pub fn up(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    message
}

pub fn address(one: &Address) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(one.address);
    message.header.index = one.index;
    message.header.prefix_len = one.prefix;
    message.header.scope = AddressScope::Universe;
    message.attributes.push(AddressAttribute::Local(one.address));
    message.attributes.push(AddressAttribute::Address(one.address));
    if one.metric > 0 {
        message.attributes.push(AddressAttribute::RoutePriority(one.metric));
    }
    message.attributes.push(AddressAttribute::Protocol(AddressProtocol::from(one.protocol)));
    message
}

pub fn route(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(route.destination.0);
    message.header.destination_prefix_length = route.destination.1;
    message.header.protocol = RouteProtocol::from(route.protocol);
    message.header.kind = RouteType::Unicast;
    // What has no next hop is on the link itself.
    message.header.scope =
        if route.gateway.is_some() { RouteScope::Universe } else { RouteScope::Link };
    if route.onlink {
        message.header.flags = RouteFlags::Onlink;
    }
    // A table above 255 has place in the attribute alone (RT_TABLE_UNSPEC here).
    message.attributes.push(RouteAttribute::Table(route.table));
    message.attributes.push(RouteAttribute::Oif(route.index));
    message.attributes.push(RouteAttribute::Priority(route.metric));
    if route.destination.1 > 0 {
        message.attributes.push(RouteAttribute::Destination(route.destination.0.into()));
    }
    if let Some(gateway) = route.gateway {
        message.attributes.push(RouteAttribute::Gateway(gateway.into()));
    }
    if let Some(source) = route.source {
        message.attributes.push(RouteAttribute::PrefSource(source.into()));
    }
    message
}

pub fn rule(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = if rule.ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.action = RuleAction::ToTable;
    message.attributes.push(RuleAttribute::Table(rule.table));
    message.attributes.push(RuleAttribute::Priority(rule.priority));
    message.attributes.push(RuleAttribute::Protocol(RouteProtocol::from(rule.protocol)));
    if let Some((from, prefix)) = rule.from {
        message.header.src_len = prefix;
        message.attributes.push(RuleAttribute::Source(from));
    }
    if let Some(oif) = &rule.oif {
        message.attributes.push(RuleAttribute::Oifname(oif.clone()));
    }
    message
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
