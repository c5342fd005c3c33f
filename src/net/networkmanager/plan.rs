//! Decides what NetworkManager is to be asked, and what of its work is done by
//! us: nothing while the link is open, and making sure that it is shut.

mod dial;

use std::net::IpAddr;

pub use dial::dial;

use super::profile::{Found, Profile, gsm_uuid, uuid_of};
use super::{ACTIVATED, DEACTIVATING, DISCONNECTED, Device, FAILED, Seen, State, Step, Wish};
use crate::net::model::{ADVERTISED_ROUTE, Address, MAIN_TABLE, Observed};
use crate::net::plan::{self, Plan};

/// What NetworkManager adds to the metric of a default route until its own check of
/// the way to the internet, where it makes one, has found that way
/// (`default_route_metric_penalty_get` of its nm-device.c). Behind many private access
/// points it never does.
const PENALTY: u32 = 20_000;

/// `NM_CONNECTIVITY_FULL`.
const FULL: u32 = 4;

/// The steps from what was seen to `wish`. An open link is NetworkManager's alone.
/// A link that is shut is nobody's: NetworkManager lets go of it, and addresses
/// that remain, say because NetworkManager does not run any more, are taken away
/// by us.
#[must_use]
pub fn plan(wish: &Wish, seen: &Seen, observed: &Observed) -> Plan {
    let mut plan = plan::traces(&wish.link, wish.index, observed);
    let mut steps: Vec<Step> = Vec::new();
    let state = seen.state();
    let known = state.and_then(|state| Some((state, state.device.as_ref()?)));
    let changed = known.is_some_and(|(state, device)| profiles(wish, state, device, &mut steps));
    match known {
        Some((state, device)) if wish.open => {
            if !observed.link(wish.index).is_some_and(|link| link.up) {
                // NetworkManager does not switch a link on that it takes over.
                plan.steps.push(plan::Step::LinkUp);
            }
            // Without a profile it would make one up.
            if device.managed || state.profile.is_some() {
                connect(wish, device, changed, observed, &mut steps);
            }
        }
        Some((_, device)) => disconnect(device, &mut steps),
        None => {}
    }
    plan.steps.extend(steps.into_iter().map(plan::Step::Manager));
    if !wish.open {
        strip(wish.index, observed, &mut plan.steps);
    }
    plan
}

/// The steps after which nothing of ours is left in NetworkManager, and the link
/// is as its rules for devices have it.
#[must_use]
pub fn farewell(wish: &Wish, seen: &Seen, observed: &Observed) -> Plan {
    let mut plan = plan::traces(&wish.link, wish.index, observed);
    if let Some(state) = seen.state() {
        let mut steps = Vec::new();
        if let Some(device) = &state.device {
            disconnect(device, &mut steps);
            if let Some(found) = &state.profile {
                delete(found, uuid_of(device, &wish.link), &mut steps);
            }
        }
        if let Some(found) = &state.gsm {
            delete(found, gsm_uuid(), &mut steps);
        }
        plan.steps.extend(steps.into_iter().map(plan::Step::Manager));
    }
    strip(wish.index, observed, &mut plan.steps);
    plan
}

fn delete(found: &Found, uuid: String, steps: &mut Vec<Step>) {
    if found.is_ours() {
        steps.push(Step::Delete { uuid });
    }
}

/// Both profiles as they are to be; whether that of the link changes.
fn profiles(wish: &Wish, state: &State, device: &Device, steps: &mut Vec<Step>) -> bool {
    let before = steps.len();
    profile(Profile::ethernet(wish, device), state.profile.as_ref(), steps);
    let changed = steps.len() > before;
    gsm(wish, state, steps);
    changed
}

/// The profile for PPP as it is to be.
fn gsm(wish: &Wish, state: &State, steps: &mut Vec<Step>) {
    match (&wish.gsm, &state.gsm) {
        (Some(gsm), found) => profile(Profile::gsm(wish, gsm), found.as_ref(), steps),
        (None, Some(found)) => delete(found, gsm_uuid(), steps),
        (None, None) => {}
    }
}

fn profile(wanted: Profile, found: Option<&Found>, steps: &mut Vec<Step>) {
    let Some(found) = found else { return steps.push(Step::Add(wanted)) };
    let changes = wanted.changes(found);
    if !changes.is_empty() {
        steps.push(Step::Update(wanted, changes));
    }
}

fn connect(
    wish: &Wish,
    device: &Device,
    changed: bool,
    observed: &Observed,
    steps: &mut Vec<Step>,
) {
    let uuid = uuid_of(device, &wish.link);
    if !device.managed {
        return steps.push(Step::Manage(true));
    }
    let ours = device.active.as_ref() == Some(&uuid);
    let idle = matches!(device.state, DISCONNECTED | FAILED);
    let others = device.active.is_some() && !ours && device.state <= ACTIVATED;
    if idle || others || wish.anew {
        steps.push(Step::Activate { uuid });
    } else if ours && device.state == ACTIVATED && (changed || !applied(wish, device, observed)) {
        steps.push(Step::Reapply);
    }
}

/// Whether the default routes of the link have the metric, or what NetworkManager
/// makes of it; true when there are none, which a profile does not change.
fn applied(wish: &Wish, device: &Device, observed: &Observed) -> bool {
    let default =
        |route: &&crate::net::model::Route| route.index == wish.index && route.destination.1 == 0;
    let ipv4 = |route: &&crate::net::model::Route| route.destination.0.is_ipv4();
    let routes = observed.routes.iter().filter(default).filter(ipv4);
    let mut metrics =
        routes.filter(|route| route.table == MAIN_TABLE).map(|route| route.metric).peekable();
    let more = if device.connectivity == FULL { 0 } else { PENALTY };
    let fits = |metric| metric == wish.metric || metric == wish.metric.saturating_add(more);
    metrics.peek().is_none() || metrics.any(fits)
}

/// First down, then out of its hands: a link that is let go while it is connected
/// keeps its addresses and routes.
fn disconnect(device: &Device, steps: &mut Vec<Step>) {
    let connected = device.state > DISCONNECTED && device.state != DEACTIVATING;
    if device.managed && connected {
        steps.push(Step::Disconnect);
    }
    if device.managed {
        steps.push(Step::Manage(false));
    }
}

/// Takes all addresses but link-local ones from the link, and with them their
/// routes.
fn strip(index: u32, observed: &Observed, steps: &mut Vec<plan::Step>) {
    plan::refuse_ipv6(index, observed, steps);
    let local = |address: IpAddr| match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let of_link = |one: &&Address| one.index == index && !local(one.address);
    for one in observed.addresses.iter().filter(of_link) {
        let step = plan::Step::RemoveAddress(*one);
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    // An IPv6 address takes no route along; the kernel's own were seen to before.
    for route in &observed.routes {
        let default = route.destination.1 == 0 && route.destination.0.is_ipv6();
        if route.index == index && default && route.protocol != ADVERTISED_ROUTE {
            steps.push(plan::Step::RemoveRoute(*route));
        }
    }
}

#[cfg(test)]
mod tests;
