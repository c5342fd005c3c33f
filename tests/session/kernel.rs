//! A model of the kernel: links that come and go under new indices, addresses,
//! routes and rules, and what it does at each step of a plan.

use std::net::{IpAddr, Ipv4Addr};

use a7670e::net::model::{Address, Link, MAIN_TABLE, Observed, Route, network};
use a7670e::net::plan::{Plan, Step};
use a7670e::session::Failure;

/// The modem's network device; it always gets the same name.
pub const MODEM: &str = "wwan0";
/// Another uplink, when there is one.
pub const ETH: u32 = 2;

/// `RTPROT_KERNEL`: the route to an address's own network.
const BY_KERNEL: u8 = 2;

/// The state of the network of one machine.
pub struct Kernel {
    state: Observed,
    next_index: u32,
    /// The modem's side of the modem's link is there.
    carrier: bool,
    /// Something changed since this was last looked at.
    pub changed: bool,
    /// How often a default route of ours was taken away while one was there.
    pub withdrawn: u32,
}

impl Kernel {
    pub fn new() -> Kernel {
        let state = Observed::default();
        Kernel { state, next_index: 3, carrier: false, changed: false, withdrawn: 0 }
    }

    /// All is new but the numbers, which a test would else mistake.
    pub fn reboot(&mut self) {
        let eth = self.eth();
        let next_index = self.next_index;
        *self = Kernel::new();
        self.next_index = next_index;
        if let Some((address, metric)) = eth {
            self.plug_eth(address, metric);
        }
    }

    fn eth(&self) -> Option<(Ipv4Addr, u32)> {
        let address = self.state.addresses.iter().find(|one| one.index == ETH)?;
        let default = |route: &&Route| route.index == ETH && route.destination.1 == 0;
        match (address.address, self.state.routes.iter().find(default)) {
            (IpAddr::V4(address), Some(route)) => Some((address, route.metric)),
            _ => None,
        }
    }

    /// eth0 comes up with this address of a /24 and a default route.
    pub fn plug_eth(&mut self, address: Ipv4Addr, metric: u32) {
        self.unplug_eth();
        let route = |destination, gateway| Route {
            table: MAIN_TABLE,
            destination,
            gateway,
            index: ETH,
            metric,
            source: None,
            protocol: 16,
            onlink: false,
        };
        let [a, b, c, _] = address.octets();
        let gateway = Ipv4Addr::new(a, b, c, 254);
        self.state.links.push(link(ETH, "eth0", true, None));
        if let Some(eth) = self.state.links.last_mut() {
            (eth.up, eth.carrier) = (true, true);
        }
        self.state.addresses.push(Address {
            index: ETH,
            address: address.into(),
            prefix: 24,
            metric,
            protocol: 0,
        });
        self.state.routes.push(route((network(address, 24).into(), 24), None));
        self.state.routes.push(route((Ipv4Addr::UNSPECIFIED.into(), 0), Some(gateway.into())));
        self.changed = true;
    }

    pub fn unplug_eth(&mut self) {
        self.remove(ETH);
    }

    /// The modem's network device appears.
    pub fn attach(&mut self, arp: bool, mac: [u8; 6]) {
        self.detach();
        self.state.links.push(link(self.next_index, MODEM, arp, arp.then_some(mac)));
        (self.state.accept_ra, self.state.ra_metric) = (Some(1), Some(1024));
        self.next_index += 1;
        self.carrier = false;
        self.changed = true;
    }

    /// It goes, and with it its addresses and routes, but no rule.
    pub fn detach(&mut self) {
        if let Some(index) = self.modem_index() {
            self.remove(index);
            // As systemd-resolved does when a link goes.
            self.state.dns = None;
        }
    }

    fn remove(&mut self, index: u32) {
        let before = self.state.links.len();
        self.state.links.retain(|link| link.index != index);
        self.state.addresses.retain(|one| one.index != index);
        self.state.routes.retain(|route| route.index != index);
        self.changed |= self.state.links.len() != before;
    }

    /// What the modem notifies.
    pub fn set_carrier(&mut self, carrier: bool) {
        self.changed |= self.carrier != carrier;
        self.carrier = carrier;
    }

    pub fn modem_index(&self) -> Option<u32> {
        self.state.link_named(MODEM).map(|link| link.index)
    }

    pub fn arp(&self) -> bool {
        self.state.link_named(MODEM).is_some_and(|link| link.arp)
    }

    /// Whether packets can leave by the modem's link.
    pub fn runs(&self) -> bool {
        self.carrier && self.state.link_named(MODEM).is_some_and(|link| link.up)
    }

    pub fn observe(&self) -> Observed {
        let mut seen = self.state.clone();
        for link in seen.links.iter_mut().filter(|link| link.name == MODEM) {
            link.carrier = link.up && self.carrier;
        }
        if self.modem_index().is_none() {
            (seen.accept_ra, seen.ra_metric) = (None, None);
        }
        seen
    }

    /// The modem's link carried this.
    pub fn count(&mut self, rx: u64, tx: u64) {
        if let Some(link) = self.state.links.iter_mut().find(|link| link.name == MODEM) {
            link.rx_bytes += rx;
            link.tx_bytes += tx;
        }
    }

    /// The default routes of everybody, the one in use first.
    pub fn defaults(&self) -> Vec<Route> {
        let default = |route: &&Route| route.table == MAIN_TABLE && route.destination.1 == 0;
        let mut found: Vec<Route> = self.state.routes.iter().filter(default).copied().collect();
        found.sort_by_key(|route| route.metric);
        found
    }

    /// The default route through the modem, if there is one.
    pub fn modem_default(&self) -> Option<Route> {
        let index = self.modem_index()?;
        self.defaults().into_iter().find(|route| route.index == index)
    }

    /// The source address of packets of a socket that is bound to the modem's
    /// link, if they can leave.
    pub fn bound_source(&self) -> Option<Ipv4Addr> {
        let index = self.modem_index().filter(|_| self.runs())?;
        let rule = self.state.rules.iter().find(|rule| rule.oif.as_deref() == Some(MODEM));
        let tables = [rule.map(|rule| rule.table), Some(MAIN_TABLE)];
        let route = tables.into_iter().flatten().find_map(|table| {
            self.state.routes.iter().find(|route| {
                route.table == table && route.index == index && route.destination.1 == 0
            })
        })?;
        match route.source {
            Some(IpAddr::V4(source)) => Some(source),
            _ => None,
        }
    }

    /// Carries out the first steps of a plan; gives those that failed.
    pub fn apply(&mut self, plan: &Plan, steps: usize) -> Vec<Failure> {
        let had = self.modem_default().is_some();
        let mut failures = Vec::new();
        for step in plan.steps.iter().take(steps) {
            if let Err(reason) = self.step(plan.index, step) {
                let reason = format!("{step}: {reason}");
                failures.push(Failure { step: step.clone(), reason, foreign: false });
            }
        }
        self.withdrawn += u32::from(had && self.modem_default().is_none());
        self.changed |= steps > 0 && !plan.steps.is_empty();
        failures
    }

    fn step(&mut self, index: u32, step: &Step) -> Result<(), &'static str> {
        let rules = matches!(step, Step::AddRule(_) | Step::RemoveRule(_) | Step::ClearDns);
        let Some(link) = self.state.links.iter_mut().find(|link| link.index == index) else {
            if rules {
                self.rule(step);
                return Ok(());
            }
            return Err("no such device");
        };
        match step {
            Step::SetMtu(mtu) => link.mtu = *mtu,
            Step::LinkUp => link.up = true,
            Step::AcceptRa(value) => self.state.accept_ra = Some(*value),
            Step::RaMetric(metric) => self.state.ra_metric = Some(*metric),
            Step::AddAddress(one) => {
                let up = link.up;
                self.drop_address(one);
                self.state.addresses.push(*one);
                if let (IpAddr::V4(address), true) = (one.address, up) {
                    self.state.routes.push(Route {
                        table: MAIN_TABLE,
                        destination: (network(address, one.prefix).into(), one.prefix),
                        gateway: None,
                        index: one.index,
                        metric: one.metric,
                        source: Some(one.address),
                        protocol: BY_KERNEL,
                        onlink: false,
                    });
                }
            }
            Step::RemoveAddress(one) => {
                self.drop_address(one);
                self.state.routes.retain(|route| route.source != Some(one.address));
            }
            Step::AddRoute(route) => {
                if !link.up {
                    return Err("the network is down");
                }
                let source = |one: &Address| Some(one.address) == route.source;
                if !self.state.addresses.iter().any(source) {
                    return Err("no such source");
                }
                self.state.routes.retain(|other| other != route);
                self.state.routes.push(*route);
            }
            Step::RemoveRoute(route) => self.state.routes.retain(|other| other != route),
            Step::SetDns(dns) => self.state.dns = Some(dns.clone()),
            Step::Manager(step) => panic!("no plan of netlink's has {step}"),
            Step::AddRule(_) | Step::RemoveRule(_) | Step::ClearDns => self.rule(step),
        }
        Ok(())
    }

    fn rule(&mut self, step: &Step) {
        match step {
            Step::AddRule(rule) => {
                self.state.rules.retain(|other| other != rule);
                self.state.rules.push(rule.clone());
            }
            Step::RemoveRule(rule) => self.state.rules.retain(|other| other != rule),
            _ => self.state.dns = None,
        }
    }

    /// Takes an address and the kernel's own route of it away.
    fn drop_address(&mut self, one: &Address) {
        let same = |other: &Address| (other.index, other.address) == (one.index, one.address);
        self.state.addresses.retain(|other| !same(other));
        self.state.routes.retain(|route| {
            (route.protocol, route.index, route.source) != (BY_KERNEL, one.index, Some(one.address))
        });
    }
}

fn link(index: u32, name: &str, arp: bool, mac: Option<[u8; 6]>) -> Link {
    Link {
        index,
        name: name.to_owned(),
        up: false,
        carrier: false,
        arp,
        mtu: 1500,
        mac,
        rx_bytes: 0,
        tx_bytes: 0,
    }
}
