//! The modem's own network against those of the other interfaces: both sides on
//! 192.168.0.0/24, as so many homes are, and neither works.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::model::{Ipv4, Observed, Route, network};

/// A clash, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clash {
    /// Name of the other link.
    pub link: String,
    /// The other link's network.
    pub network: (Ipv4Addr, u8),
    /// A third octet for the modem's network, 192.168.x.0/24, that is free:
    /// `AT+USBNETIP=0,x` (SIMCom A76XX AT Command Manual). `None` when all are
    /// taken.
    pub suggestion: Option<u8>,
}

/// Third octets to try first, in this order: neither routers nor other modems
/// like them. 69 is the one that owners of A76XX sticks report to work.
const PREFERRED: [u8; 4] = [69, 167, 76, 213];

/// The first other link whose network overlaps that of the lease on link
/// `index`, by its addresses or by routes that are not default routes.
#[must_use]
pub fn clash(lease: &Ipv4, index: u32, observed: &Observed) -> Option<Clash> {
    let taken = taken(index, observed);
    let (link, network) =
        taken.iter().find(|(_, other)| overlap((lease.address, lease.prefix), *other))?;
    let free = |third: &u8| {
        let candidate = (Ipv4Addr::new(192, 168, *third, 0), 24);
        !taken.iter().any(|(_, other)| overlap(candidate, *other))
    };
    let suggestion = PREFERRED.into_iter().chain(1..=254).find(free);
    let link = observed.link(*link).map_or_else(|| format!("index {link}"), |it| it.name.clone());
    Some(Clash { link, network: *network, suggestion })
}

/// The networks of the other links, each with the link's index.
fn taken(index: u32, observed: &Observed) -> Vec<(u32, (Ipv4Addr, u8))> {
    let addresses = observed.addresses.iter().map(|one| (one.index, (one.address, one.prefix)));
    let routes = observed.routes.iter().filter(|route| is_network(route));
    let routes = routes.map(|route| (route.index, route.destination));
    let others = addresses.chain(routes).filter(|(other, _)| *other != index);
    others
        .filter_map(|(other, (address, prefix))| match address {
            IpAddr::V4(address) => Some((other, (network(address, prefix), prefix))),
            IpAddr::V6(_) => None,
        })
        .collect()
}

/// A route to one place is a choice of its maker's, say for a VPN's server, and
/// the halves of the internet that some VPNs use are no networks either.
fn is_network(route: &Route) -> bool {
    (8..32).contains(&route.destination.1)
}

fn overlap(one: (Ipv4Addr, u8), other: (Ipv4Addr, u8)) -> bool {
    let prefix = one.1.min(other.1);
    network(one.0, prefix) == network(other.0, prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::model::{Address, Link, MAIN_TABLE};

    fn lease(address: [u8; 4]) -> Ipv4 {
        Ipv4 { address: address.into(), prefix: 24, gateway: None }
    }

    /// eth0 (index 2) with this network.
    fn with(address: [u8; 4], prefix: u8) -> Observed {
        let link = Link { up: true, ..Link::sample(2, "eth0") };
        let address =
            Address { index: 2, address: IpAddr::from(address), prefix, metric: 0, protocol: 0 };
        Observed { links: vec![link], addresses: vec![address], ..Observed::default() }
    }

    #[test]
    fn the_same_wider_and_narrower_networks_clash() {
        for (address, prefix, expected) in [
            ([192, 168, 0, 7], 24, true),
            ([192, 168, 7, 7], 16, true),
            ([192, 168, 0, 200], 26, true),
            ([192, 168, 1, 7], 24, false),
            ([10, 0, 0, 1], 8, false),
        ] {
            let clash = clash(&lease([192, 168, 0, 100]), 3, &with(address, prefix));
            assert_eq!(clash.is_some(), expected, "{address:?}/{prefix}");
        }
    }

    #[test]
    fn the_way_out_is_free_and_our_own_network_is_no_clash() {
        let lease = lease([192, 168, 0, 100]);
        let mut observed = with([192, 168, 0, 7], 24);
        assert_eq!(clash(&lease, 2, &observed), None);
        let found = clash(&lease, 3, &observed).unwrap();
        assert_eq!((found.link.as_str(), found.suggestion), ("eth0", Some(69)));
        let route = |destination: [u8; 4], prefix| Route {
            table: MAIN_TABLE,
            destination: (IpAddr::from(destination), prefix),
            gateway: None,
            index: 9,
            metric: 0,
            source: None,
            protocol: 4,
            onlink: false,
        };
        // A route to 64..=71 takes 69; the whole internet takes nothing.
        observed.routes = vec![route([192, 168, 64, 0], 21), route([0, 0, 0, 0], 0)];
        assert_eq!(clash(&lease, 3, &observed).unwrap().suggestion, Some(167));
        observed.routes.push(route([192, 168, 0, 0], 16));
        assert_eq!(clash(&lease, 3, &observed).unwrap().suggestion, None);
    }
}
