//! Decides what to change: from what a link should be like and what there is to
//! the steps between. Pure, and the same whether the service has just started,
//! was killed half way through, or finds that somebody changed something.
//!
//! Only what is ours is ever removed: addresses, routes and rules that carry
//! [`PROTOCOL`], and what the kernel made of router advertisements on our link.
//! Nothing of another link is touched. Carrying out a plan and
//! planning again gives an empty plan; that is how it is verified.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::model::{
    ADVERTISED_ADDRESS, ADVERTISED_ROUTE, Address, Desired, Ipv4, Ipv6, KERNEL_ROUTE, MAIN_TABLE,
    NameServers, Observed, PROTOCOL, RULE_PRIORITY, Route, Rule, table,
};
use super::networkmanager;

/// One change. Making one that is made already is no error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Set the MTU of the link, in bytes.
    SetMtu(u32),
    /// Switch the link on.
    LinkUp,
    /// Write `accept_ra` of the link.
    AcceptRa(u8),
    /// Write `ra_defrtr_metric` of the link.
    RaMetric(u32),
    /// Give the link an address, or a new metric to the one it has.
    AddAddress(Address),
    /// Take an address away, and with it the kernel's route to its network.
    RemoveAddress(Address),
    /// Add a route.
    AddRoute(Route),
    /// Remove a route.
    RemoveRoute(Route),
    /// Add a policy rule.
    AddRule(Rule),
    /// Remove a policy rule.
    RemoveRule(Rule),
    /// Use these name servers for the link.
    SetDns(NameServers),
    /// Forget the name servers that we set.
    ClearDns,
    /// Ask NetworkManager for something.
    #[serde(skip)]
    Manager(networkmanager::Step),
}

/// The changes for one link, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the link.
    pub link: String,
    /// Its index.
    pub index: u32,
    /// What to do; nothing when all is as it should be.
    pub steps: Vec<Step>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// The modem was pulled, or its function changed.
    #[error("network device `{0}` (index {1}) is gone")]
    Gone(String, u32),
    /// Somebody renamed it.
    #[error("network device {index} is called `{found}`, not `{expected}`: look it up again")]
    Renamed {
        /// The index.
        index: u32,
        /// Its name now.
        found: String,
        /// The name that was expected.
        expected: String,
    },
}

/// The steps from `observed` to `desired`.
///
/// The order keeps traffic going: addresses that are gone go first, since the
/// kernel drops others of their network along with them (`__inet_del_ifa`);
/// what is new comes before what is stale leaves.
///
/// # Errors
/// The link does not exist, or has another name.
pub fn plan(desired: &Desired, observed: &Observed) -> Result<Plan, PlanError> {
    let index = desired.index;
    let Some(link) = observed.link(index) else {
        return Err(PlanError::Gone(desired.link.clone(), index));
    };
    if link.name != desired.link {
        return Err(PlanError::Renamed {
            index,
            found: link.name.clone(),
            expected: desired.link.clone(),
        });
    }
    let mut steps = Vec::new();
    if let Some(mtu) = desired.mtu.filter(|mtu| *mtu != link.mtu) {
        steps.push(Step::SetMtu(mtu));
    }
    ipv6(desired, observed, &mut steps);
    if !link.up {
        steps.push(Step::LinkUp);
    }

    let address = desired.ipv4.map(|ipv4| address(index, desired.metric, &ipv4));
    let routes = routes(desired);
    let rules = rules(desired);

    let stale = |one: &&Address| address.is_none_or(|wanted| !same_address(&wanted, one));
    steps.extend(our_addresses(observed, index).filter(stale).map(|one| Step::RemoveAddress(*one)));
    if let Some(wanted) = address {
        let there = |one: &Address| same_address(&wanted, one) && one.metric == wanted.metric;
        if !observed.addresses.iter().any(there) {
            steps.push(Step::AddAddress(wanted));
        }
    }
    let missing = routes.iter().filter(|route| !observed.routes.contains(route));
    steps.extend(missing.map(|route| Step::AddRoute(*route)));
    let missing = rules.iter().filter(|rule| !observed.rules.contains(rule));
    steps.extend(missing.map(|rule| Step::AddRule(rule.clone())));

    let stale = our_routes(observed, index).filter(|route| !routes.contains(route));
    steps.extend(stale.map(|route| Step::RemoveRoute(*route)));
    let stale = our_rules(observed, index).filter(|rule| !rules.contains(rule));
    steps.extend(stale.map(|rule| Step::RemoveRule(rule.clone())));

    match (&desired.dns, &observed.dns) {
        (None, None) => {}
        (None, Some(_)) => steps.push(Step::ClearDns),
        (Some(wanted), Some(set)) if wanted == set => {}
        (Some(wanted), _) => steps.push(Step::SetDns(wanted.clone())),
    }
    Ok(Plan { link: desired.link.clone(), index, steps })
}

/// The steps that leave nothing of ours on the link, which may be gone already.
/// The link itself stays on: who comes next decides about that.
#[must_use]
pub fn teardown(link: &str, index: u32, observed: &Observed) -> Plan {
    let mut steps = Vec::new();
    if observed.dns.is_some() {
        steps.push(Step::ClearDns);
    }
    // Of a link that is gone, another may have the name.
    if observed.link(index).is_some_and(|found| found.name == link) {
        refuse_ipv6(index, observed, &mut steps);
    }
    steps.extend(traces(link, index, observed).steps);
    Plan { link: link.to_owned(), index, steps }
}

/// The steps that remove what carries [`PROTOCOL`] from the link.
pub(super) fn traces(link: &str, index: u32, observed: &Observed) -> Plan {
    let mut steps = Vec::new();
    steps.extend(our_rules(observed, index).map(|rule| Step::RemoveRule(rule.clone())));
    steps.extend(our_routes(observed, index).map(|route| Step::RemoveRoute(*route)));
    steps.extend(our_addresses(observed, index).map(|one| Step::RemoveAddress(*one)));
    Plan { link: link.to_owned(), index, steps }
}

/// The steps that remove what earlier runs left on links other than `managed`,
/// say for a stick that came back under another index. One plan per link.
#[must_use]
pub fn orphans(managed: &[u32], observed: &Observed) -> Vec<Plan> {
    let of_rules = observed.rules.iter().filter(|rule| rule.protocol == PROTOCOL);
    let of_rules = of_rules.filter_map(|rule| rule.table.checked_sub(table(0)));
    let of_routes = observed.routes.iter().filter(|route| route.protocol == PROTOCOL);
    let of_addresses = observed.addresses.iter().filter(|one| one.protocol == PROTOCOL);
    let mut indices: Vec<u32> = of_rules
        .chain(of_routes.map(|route| route.index))
        .chain(of_addresses.map(|one| one.index))
        .filter(|index| !managed.contains(index))
        .collect();
    indices.sort_unstable();
    indices.dedup();
    let name = |index| observed.link(index).map_or_else(String::new, |link| link.name.clone());
    indices
        .into_iter()
        // Neither name servers nor IPv6: `observed` has those of a live link.
        .map(|index| traces(&name(index), index, observed))
        .filter(|plan| !plan.steps.is_empty())
        .collect()
}

fn ipv6(desired: &Desired, observed: &Observed, steps: &mut Vec<Step>) {
    match (desired.ipv6, observed.accept_ra) {
        (Ipv6::Leave, _) | (_, None) | (Ipv6::Accept, Some(2)) => {}
        // 1 does nothing on a host that forwards, 2 always works.
        (Ipv6::Accept, Some(_)) => steps.push(Step::AcceptRa(2)),
        (Ipv6::Refuse, Some(_)) => refuse_ipv6(desired.index, observed, steps),
    }
    let other = |metric: &u32| *metric != desired.metric;
    if desired.ipv6 == Ipv6::Accept && observed.ra_metric.as_ref().is_some_and(other) {
        steps.push(Step::RaMetric(desired.metric));
    }
}

/// First the kernel is to take no more; what it took stays until it is removed
/// (net/ipv6/ndisc.c, `ndisc_router_discovery`). An address takes no route along.
pub(super) fn refuse_ipv6(index: u32, observed: &Observed, steps: &mut Vec<Step>) {
    if observed.accept_ra.is_some_and(|value| value != 0) {
        steps.push(Step::AcceptRa(0));
    }
    let of_link = |one: &&Address| one.index == index && one.address.is_ipv6();
    let (advertised, others): (Vec<&Address>, Vec<&Address>) = observed
        .addresses
        .iter()
        .filter(of_link)
        .partition(|one| one.protocol == ADVERTISED_ADDRESS);
    // The kernel's own route to an advertised network: no other address is in it.
    let prefix = |route: &Route| {
        let IpAddr::V6(network) = route.destination.0 else { return false };
        let inside = |one: &&&Address| in_network(one.address, network, route.destination.1);
        route.protocol == KERNEL_ROUTE
            && !network.is_unicast_link_local()
            && !network.is_multicast()
            && !others.iter().any(|one| inside(&one))
    };
    let of_link = |route: &&Route| route.index == index && route.destination.0.is_ipv6();
    let routes = observed.routes.iter().filter(of_link);
    let routes = routes.filter(|route| route.protocol == ADVERTISED_ROUTE || prefix(route));
    steps.extend(routes.map(|route| Step::RemoveRoute(*route)));
    steps.extend(advertised.into_iter().map(|one| Step::RemoveAddress(*one)));
}

fn in_network(address: IpAddr, network: Ipv6Addr, prefix: u8) -> bool {
    let IpAddr::V6(address) = address else { return false };
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
    (u128::from(address) ^ u128::from(network)) & mask == 0
}

fn address(index: u32, metric: u32, ipv4: &Ipv4) -> Address {
    let address = ipv4.address.into();
    Address { index, address, prefix: ipv4.prefix.min(32), metric, protocol: PROTOCOL }
}

/// Who made an address does not count: an address of the right value is adopted.
fn same_address(one: &Address, other: &Address) -> bool {
    (one.index, one.address, one.prefix) == (other.index, other.address, other.prefix)
}

/// The default route for everybody, and for what is bound to the link a table
/// of its own, which works without the former and beside other uplinks'.
fn routes(desired: &Desired) -> Vec<Route> {
    let Some(ipv4) = desired.ipv4 else { return Vec::new() };
    let default = |table, metric| Route {
        table,
        destination: (Ipv4Addr::UNSPECIFIED.into(), 0),
        gateway: ipv4.gateway.map(IpAddr::from),
        index: desired.index,
        metric,
        source: Some(ipv4.address.into()),
        protocol: PROTOCOL,
        onlink: ipv4
            .gateway
            .is_some_and(|gateway| super::model::network(gateway, ipv4.prefix) != ipv4.network()),
    };
    let own = table(desired.index);
    let mut routes = Vec::new();
    if ipv4.prefix < 32 {
        let destination = (ipv4.network().into(), ipv4.prefix);
        let bound = default(own, desired.metric);
        routes.push(Route { destination, gateway: None, onlink: false, ..bound });
    }
    routes.push(default(own, desired.metric));
    routes.extend(desired.default_route.map(|metric| default(MAIN_TABLE, metric)));
    routes
}

/// Sockets bound to the link, and answers from its address, go through it.
fn rules(desired: &Desired) -> Vec<Rule> {
    let Some(ipv4) = desired.ipv4 else { return Vec::new() };
    let rule = |from, oif| Rule {
        priority: RULE_PRIORITY,
        table: table(desired.index),
        from,
        oif,
        protocol: PROTOCOL,
        ipv6: false,
    };
    vec![rule(None, Some(desired.link.clone())), rule(Some((ipv4.address.into(), 32)), None)]
}

fn our_addresses(observed: &Observed, index: u32) -> impl Iterator<Item = &Address> {
    observed.addresses.iter().filter(move |one| one.index == index && one.protocol == PROTOCOL)
}

fn our_routes(observed: &Observed, index: u32) -> impl Iterator<Item = &Route> {
    observed.routes.iter().filter(move |one| one.index == index && one.protocol == PROTOCOL)
}

fn our_rules(observed: &Observed, index: u32) -> impl Iterator<Item = &Rule> {
    observed.rules.iter().filter(move |one| one.table == table(index) && one.protocol == PROTOCOL)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::SetMtu(mtu) => write!(f, "set MTU {mtu}"),
            Step::LinkUp => f.write_str("switch on"),
            Step::AcceptRa(0) => f.write_str("refuse IPv6 router advertisements"),
            Step::AcceptRa(_) => f.write_str("accept IPv6 router advertisements"),
            Step::RaMetric(metric) => write!(f, "give advertised routes metric {metric}"),
            Step::AddAddress(one) => write!(f, "add address {}/{}", one.address, one.prefix),
            Step::RemoveAddress(one) => write!(f, "remove address {}/{}", one.address, one.prefix),
            Step::AddRoute(route) => write!(f, "add route {route}"),
            Step::RemoveRoute(route) => write!(f, "remove route {route}"),
            Step::AddRule(rule) => write!(f, "add rule {rule}"),
            Step::RemoveRule(rule) => write!(f, "remove rule {rule}"),
            Step::SetDns(dns) => {
                f.write_str("use name servers")?;
                dns.servers.iter().try_for_each(|server| write!(f, " {server}"))?;
                f.write_str(if dns.primary { "" } else { " (another uplink comes first)" })
            }
            Step::ClearDns => f.write_str("forget the name servers"),
            Step::Manager(step) => step.fmt(f),
        }
    }
}

impl fmt::Display for Plan {
    /// One step a line, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return write!(f, "{}: all is as it should be", self.link);
        }
        for (number, step) in self.steps.iter().enumerate() {
            let newline = if number == 0 { "" } else { "\n" };
            write!(f, "{newline}{}: {step}", self.link)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
