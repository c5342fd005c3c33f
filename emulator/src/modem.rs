//! The modem: bytes and a time in, actions out.
//!
//! Time is a [`Duration`] since power was applied, given by the caller and
//! never going back. Whatever the modem does later by itself is in a queue that
//! [`Modem::next_event`] tells the next time of.

mod boot;
mod call;
pub(crate) mod clock;
mod faults;
mod serial;
mod sms;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::{Effect, FaultScript, Trigger};
use crate::link::{Framing, Lan, Link, LinkFaults};
use crate::ppp::Call;
use crate::profile::Profile;
use crate::replay::Transcript;
use crate::sms::{Sent, Store};
use serial::PortState;
pub(crate) use serial::Prompt;

/// A serial function. Which of them exist is the profile's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Port {
    /// The chip maker's diagnostic protocol; takes bytes, says nothing.
    Diag,
    /// The port that only some firmware has; takes bytes, says nothing.
    Extra,
    /// Commands.
    At,
    /// Commands, and dialling for PPP.
    Modem,
}

/// What happens to the USB device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsbAction {
    /// It appears on the bus.
    Attach {
        /// Its network function in this composition.
        framing: Framing,
        /// The host's MAC address of the network function.
        mac: [u8; 6],
    },
    /// It is gone from the bus.
    Detach,
}

/// What the world around the modem has to do, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Bytes from the modem to the host.
    Serial {
        /// On this port.
        port: Port,
        /// These.
        bytes: Vec<u8>,
    },
    /// The USB device comes or goes. Without it no port exists.
    Usb(UsbAction),
    /// The state of the data path is now this.
    Link(Link),
    /// An IPv4 packet from the host by PPP, to the network.
    Packet(Vec<u8>),
}

/// How far the card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CardState {
    Absent,
    Starting,
    Locked,
    Ready,
}

/// Registration (TS 27.007 section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stat {
    Off,
    Home,
    Searching,
    Denied,
    Roaming,
    EmergencyOnly,
}

impl Stat {
    pub(crate) fn code(self) -> u8 {
        match self {
            Stat::Off => 0,
            Stat::Home => 1,
            Stat::Searching => 2,
            Stat::Denied => 3,
            Stat::Roaming => 5,
            // SIMCom's own, A76XX manual.
            Stat::EmergencyOnly => 11,
        }
    }

    pub(crate) fn registered(self) -> bool {
        matches!(self, Stat::Home | Stat::Roaming)
    }
}

/// What there is to register with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Air {
    Good,
    Roams,
    Empty,
    Denies(u8),
    EmergencyOnly,
}

/// What the modem does later by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Attach,
    Detach,
    AtReady,
    SimReady,
    Say(String),
    Search {
        attempt: u32,
    },
    Execute(Port),
    /// The data path is to be looked at again.
    Look,
    Fault(Effect),
    Submit(Port),
    /// Of a recorded answer; whether it is the last one.
    Piece {
        port: Port,
        text: String,
        last: bool,
    },
    /// A PDU comes from the service centre.
    Arrives(Vec<u8>),
}

/// A modem under power.
#[derive(Debug)]
pub struct Modem {
    pub(crate) profile: Profile,
    now: Duration,
    seed: u64,
    /// By time, then by order of entry; the boot that an entry belongs to, or
    /// 0 if to all.
    queue: BTreeMap<(Duration, u64), (u32, Event)>,
    entries: u64,
    boot: u32,
    out: Vec<Action>,
    ports: BTreeMap<Port, PortState>,
    attached: bool,
    ready: bool,
    script: FaultScript,
    transcript: Transcript,
    silent_until: Duration,
    /// Ports that are dead until the host resets the device.
    wedged: BTreeSet<Port>,
    no_carrier_until: Duration,
    air: Air,
    card_there: bool,
    faults_of_link: LinkFaults,
    /// Answers come so much later, until then.
    slow: (Duration, Duration),
    /// Every byte comes by itself.
    splits: bool,
    pub(crate) ims: Option<bool>,
    /// Whether a menu by USSD waits for an answer.
    pub(crate) ussd_open: bool,
    /// Of the last denial (TS 24.301 section 9.9.3.9).
    pub(crate) cause: Option<u8>,
    /// The default bearer is up.
    pub(crate) pdn: bool,
    /// Kind, password, user by context.
    pub(crate) credentials: BTreeMap<u8, (u8, String, String)>,
    // Lost at a reset.
    call: Option<Call>,
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) report: BTreeMap<String, u8>,
    pub(crate) name_format: u8,
    pub(crate) function: u8,
    pub(crate) card: CardState,
    pub(crate) stat: Stat,
    attempt: u32,
    pub(crate) text_mode: bool,
    /// First octet of what is sent in text mode, AT+CSMP.
    pub(crate) text_first: u8,
    pub(crate) cnmi: [u8; 5],
    // Kept over it.
    pub(crate) pin_tries: u8,
    pub(crate) puk_tries: u8,
    pub(crate) contexts: BTreeMap<u8, (String, String)>,
    pub(crate) dials: bool,
    pub(crate) lan: Lan,
    pub(crate) store: Store,
    waiting: VecDeque<Vec<u8>>,
    outbox: Vec<Sent>,
    reference: u8,
    parts: u8,
    link: Link,
    traffic: (u64, u64),
}

impl Modem {
    /// A modem to which power is applied at time zero. `seed` decides what a
    /// real one does now so and now so, such as the order of `SMS DONE` and
    /// `PB DONE`.
    pub fn new(profile: Profile, faults: FaultScript, seed: u64) -> Modem {
        let raw = profile.network.framing == Framing::RawIp;
        let lan = if raw {
            Lan::Public
        } else {
            Lan::Private { third: 0, first_host: 2, last_host: 254 }
        };
        let link = Link {
            framing: profile.network.framing,
            carrier: false,
            forwarding: false,
            call: false,
            lan,
            address: profile.cell.address,
            faults: LinkFaults::default(),
        };
        let mut modem = Modem {
            now: Duration::ZERO,
            seed,
            queue: BTreeMap::new(),
            entries: 0,
            boot: 0,
            out: Vec::new(),
            ports: BTreeMap::new(),
            attached: false,
            ready: false,
            script: faults,
            transcript: Transcript::default(),
            silent_until: Duration::ZERO,
            wedged: BTreeSet::new(),
            no_carrier_until: Duration::ZERO,
            air: Air::Good,
            card_there: true,
            faults_of_link: LinkFaults::default(),
            slow: (Duration::ZERO, Duration::ZERO),
            splits: false,
            ims: profile.at.ims,
            ussd_open: false,
            cause: None,
            call: None,
            pdn: false,
            credentials: BTreeMap::new(),
            values: BTreeMap::new(),
            report: BTreeMap::new(),
            name_format: 0,
            function: 1,
            card: CardState::Starting,
            stat: Stat::Off,
            attempt: 0,
            text_mode: false,
            text_first: 17,
            cnmi: [2, 1, 0, 0, 0],
            store: Store::default(),
            waiting: VecDeque::new(),
            outbox: Vec::new(),
            reference: 0,
            parts: 0,
            pin_tries: 3,
            puk_tries: 10,
            contexts: BTreeMap::from([(1, ("IP".into(), String::new()))]),
            // The manual's factory value: the USB network does not dial.
            dials: false,
            lan,
            link,
            traffic: (0, 0),
            profile,
        };
        let timed = modem.script.faults.iter().filter_map(|(trigger, effect)| match trigger {
            Trigger::At(at) => Some((*at, effect.clone())),
            Trigger::Command { .. } | Trigger::State { .. } => None,
        });
        for (at, effect) in timed.collect::<Vec<_>>() {
            modem.later(at, Event::Fault(effect));
        }
        modem.power_up(Duration::ZERO);
        modem
    }

    /// Answers as a recorded modem did, where it was asked the same.
    pub fn replay(&mut self, transcript: Transcript) {
        self.transcript = transcript;
    }

    /// Lets time pass up to `now`.
    pub fn advance(&mut self, now: Duration) {
        while let Some((&(at, entry), _)) = self.queue.first_key_value() {
            if at > now {
                break;
            }
            self.now = self.now.max(at);
            if let Some((boot, event)) = self.queue.remove(&(at, entry)) {
                if boot == 0 || boot == self.boot {
                    self.happen(event);
                }
            }
            self.tell_link();
        }
        self.now = self.now.max(now);
        self.tend_call();
    }

    /// When [`Modem::advance`] must be called at the latest; `None` is: the
    /// modem waits for the host.
    pub fn next_event(&self) -> Option<Duration> {
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        let call = self.call.as_ref().and_then(Call::next_event);
        [queued, call].into_iter().flatten().min()
    }

    /// What is to be done now, in order. Each action is told once.
    pub fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.out)
    }

    /// The state of the data path.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The host has reset the USB device or chosen its configuration anew.
    pub fn usb_reset(&mut self, now: Duration) {
        self.advance(now);
        self.wedged.clear();
        self.call = None;
        self.tell_link();
    }

    /// Counts what the data path carried, in bytes.
    pub fn traffic(&mut self, now: Duration, up_bytes: u64, down_bytes: u64) {
        self.advance(now);
        self.traffic.0 = self.traffic.0.saturating_add(up_bytes);
        self.traffic.1 = self.traffic.1.saturating_add(down_bytes);
    }

    /// Bytes carried since power-on: from the host, to the host.
    pub fn carried(&self) -> (u64, u64) {
        self.traffic
    }

    fn later(&mut self, after: Duration, event: Event) {
        let at = self.now.saturating_add(after);
        self.entries += 1;
        let stays = matches!(event, Event::Fault(_) | Event::Arrives(_) | Event::Look);
        let boot = if stays { 0 } else { self.boot };
        self.queue.insert((at, self.entries), (boot, event));
    }

    /// Tells the world when the data path has changed.
    fn tell_link(&mut self) {
        let link = Link {
            framing: self.profile.network.framing,
            carrier: self.attached && self.ready && self.now >= self.no_carrier_until,
            forwarding: self.attached && self.pdn && self.dials,
            call: self.call.is_some(),
            lan: self.lan,
            address: self.profile.cell.address,
            faults: self.faults_of_link.clone(),
        };
        if link != self.link {
            if link.forwarding && !self.link.forwarding {
                self.reached("forwarding");
            }
            self.link = link.clone();
            self.out.push(Action::Link(link));
        }
    }
}

#[cfg(test)]
mod tests;
