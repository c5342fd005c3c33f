//! The client's state machine (RFC 2131 section 4.4). Pure: the time is what
//! the caller says, and what to do is taken from [`Client::take`].

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::{Kind, Query, Reply};

/// First wait for an answer; it doubles up to [`LONGEST`]. RFC 2131 has 4 s, for
/// segments with thousands of hosts: here the server is the modem, one hop of
/// USB away, and half a second matters to who waits to be online.
const FIRST: Duration = Duration::from_millis(250);

/// Longest wait for an answer.
const LONGEST: Duration = Duration::from_secs(8);

/// Queries for one offer or remembered lease before asking around anew.
const TRIES: u32 = 3;

/// Least wait between two queries to renew (RFC 2131 section 4.4.5).
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);

/// A lease for a server that names no time.
const DEFAULT_LEASE_S: u32 = 3600;

/// Shortest lease taken at its word; a server that gives less is asked no more
/// often for that.
const SHORTEST_LEASE_S: u32 = 30;

/// What a server gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Our address.
    pub address: Ipv4Addr,
    /// Length of its network's prefix in bits.
    pub prefix: u8,
    /// The router.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// MTU in bytes.
    pub mtu: Option<u16>,
    /// Who gave it.
    pub server: Ipv4Addr,
    /// Seconds that it is good for, from the moment it was given; `u32::MAX` is
    /// for ever.
    pub seconds: u32,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this from port 68 to port 67 of everybody on the link.
    Broadcast {
        /// Source address of the packet.
        from: Ipv4Addr,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Send this from port 68 to port 67 of the server.
    Unicast {
        /// Source address of the packet.
        from: Ipv4Addr,
        /// The server.
        to: Ipv4Addr,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A lease is there, a first one or another or longer one.
    Bound(Lease),
    /// There is no lease any more: take its address away.
    Lost,
}

/// Where the client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Not started.
    Idle,
    /// Asks who gives leases.
    Selecting,
    /// Asks for the lease on offer.
    Requesting,
    /// Asks for the lease that it had before.
    Rebooting,
    /// Has a lease.
    Bound,
    /// Has a lease and asks its server for more time.
    Renewing,
    /// Has a lease and asks any server for more time.
    Rebinding,
}

/// A DHCP client for one link.
#[derive(Debug)]
pub struct Client {
    mac: [u8; 6],
    random: u64,
    phase: Phase,
    xid: u32,
    began: Duration,
    tries: u32,
    next: Option<Duration>,
    /// Asked for, with the server that offers it.
    wanted: Option<(Ipv4Addr, Option<Ipv4Addr>)>,
    lease: Option<Held>,
    actions: Vec<Action>,
}

/// A lease and when to do something about it; `None` for never.
#[derive(Debug, Clone)]
struct Held {
    lease: Lease,
    renew: Option<Duration>,
    rebind: Option<Duration>,
    end: Option<Duration>,
}

impl Client {
    /// A client that does nothing yet. `seed` makes its transaction numbers.
    #[must_use]
    pub fn new(mac: [u8; 6], seed: u64) -> Client {
        Client {
            mac,
            random: seed,
            phase: Phase::Idle,
            xid: 0,
            began: Duration::ZERO,
            tries: 0,
            next: None,
            wanted: None,
            lease: None,
            actions: Vec::new(),
        }
    }

    /// Begins: with the address of an earlier lease if one is remembered, which
    /// saves a round trip (INIT-REBOOT), else by asking around.
    pub fn start(&mut self, now: Duration, remembered: Option<Ipv4Addr>) {
        self.lose();
        self.began = now;
        self.wanted = remembered.map(|address| (address, None));
        let phase = if remembered.is_some() { Phase::Rebooting } else { Phase::Selecting };
        self.enter(now, phase);
    }

    /// Stops; a lease is given up, but not given back.
    pub fn stop(&mut self) {
        self.lose();
        self.phase = Phase::Idle;
        self.next = None;
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The lease that it holds.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref().map(|held| &held.lease)
    }

    /// Takes a message off the link. What is no answer to the last query is
    /// ignored.
    pub fn receive(&mut self, now: Duration, bytes: &[u8]) {
        let Some(reply) = Reply::decode(bytes) else { return };
        if reply.xid != self.xid || reply.mac != self.mac {
            return;
        }
        match (self.phase, reply.kind) {
            (Phase::Selecting, Kind::Offer) if usable(reply.address) => {
                self.wanted = Some((reply.address, reply.server));
                self.phase = Phase::Requesting;
                self.tries = 0;
                self.query(now);
            }
            (
                Phase::Requesting | Phase::Rebooting | Phase::Renewing | Phase::Rebinding,
                Kind::Ack,
            ) if usable(reply.address) => self.bind(now, &reply),
            (
                Phase::Requesting | Phase::Rebooting | Phase::Renewing | Phase::Rebinding,
                Kind::Nak,
            ) if self.is_from_server(&reply) => {
                self.lose();
                self.began = now;
                self.enter(now, Phase::Selecting);
            }
            _ => {}
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Duration) {
        let due = |when: Option<Duration>| when.is_some_and(|when| when <= now);
        if let Some(held) = &self.lease {
            if due(held.end) {
                self.lose();
                self.began = now;
                self.enter(now, Phase::Selecting);
                return;
            }
            let (renew, rebind) = (due(held.renew), due(held.rebind));
            if rebind && self.phase != Phase::Rebinding {
                self.began = now;
                self.enter(now, Phase::Rebinding);
                return;
            }
            if renew && self.phase == Phase::Bound {
                self.began = now;
                self.enter(now, Phase::Renewing);
                return;
            }
        }
        if !due(self.next) {
            return;
        }
        let given_up = self.tries >= TRIES;
        match self.phase {
            Phase::Requesting | Phase::Rebooting if given_up => self.enter(now, Phase::Selecting),
            Phase::Idle | Phase::Bound => self.next = None,
            _ => self.query(now),
        }
    }

    /// When [`Client::advance`] must be called at the latest.
    #[must_use]
    pub fn next_event(&self) -> Option<Duration> {
        let held = self.lease.as_ref();
        let lease = held.and_then(|held| match self.phase {
            Phase::Bound => held.renew,
            Phase::Renewing => held.rebind,
            _ => held.end,
        });
        self.next.into_iter().chain(lease).min()
    }

    /// What to do, in order.
    pub fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// A new transaction.
    fn enter(&mut self, now: Duration, phase: Phase) {
        self.phase = phase;
        self.tries = 0;
        self.xid = self.random_number();
        self.query(now);
    }

    /// Sends the query of this phase and says when to do so again.
    fn query(&mut self, now: Duration) {
        let held = self.lease.as_ref().map(|held| (held.lease.address, held.lease.server));
        let from = held.map_or(Ipv4Addr::UNSPECIFIED, |(address, _)| address);
        let kind = if self.phase == Phase::Selecting { Kind::Discover } else { Kind::Request };
        // RFC 2131 section 4.3.2: who has an address names it in `ciaddr`, who
        // asks for one in an option.
        let (requested, server) = match self.phase {
            Phase::Requesting | Phase::Rebooting => match self.wanted {
                Some((address, server)) => (Some(address), server),
                None => (None, None),
            },
            _ => (None, None),
        };
        let seconds = now.saturating_sub(self.began).as_secs();
        let bytes = Query {
            kind,
            xid: self.xid,
            seconds: u16::try_from(seconds).unwrap_or(u16::MAX),
            mac: self.mac,
            client: from,
            requested,
            server,
        }
        .encode();
        self.actions.push(match (self.phase, held) {
            (Phase::Renewing, Some((_, to))) => Action::Unicast { from, to, bytes },
            _ => Action::Broadcast { from, bytes },
        });
        let until = self.lease.as_ref().and_then(|held| match self.phase {
            Phase::Renewing => held.rebind,
            _ => held.end,
        });
        let wait = match until {
            // A few quick ones, for a packet lost on a radio link costs little;
            // then half of what is left (RFC 2131 section 4.4.5).
            Some(until) if self.tries >= TRIES => {
                (until.saturating_sub(now) / 2).max(RENEWAL_PAUSE)
            }
            _ => FIRST.saturating_mul(1 << self.tries.min(10)).min(LONGEST),
        };
        self.tries = self.tries.saturating_add(1);
        self.next = Some(now.saturating_add(wait));
    }

    fn bind(&mut self, now: Duration, reply: &Reply) {
        let seconds = reply.lease_s.unwrap_or(DEFAULT_LEASE_S).max(SHORTEST_LEASE_S);
        let server = reply.server.or(reply.router).or(self.lease().map(|lease| lease.server));
        let lease = Lease {
            address: reply.address,
            prefix: reply.prefix.unwrap_or_else(|| class(reply.address)),
            gateway: reply.router.filter(|router| !router.is_unspecified()),
            dns: reply.dns.clone(),
            // 576 is the least of IPv4 (RFC 791); what is below is a mistake.
            mtu: reply.mtu.filter(|mtu| *mtu >= 576),
            server: server.unwrap_or(Ipv4Addr::BROADCAST),
            seconds,
        };
        let after = |seconds: u32| now.saturating_add(Duration::from_secs(u64::from(seconds)));
        let (renew, rebind, end) = if seconds == u32::MAX {
            (None, None, None)
        } else {
            // RFC 2131 section 4.4.5: a half and seven eighths, unless told
            // otherwise in an order that makes sense.
            let rebind = reply.rebinding_s.filter(|time| *time < seconds);
            let rebind = rebind.unwrap_or(seconds / 8 * 7);
            let renew = reply.renewal_s.filter(|time| *time < rebind).unwrap_or(rebind / 7 * 4);
            (Some(after(renew)), Some(after(rebind)), Some(after(seconds)))
        };
        self.phase = Phase::Bound;
        self.next = None;
        self.lease = Some(Held { lease: lease.clone(), renew, rebind, end });
        self.actions.push(Action::Bound(lease));
    }

    fn is_from_server(&self, reply: &Reply) -> bool {
        let expected = match self.phase {
            Phase::Requesting => self.wanted.and_then(|(_, server)| server),
            Phase::Renewing => self.lease().map(|lease| lease.server),
            _ => None,
        };
        match (expected, reply.server) {
            (Some(expected), Some(server)) => expected == server,
            _ => true,
        }
    }

    fn lose(&mut self) {
        if self.lease.take().is_some() {
            self.actions.push(Action::Lost);
        }
    }

    /// SplitMix64: numbers that do not repeat, which is all that is needed.
    fn random_number(&mut self) -> u32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 32) as u32
    }
}

fn usable(address: Ipv4Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast())
}

/// The prefix of a network whose server names none (RFC 791 section 3.2).
fn class(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        _ => 24,
    }
}

#[cfg(test)]
mod tests;
