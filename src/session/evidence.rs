//! The facts of the moment, for the verdict: what is not there yet counts as
//! coming for as long as it usually takes, and as missing from then on.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{Path, Port, Session};
use crate::at::reply::Stat;
use crate::modem::machine::Phase;
use crate::net::plan::Step;
use crate::policy::verdict::{Evidence, Proof, Registration, Sim};

/// From plugging, or a restart, to an AT port that answers: A76XX are silent for
/// 9 s, and the slowest seen needs 20 s.
const BOOT: Duration = Duration::from_secs(30);

/// From power to a SIM that is ready: a second or two, after the port answers.
const SIM: Duration = Duration::from_secs(60);

/// Search for a network: all bands take about a minute.
const SEARCH: Duration = Duration::from_secs(90);

/// From registration to an address of the data connection.
const DATA: Duration = Duration::from_secs(30);

/// From carrier to a lease: the server is the modem, a millisecond away.
const LEASE: Duration = Duration::from_secs(15);

/// Since when things are as they are.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// The device was plugged in.
    pub device: Duration,
    /// The machine is in this phase.
    phase: (Phase, Duration),
    /// The AT port last answered.
    answered: Duration,
    /// A lease is asked for, or held.
    pub lease: Duration,
    /// Whether there was one.
    held: bool,
    /// The address that the proof is about.
    pub proof_of: Option<Ipv4Addr>,
}

impl Timers {
    pub(super) fn in_phase(&self, now: Duration) -> Duration {
        now.saturating_sub(self.phase.1)
    }

    pub(super) fn note(&mut self, now: Duration, phase: Phase) {
        if self.phase.0 != phase {
            self.phase = (phase, now);
        }
        if !matches!(phase, Phase::NoPort | Phase::Probing) {
            self.answered = now;
        }
    }

    /// A lease that goes may be back in a moment: another carrier, or NetworkManager
    /// connects anew.
    pub(super) fn note_lease(&mut self, now: Duration, held: bool) {
        if std::mem::replace(&mut self.held, held) && !held {
            self.lease = now;
        }
    }
}

impl Session {
    pub(super) fn evidence(&self, now: Duration) -> Evidence {
        let state = self.cellular();
        let phase = self.phase();
        let in_phase = self.timers.in_phase(now);
        // True once it is so, `None` while it may still come, then false.
        let within = |limit: Duration, since: Duration| {
            if now.saturating_sub(since) < limit { None } else { Some(false) }
        };
        let port = match phase {
            // Nothing that could be tried would hasten it.
            Phase::NoPort if self.device.as_ref().is_some_and(|device| device.held) => None,
            Phase::NoPort if self.is_hushed() => None,
            Phase::NoPort | Phase::Probing => {
                within(BOOT, self.timers.answered.max(self.timers.device))
            }
            // It answers, but not what it is asked.
            Phase::Preparing if in_phase >= SIM => Some(false),
            Phase::Restarting => within(BOOT * 2, self.timers.phase.1),
            _ => Some(true),
        };
        let sim = match phase {
            Phase::NoSim => Sim::Absent,
            Phase::PinNeeded => Sim::Pin,
            Phase::PukNeeded => Sim::Puk,
            // A card that never gets ready is as good as none.
            Phase::SimWait if in_phase >= SIM => Sim::Absent,
            Phase::NoPort
            | Phase::Probing
            | Phase::Preparing
            | Phase::Restarting
            | Phase::SimWait => Sim::Unknown,
            _ => Sim::Ready,
        };
        let registration = match phase {
            Phase::Denied | Phase::RoamingForbidden => Registration::Denied,
            Phase::Connecting | Phase::Connected => Registration::Registered,
            _ if state.and_then(|state| state.registration).is_some_and(Stat::is_registered) => {
                Registration::Registered
            }
            _ if in_phase >= SEARCH => Registration::NotFound,
            _ => Registration::Searching,
        };
        let data_path = match self.path {
            _ if self.is_ppp() => self.call_is_up(now),
            Path::Up => Some(true),
            // What runs goes on while the modem changes hands.
            Path::Unknown if self.changes_hands() => Some(true),
            _ => within(DATA, self.timers.phase.1),
        };
        let nameless = state.is_some_and(|state| state.apn.as_deref() == Some(""));
        let usable = self.link.as_ref().is_some_and(|link| link.up && link.carrier);
        let lease = match (self.lease(), usable) {
            (Some(_), _) => Some(true),
            // Nobody is asked before the call is up.
            (None, _) if self.is_ppp() && self.link.is_none() => None,
            (None, true) => within(LEASE, self.timers.lease),
            (None, false) => within(LEASE, self.timers.lease.max(self.timers.phase.1)),
        };
        let proof = match self.prover.proof() {
            // Names are found by us, but no other program can.
            Proof::Passed if self.dns_refused() => Proof::NoDns,
            other => other,
        };
        let route = self.route();
        // It is to be blamed for what is missing, not the modem.
        let missing = lease == Some(false) || route == Some(false);
        let calls = self.is_ppp() && self.link.is_none();
        let manager_fails = (missing || calls) && self.trouble().is_some();
        Evidence {
            modem: self.device.is_some(),
            port,
            sim,
            registration,
            apn: Some(!(nameless && data_path == Some(false))),
            data_path,
            manager_fails,
            lease,
            clash: self.clash.is_some(),
            route,
            proof,
            cap_reached: self.budget.reached(),
        }
    }

    /// Whether the name servers could not be set, more than once.
    fn dns_refused(&self) -> bool {
        let refused = |step: &Step| matches!(step, Step::SetDns(_));
        self.attempts > 1 && self.failures.iter().any(|failure| refused(&failure.step))
    }

    /// Whether the AT port is open here.
    pub(super) fn port_is_open(&self) -> bool {
        self.port == Port::Open
    }
}
