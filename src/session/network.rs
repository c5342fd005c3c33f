//! The network's side of a session: lease, plan, verification, proof, budget.

use std::net::IpAddr;
use std::time::Duration;

use super::managed::given;
use super::{Action, Clock, DnsScope, Failure, LOOK, Path, Session, TICK};
use crate::modem::machine;
use crate::net::clash::clash;
use crate::net::dhcp::{self, Lease};
use crate::net::model::{Desired, Ipv4, Ipv6, MAIN_TABLE, NameServers, Observed, PROTOCOL};
use crate::net::plan::{Plan, Step, plan, teardown};
use crate::policy::budget::Reading;
use crate::policy::verdict::Proof;

/// What a default route that is proven not to work has on top of its metric, so
/// that any other uplink is taken first. As NetworkManager has it
/// (`NM_..._METRIC_PENALTY`, 20000).
const PENALTY: u32 = 20_000;

/// First wait before a plan that did not come true is tried again; it doubles up
/// to [`RETRY_MOST`].
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MOST: Duration = Duration::from_secs(60);

/// How long after the start a session that was found running is left alone until
/// its lease is confirmed.
const ADOPTION: Duration = Duration::from_secs(15);

/// The count is kept this often, or after so many bytes: a write wears the card,
/// and what is lost with the power is no more than the reserve of the cap.
const COUNT_EVERY: Duration = Duration::from_secs(300);
const COUNT_BYTES: u64 = 1_000_000;

/// The modem's network is moved at most so often until there is no clash: a
/// modem that restarts and stays where it was would else do so for ever.
const MOVES: u32 = 2;

/// From moving to the lease of the new network: a restart and its search.
const MOVING: Duration = Duration::from_secs(60);

/// So many different plans one after the other without one that came true are
/// taken as one that is tried again.
const OTHERS: u32 = 8;

/// How fast data flowed, to guess what nobody could read any more: a link that
/// goes takes its counters along.
#[derive(Debug, Default)]
pub(super) struct Flow {
    index: u32,
    /// The last look.
    at: Duration,
    /// Where the present measurement began, and the bytes at that time.
    from: (Duration, u64),
    /// Bytes in a second.
    rate: u64,
}

impl Flow {
    fn note(&mut self, now: Duration, index: u32, bytes: u64) {
        let span = now.saturating_sub(self.from.0);
        if self.index != index {
            (self.index, self.from, self.rate) = (index, (now, bytes), 0);
        } else if span >= TICK {
            let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            self.rate = bytes.saturating_sub(self.from.1).saturating_mul(1000) / millis;
            self.from = (now, bytes);
        }
        self.at = now;
    }

    /// Bytes since the last look, at the rate before it.
    fn unseen(&self, now: Duration) -> u64 {
        let span = now.saturating_sub(self.at).min(LOOK);
        self.rate.saturating_mul(u64::try_from(span.as_millis()).unwrap_or(0)) / 1000
    }
}

impl Session {
    /// The link that packets go through.
    pub(super) fn link_name(&self) -> Option<&str> {
        let device = self.device.as_ref()?;
        if self.is_ppp() { self.call_link() } else { device.link.as_deref() }
    }

    /// Whether there is anything to look at.
    pub(super) fn may_look(&self) -> bool {
        self.link_name().is_some() || self.is_ppp() && self.device.is_some()
    }

    /// Wants a look at the network, now or when the present one is over.
    pub(super) fn look(&mut self) {
        if !self.may_look() {
            return;
        }
        if self.busy {
            self.look_again = true;
        } else {
            self.busy = true;
            self.actions.push(Action::Observe);
        }
    }

    /// The network device is gone, and with it all that was on it.
    pub(super) fn unlinked(&mut self, now: Duration) {
        if self.link.is_some() {
            self.budget.guess(self.flow.unseen(now));
        }
        if std::mem::take(&mut self.listening) {
            self.actions.push(Action::Deafen);
        }
        self.dhcp = None;
        self.unmanaged();
        self.link = None;
        self.clash = None;
        self.adopted = None;
        self.last_plan = None;
        self.retry = None;
        // The link of a call comes and goes with it, by which nothing is said of the
        // modem.
        if !self.is_ppp() || self.device.is_none() {
            self.path = Path::Unknown;
        }
    }

    pub(super) fn seen(&mut self, clock: Clock, observed: Observed) {
        self.busy = false;
        self.next_look = clock.now.saturating_add(LOOK);
        self.call_seen(clock.now, &observed);
        let link = self.link_name().and_then(|name| observed.link_named(name)).cloned();
        let index = link.as_ref().map(|link| link.index);
        if index != self.link.as_ref().map(|link| link.index) {
            self.leave(&observed);
            self.unlinked(clock.now);
            self.adopted = index.and_then(|index| match self.is_managed() {
                true => given(&observed, index, None).map(|lease| lease.address),
                false => ours(&observed, index),
            });
        }
        if let Some(link) = &link {
            let (index, rx, tx) = (link.index, link.rx_bytes, link.tx_bytes);
            let reading = Reading { index, boot: self.boot, rx, tx };
            self.budget.read(clock.wall, reading);
            self.flow.note(clock.now, index, rx.saturating_add(tx));
            self.count(clock.now);
        }
        self.link = link;
        self.observed = Some(observed);
        if self.is_managed() {
            self.managed_seen(clock.now);
        }
        self.clash = self
            .lease_ipv4()
            .zip(self.link.as_ref())
            .zip(self.observed.as_ref())
            .and_then(|((ipv4, link), observed)| clash(&ipv4, link.index, observed));
        if self.clash.is_none() && self.lease().is_some() {
            (self.moves, self.moved) = (0, None);
        }
    }

    /// Takes back what outlives a link that is gone: its rules.
    fn leave(&mut self, observed: &Observed) {
        let Some(gone) = &self.link else { return };
        let plan = teardown(&gone.name, gone.index, observed);
        if !plan.steps.is_empty() {
            self.busy = true;
            self.actions.push(Action::Apply(plan));
        }
    }

    fn count(&mut self, now: Duration) {
        let used = self.budget.used();
        let (at, kept) = self.counted;
        let news = used != kept && now.saturating_sub(at) >= COUNT_EVERY;
        if news || used.abs_diff(kept) >= COUNT_BYTES {
            self.counted = (now, used);
            self.actions.push(Action::Count(self.budget.usage().clone()));
        }
    }

    /// Runs the DHCP client while there is somebody to answer it.
    pub(super) fn ask_for_lease(&mut self, now: Duration) {
        if self.is_managed() {
            return;
        }
        let usable = self.link.as_ref().filter(|link| link.up && link.carrier);
        match (usable, &mut self.dhcp) {
            (Some(link), None) => {
                // The transaction number has to differ from other clients' on the
                // same wire, of which there are none.
                let seed = u64::try_from(now.as_nanos()).unwrap_or(0) ^ u64::from(link.index);
                let mut client = dhcp::Client::new(link.mac.unwrap_or_default(), seed);
                client.start(now, self.adopted);
                self.dhcp = Some(client);
                self.timers.lease = now;
                if !std::mem::replace(&mut self.listening, true) {
                    self.actions.push(Action::Listen(link.index));
                }
            }
            (None, Some(client)) => {
                self.adopted = client.lease().map(|lease| lease.address);
                self.dhcp = None;
                if std::mem::take(&mut self.listening) {
                    self.actions.push(Action::Deafen);
                }
            }
            _ => {}
        }
    }

    /// Asks for the lease anew.
    pub(super) fn renew(&mut self, now: Duration) {
        if self.is_managed() {
            return self.connect_anew();
        }
        if let Some(client) = &mut self.dhcp {
            let address = client.lease().map(|lease| lease.address);
            client.start(now, address);
        }
    }

    pub(super) fn leases(&mut self, now: Duration) {
        for action in self.dhcp.as_mut().map(dhcp::Client::take).unwrap_or_default() {
            match action {
                dhcp::Action::Broadcast { from, bytes } => {
                    let to = std::net::Ipv4Addr::BROADCAST;
                    self.actions.push(Action::Send { from, to, bytes });
                }
                dhcp::Action::Unicast { from, to, bytes } => {
                    self.actions.push(Action::Send { from, to, bytes });
                }
                dhcp::Action::Bound(_) => {
                    self.timers.lease = now;
                    self.look();
                }
                dhcp::Action::Lost => {
                    self.timers.lease = now;
                    self.look();
                }
            }
        }
    }

    pub(super) fn lease_ipv4(&self) -> Option<Ipv4> {
        self.lease().map(|Lease { address, prefix, gateway, .. }| Ipv4 {
            address: *address,
            prefix: *prefix,
            gateway: *gateway,
        })
    }

    /// Whether packets may go through the modem now.
    pub(super) fn open(&self) -> bool {
        match self.path {
            Path::Up => true,
            Path::Down => false,
            // The lease of a session that was found running holds.
            Path::Unknown if self.is_ppp() => self.changes_hands(),
            Path::Unknown => {
                self.adopted.is_some() && self.adopted == self.lease().map(|lease| lease.address)
            }
        }
    }

    /// Metric of the default route, by what is proven of it.
    pub(super) fn metric(&self) -> u32 {
        let lame = matches!(self.prover.proof(), Proof::NoDns | Proof::Nothing | Proof::Captive);
        self.settings.metric.saturating_add(if lame { PENALTY } else { 0 })
    }

    /// What the link is to be like now; `None` while there is no link.
    pub(super) fn desired(&self) -> Option<Desired> {
        if self.is_managed() {
            return self.managed_desired();
        }
        let (link, observed) = (self.link.as_ref()?, self.observed.as_ref()?);
        let open = self.open();
        let ipv4 = self.lease_ipv4().filter(|_| open && self.clash.is_none());
        let metric = self.metric();
        let default_route = (!self.budget.reached()).then_some(metric);
        let primary = !observed.routes.iter().any(|route| {
            route.table == MAIN_TABLE
                && route.destination.1 == 0
                && route.destination.0.is_ipv4()
                && route.index != link.index
                && route.metric <= metric
        });
        let servers = self.lease().map(|lease| &lease.dns[..]).unwrap_or_default();
        let servers: Vec<IpAddr> = servers.iter().copied().map(IpAddr::from).collect();
        let told = match self.settings.dns {
            DnsScope::None => false,
            DnsScope::Link => true,
            DnsScope::Machine => primary,
        };
        let told = told && ipv4.is_some() && default_route.is_some() && !servers.is_empty();
        let told = told && self.foreign_dns.is_none();
        Some(Desired {
            link: link.name.clone(),
            index: link.index,
            mtu: self.lease().and_then(|lease| lease.mtu).map(u32::from),
            ipv4,
            metric: self.settings.metric,
            default_route: default_route.filter(|_| ipv4.is_some()),
            dns: told.then_some(NameServers { servers, primary }),
            ipv6: if !self.settings.ipv6 || self.budget.reached() {
                Ipv6::Refuse
            } else if open {
                Ipv6::Accept
            } else if self.path == Path::Unknown && self.adopted.is_some() {
                // It is not known yet whether the session that was found goes on.
                Ipv6::Leave
            } else {
                Ipv6::Refuse
            },
        })
    }

    /// What is still to be done; empty when all is as it should be.
    pub(super) fn pending(&self) -> Option<Plan> {
        if self.is_managed() {
            return self.managed_pending();
        }
        plan(&self.desired()?, self.observed.as_ref()?).ok()
    }

    /// Plans, and has the plan carried out.
    pub(super) fn converge(&mut self, now: Duration) {
        if self.busy {
            return;
        }
        if self.adopting(now) {
            self.retry = None;
            return;
        }
        let Some(plan) = self.pending() else { return };
        if plan.steps.is_empty() {
            (self.last_plan, self.attempts, self.retry) = (None, 0, None);
            self.others = 0;
            self.failures.clear();
            self.resolve_clash(now);
            return;
        }
        // Plans that never come true count as one, also when they take turns.
        let other = self.last_plan.as_ref() != Some(&plan);
        self.others = self.others.saturating_add(u32::from(other));
        let again = !other || self.others > OTHERS;
        if again && self.retry.is_some_and(|retry| now < retry) {
            return;
        }
        self.attempts = if again { self.attempts.saturating_add(1) } else { 0 };
        let wait = RETRY.saturating_mul(1 << self.attempts.min(10)).min(RETRY_MOST);
        self.retry = Some(now.saturating_add(wait));
        self.last_plan = Some(plan.clone());
        self.busy = true;
        self.actions.push(Action::Apply(plan));
    }

    /// A session that was found running is not touched before its lease is
    /// confirmed or that takes too long.
    fn adopting(&self, now: Duration) -> bool {
        self.path == Path::Unknown
            && self.adopted.is_some()
            && self.lease().is_none()
            && self.link.as_ref().is_some_and(|link| link.up)
            && now.saturating_sub(self.timers.device) < ADOPTION
    }

    pub(super) fn applied(&mut self, now: Duration, failures: Vec<Failure>) {
        if let Some(foreign) = failures.iter().find(|failure| failure.foreign) {
            self.foreign_dns = Some(foreign.reason.clone());
        }
        for failure in &failures {
            if !self.failures.contains(failure) {
                self.actions.push(Action::Say(failure.reason.clone()));
            }
        }
        self.failures = failures;
        self.note_dialled(now);
        self.connected_anew();
        self.next_look = now;
    }

    /// Moves the modem's network out of the way of another interface's.
    fn resolve_clash(&mut self, now: Duration) {
        let movable = self.device.as_ref().is_some_and(|device| device.model == "A76XX");
        let Some(clash) = self.clash.as_ref().filter(|_| movable && self.moves < MOVES) else {
            return;
        };
        // One that is under way takes a restart of the modem.
        if self.moved.is_some_and(|moved| now.saturating_sub(moved) < MOVING) {
            return;
        }
        let Some(third) = clash.suggestion else { return };
        self.moves += 1;
        self.moved = Some(now);
        self.actions.push(Action::Say(format!(
            "{} has {}/{}: moving the modem's network to 192.168.{third}.0/24",
            clash.link, clash.network.0, clash.network.1
        )));
        self.tell(now, machine::Event::MoveNetwork { third });
        self.next_tick = now;
    }

    /// Whether address, routes and rules are as they should be; `None` while
    /// there is no lease to make them from, or before the first try.
    pub(super) fn route(&self) -> Option<bool> {
        self.desired()?.ipv4?;
        let plan = self.pending()?;
        let dns = |step: &Step| matches!(step, Step::SetDns(_) | Step::ClearDns);
        if plan.steps.iter().all(dns) {
            return Some(true);
        }
        (self.attempts > 0).then_some(false)
    }

    pub(super) fn may_probe(&self) -> bool {
        // A probe of an earlier connection is not waited for: this one replaces it.
        self.probing != Some(self.proofs) && self.route() == Some(true) && !self.budget.reached()
    }

    pub(super) fn prove(&mut self, now: Duration) {
        // Not by whether the route is there: a failed proof changes the route, and
        // that must not make it forgotten.
        let current = self.desired().and_then(|desired| desired.ipv4).map(|ipv4| ipv4.address);
        if current != self.timers.proof_of {
            self.timers.proof_of = current;
            self.proofs = self.proofs.wrapping_add(1);
            self.prover.restart(now);
        }
        if !self.may_probe() {
            return;
        }
        let (Some(link), Some(lease)) = (self.link.as_ref(), self.lease()) else { return };
        let (name, received) = (link.name.clone(), link.rx_bytes);
        let servers = lease.dns.clone();
        if self.prover.due(now, received) {
            self.probing = Some(self.proofs);
            let target = self.settings.target.clone();
            self.actions.push(Action::Probe { link: name, servers, target });
        }
    }
}

/// The address of ours on a link.
fn ours(observed: &Observed, index: u32) -> Option<std::net::Ipv4Addr> {
    let ours = |one: &&crate::net::model::Address| one.index == index && one.protocol == PROTOCOL;
    observed.addresses.iter().filter(ours).find_map(|one| match one.address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    })
}
