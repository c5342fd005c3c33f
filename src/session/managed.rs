//! A session whose link NetworkManager configures: it is told what the link is to
//! be like, and what became of it is read from the kernel.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LOOK, Session, TICK};
use crate::config::NetworkBy;
use crate::net::dhcp::Lease;
use crate::net::model::{Desired, Ipv6, MAIN_TABLE, Observed, PROTOCOL};
use crate::net::networkmanager::profile::Profile;
use crate::net::networkmanager::{self, Seen, Wish};
use crate::net::plan::Plan;

/// What is known of the part of NetworkManager.
#[derive(Debug, Default)]
pub(super) struct Managed {
    /// The address and what belongs to it, as they are on the link.
    given: Option<Lease>,
    /// It is to connect the link anew.
    anew: bool,
    /// The link was to be open at the last look.
    open: bool,
}

/// What NetworkManager says of the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerReport {
    /// Who dials, and through what, where the modem does not by itself.
    #[serde(default)]
    pub dials: Option<String>,
    /// Its version; `null` while it does not run.
    pub version: Option<String>,
    /// The link's state, in its words.
    pub state: Option<String>,
    /// Its number for why the state is so (`NMDeviceStateReason`).
    pub reason: Option<u32>,
    /// UUID of the profile that is active.
    pub active: Option<String>,
    /// What it found out about the way to the internet; `null` where it does not
    /// look.
    pub connectivity: Option<String>,
    /// Why it does not do its part.
    pub trouble: Option<String>,
}

impl Session {
    /// Whether NetworkManager configures the link.
    pub(super) fn is_managed(&self) -> bool {
        self.settings.by == NetworkBy::NetworkManager
    }

    /// The lease of which NetworkManager made the link's configuration.
    pub(super) fn given(&self) -> Option<&Lease> {
        self.managed.given.as_ref()
    }

    /// To be connected anew, say because its lease may be stale.
    pub(super) fn connect_anew(&mut self) {
        self.managed.anew = true;
    }

    pub(super) fn is_to_connect_anew(&self) -> bool {
        self.managed.anew
    }

    pub(super) fn connected_anew(&mut self) {
        self.managed.anew = false;
    }

    /// The device is gone.
    pub(super) fn unmanaged(&mut self) {
        self.managed = Managed::default();
    }

    /// Takes in what was seen.
    pub(super) fn managed_seen(&mut self, now: Duration) {
        let (Some(link), Some(observed)) = (&self.link, &self.observed) else {
            // A call is on its way, or is to be.
            self.next_look = now.saturating_add(if self.may_pass() { TICK } else { LOOK });
            return;
        };
        let before = self.managed.given.take();
        self.managed.given = given(observed, link.index, before);
        let open = self.may_pass();
        if open && !std::mem::replace(&mut self.managed.open, open) {
            self.timers.lease = now;
        }
        self.managed.open = open;
        // NetworkManager's own changes are not all seen in the kernel.
        let settled = self.managed.given.is_some() == open && self.trouble().is_none();
        self.next_look = now.saturating_add(if settled { LOOK } else { TICK });
    }

    /// Whether packets may go through the link: there is no other way to shut it
    /// than having it down.
    pub(super) fn may_pass(&self) -> bool {
        self.open() && !self.budget.reached()
    }

    /// Whether the link is to be open now, and for how long it has been so.
    pub(super) fn managed_desired(&self) -> Option<Desired> {
        let link = self.link.as_ref()?;
        let open = self.may_pass();
        let ipv4 = self.lease_ipv4().filter(|_| open && self.clash.is_none());
        let metric = self.metric();
        Some(Desired {
            link: link.name.clone(),
            index: link.index,
            mtu: None,
            ipv4,
            metric,
            default_route: ipv4.map(|_| metric),
            dns: None,
            ipv6: if open { Ipv6::Leave } else { Ipv6::Refuse },
        })
    }

    fn wish(&self) -> Option<Wish> {
        let link = self.link.as_ref()?;
        Some(Wish {
            link: link.name.clone(),
            index: link.index,
            open: self.may_pass(),
            metric: self.metric(),
            ipv6: self.settings.ipv6,
            dns: self.settings.take_dns,
            anew: self.managed.anew,
            // What goes by PPP is not counted, so that at the cap nothing may.
            gsm: self.settings.gsm.clone().filter(|_| !self.budget.reached()),
        })
    }

    pub(super) fn manager(&self) -> Option<&Seen> {
        self.observed.as_ref()?.manager.as_ref()
    }

    /// What is still to be done.
    pub(super) fn managed_pending(&self) -> Option<Plan> {
        let observed = self.observed.as_ref()?;
        if self.is_ppp() {
            return Some(networkmanager::plan::dial(
                &self.wanted_call()?,
                self.manager()?,
                observed,
            ));
        }
        Some(networkmanager::plan::plan(&self.wish()?, self.manager()?, observed))
    }

    /// What leaves nothing of ours.
    pub(super) fn managed_farewell(&self) -> Option<Plan> {
        let observed = self.observed.as_ref()?;
        if self.is_ppp() {
            let mut call = self.wanted_call()?;
            call.wish.gsm = None;
            return Some(networkmanager::plan::dial(&call, self.manager()?, observed));
        }
        Some(networkmanager::plan::farewell(&self.wish()?, self.manager()?, observed))
    }

    /// What keeps NetworkManager from doing its part, if anything does.
    pub(super) fn trouble(&self) -> Option<String> {
        if self.is_ppp() {
            return self.call_trouble();
        }
        let link = self.link.as_ref()?;
        let manager = self.manager()?;
        if let Some(trouble) = manager.trouble(&link.name) {
            return Some(trouble);
        }
        if self.attempts > 0 && !self.failures.is_empty() {
            return self.failures.first().map(|failure| failure.reason.clone());
        }
        let device = manager.state()?.device.as_ref()?;
        let take_over = crate::net::plan::Step::Manager(networkmanager::Step::Manage(true));
        let asked = self.last_plan.as_ref().is_some_and(|plan| plan.steps.contains(&take_over));
        if self.attempts > 0 && asked && !device.managed {
            // Of all that keeps it off, only this is not overruled by asking.
            return Some(format!(
                "NetworkManager's own configuration has it leave {0} alone (unmanaged-devices, or \
                 {0} in /etc/network/interfaces): take that out, or write network.by = \"netlink\"",
                link.name
            ));
        }
        let active = device.state == networkmanager::ACTIVATED && self.managed.open;
        let routeless = active && self.managed.given.is_none();
        routeless.then(|| format!("NetworkManager gave {} no default route", link.name))
    }

    /// What `plan` shows as wanted.
    pub(super) fn managed_wanted(&self) -> Vec<String> {
        if self.is_ppp() {
            return self.call_wanted();
        }
        let Some(wish) = self.wish().filter(|_| self.is_managed()) else { return Vec::new() };
        let mut wanted = Vec::new();
        let device = self.manager().and_then(Seen::state).and_then(|state| state.device.as_ref());
        if let Some(device) = device {
            wanted.push(format!("NetworkManager profile {}", Profile::ethernet(&wish, device)));
        }
        if let Some(gsm) = &wish.gsm {
            wanted.push(format!("NetworkManager profile {}", Profile::gsm(&wish, gsm)));
        }
        let state = if wish.open { "connected by NetworkManager" } else { "down, and left alone" };
        wanted.push(state.to_owned());
        wanted
    }

    /// For `status` and `why`; `None` where NetworkManager is not asked.
    pub(super) fn managed_report(&self) -> Option<ManagerReport> {
        if self.manager().is_none() && !self.is_ppp() {
            return None;
        }
        let state = self.manager().and_then(Seen::state);
        let device = state.and_then(|state| match self.is_ppp() {
            true => state.modem.as_ref(),
            false => state.device.as_ref(),
        });
        Some(ManagerReport {
            dials: self.is_ppp().then(|| self.who_dials()),
            version: state.map(|state| state.version.clone()),
            state: device.map(|device| device.words().to_owned()),
            reason: device.map(|device| device.reason),
            active: device.and_then(|device| device.active.clone()),
            connectivity: device.and_then(|device| device.connectivity()).map(str::to_owned),
            trouble: self.trouble(),
        })
    }
}

/// The address that NetworkManager gave the link, with a default route; what it
/// does not tell any more is as it was `before`.
pub(super) fn given(observed: &Observed, index: u32, before: Option<Lease>) -> Option<Lease> {
    let mut routes = observed.routes.iter().filter(|route| {
        (route.index, route.table, route.destination.1) == (index, MAIN_TABLE, 0)
            && route.destination.0.is_ipv4()
            && route.protocol != PROTOCOL
    });
    let of_link =
        |one: &&crate::net::model::Address| one.index == index && one.protocol != PROTOCOL;
    let (address, prefix) =
        observed.addresses.iter().filter(of_link).find_map(|one| match one.address {
            IpAddr::V4(address) => Some((address, one.prefix)),
            IpAddr::V6(_) => None,
        })?;
    let gateway = match routes.next()?.gateway {
        Some(IpAddr::V4(gateway)) => Some(gateway),
        _ => None,
    };
    let name = observed.link(index).map(|link| &link.name);
    let device = observed.manager.as_ref().and_then(Seen::state).and_then(|state| {
        let dialled = state.modem.as_ref().filter(|modem| Some(&modem.interface) == name);
        dialled.or(state.device.as_ref())
    });
    let told = device.map(|device| device.dns.clone()).filter(|dns| !dns.is_empty());
    let dns: Vec<Ipv4Addr> = told.or_else(|| before.map(|before| before.dns)).unwrap_or_default();
    Some(Lease {
        address,
        prefix,
        gateway,
        dns,
        mtu: None,
        server: gateway.unwrap_or(address),
        seconds: u32::MAX,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::model::{Address, Route};
    use crate::net::networkmanager::{Device, State};

    const INDEX: u32 = 7;

    /// wwan0 as NetworkManager left it, with addresses and routes of this origin.
    fn kernel(protocol: u8, manager: Option<Seen>) -> Observed {
        let address = IpAddr::from([192, 168, 0, 2]);
        let one = Address { index: INDEX, address, prefix: 24, metric: 700, protocol };
        let route = Route {
            table: MAIN_TABLE,
            destination: (IpAddr::from([0, 0, 0, 0]), 0),
            gateway: Some(IpAddr::from([192, 168, 0, 1])),
            index: INDEX,
            metric: 700,
            source: Some(address),
            protocol: if protocol == PROTOCOL { PROTOCOL } else { 16 },
            onlink: false,
        };
        Observed { addresses: vec![one], routes: vec![route], manager, ..Observed::default() }
    }

    #[test]
    fn what_is_given_is_what_everybody_can_use() {
        let dns = vec![Ipv4Addr::new(192, 168, 0, 1)];
        let device = Device { dns: dns.clone(), ..Device::default() };
        let state = State { device: Some(device), ..State::default() };
        let seen = Some(Seen::Running(Box::new(state)));
        let observed = kernel(0, seen);
        let lease = given(&observed, INDEX, None).unwrap();
        assert_eq!((lease.address, lease.prefix), (Ipv4Addr::new(192, 168, 0, 2), 24));
        assert_eq!(lease.gateway, Some(Ipv4Addr::new(192, 168, 0, 1)));
        assert_eq!(lease.dns, dns);
        // It died: what it gave is still there, and its servers are known.
        let left = given(&kernel(0, Some(Seen::Absent)), INDEX, Some(lease.clone()));
        assert_eq!(left, Some(lease));

        // Another's link; an address that leads nowhere; what this service itself
        // set in the other mode.
        assert_eq!(given(&observed, INDEX + 1, None), None);
        assert_eq!(given(&Observed { routes: Vec::new(), ..observed }, INDEX, None), None);
        assert_eq!(given(&kernel(PROTOCOL, None), INDEX, None), None);
    }
}
