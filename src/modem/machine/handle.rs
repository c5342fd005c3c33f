//! What the replies mean, and what to do next.

use std::time::Duration;

use super::settings::{Access, Auth, Dial, Memory, Secret, Source};
use super::state::Phase;
use super::step::{CID, SIM_OPEN, Step};
use super::{Action, DETAILS, Machine};
use crate::at::reply::{self, SimState, Stat};
use crate::at::{AtError, Reply};

/// How soon to ask again for a SIM that is starting: A7670E logs have it ready
/// about a second after `*ATREADY`.
const SIM_AGAIN: Duration = Duration::from_millis(300);

/// So often; then it is no longer starting, and the wait is longer.
const SIM_SOON: u32 = 50;

/// How soon to ask again for a SIM that fails.
const SIM_LATER: Duration = Duration::from_secs(5);

/// How soon to ask again for an address that is about to come.
const ADDRESS_AGAIN: Duration = Duration::from_millis(500);

/// How long a network that knows the access point takes at most to admit it;
/// after that it is the access point that is refused, perhaps (TS 24.301
/// §9.9.4.4, cause 27), and another is tried if there is one.
const DENIED: Duration = Duration::from_secs(20);

/// A PIN is tried only while more tries than this are left, so that the last
/// one stays for a person.
pub const TRIES_TO_KEEP: u8 = 1;

impl Machine {
    pub(super) fn handle(&mut self, now: Duration, step: Step, result: Result<Reply, AtError>) {
        if let Err(AtError::TimedOut(_) | AtError::Restarted | AtError::PortClosed) = result {
            // The channel finds out how the port is, and then all starts anew. Whether
            // it was done, nobody knows.
            if matches!(step, Step::Dial(_) | Step::Call(_)) {
                self.dials = None;
            }
            return;
        }
        let ok = result.is_ok();
        let cme = result.as_ref().err().and_then(AtError::cme);
        let lines = result.map(|reply| reply.lines).unwrap_or_default();
        let line = lines.first().map_or("", String::as_str);
        let identity = &mut self.state.identity;
        match step {
            Step::Model => identity.model = reply::word(&lines, "+CGMM"),
            Step::Revision => identity.revision = reply::word(&lines, "+CGMR"),
            Step::Imei => identity.imei = reply::digits(&lines, "+CGSN"),
            Step::Iccid => identity.iccid = reply::iccid(&lines),
            Step::Imsi => identity.imsi = reply::digits(&lines, "+CIMI"),
            Step::MncLength => self.mnc_length = reply::mnc_length(line),
            // 0 is off and 4 is flight mode (TS 27.007 §8.2). A modem that does
            // not tell is taken to be on.
            Step::Radio if matches!(reply::number(&lines, "+CFUN"), Some(0 | 4)) => {
                self.soon(&[Step::RadioOn]);
            }
            Step::RadioOff => self.lose("the radio is switched off"),
            Step::Sim => self.sim(now, line, cme),
            Step::PinTries => self.pin(line),
            Step::EnterPin => self.pin_entered(now, ok, cme),
            Step::ReadContext => self.context(&lines),
            Step::ReadAuth => self.auth(&lines),
            Step::WriteContext if ok => {
                // The attach uses the context: only a new one takes the change.
                self.soon(&[Step::RadioOff, Step::RadioOn, Step::Sim]);
            }
            Step::ReadModes => {
                let wanted = self.settings.modes.map(|modes| modes.number());
                if wanted.is_some() && reply::number(&lines, "+CNMP") != wanted {
                    self.soon(&[Step::WriteModes]);
                }
            }
            Step::ReadBands => {
                let wanted = self.settings.bands;
                if wanted.is_some() && reply::bands(line) != wanted {
                    self.soon(&[Step::WriteBands]);
                }
            }
            Step::ReadUsbMode => {
                let wanted = self.settings.usb_mode;
                if reply::usb_net_mode(line).is_some_and(|mode| Some(mode) != wanted) {
                    self.usb_mode_written = true;
                    self.soon(&[Step::WriteUsbMode]);
                }
            }
            Step::WriteUsbMode if ok => {
                self.forget("the modem restarts with another USB mode");
                self.state.phase = Phase::Restarting;
            }
            Step::PickOperator => self.operator_picked = ok,
            Step::Lte => self.registered(now, "+CEREG", line, true),
            Step::Gprs => self.registered(now, "+CGREG", line, true),
            Step::ReadDial => {
                self.dials = reply::dial_mode(&lines);
                let wanted = self.dials_itself();
                if self.dials != Some(wanted) {
                    self.soon(&[Step::Dial(wanted)]);
                } else if self.settings.host_dials {
                    self.judge(now);
                }
            }
            Step::Dial(on) | Step::Call(on) => {
                // To end a call that is not there may be refused.
                if ok || step == Step::Call(false) && self.settings.host_dials {
                    self.dials = Some(on);
                }
                if !on {
                    self.lose("the data call is ended");
                    if self.settings.host_dials && self.dials == Some(false) {
                        self.judge(now);
                    }
                }
            }
            Step::Address => self.address(now, ok, &lines),
            Step::Operator => {
                self.state.operator = reply::operator(line).map(|operator| operator.name);
            }
            Step::Power => self.state.signal.rssi_dbm = reply::csq(line),
            Step::Cell => {
                if let Some(serving) = reply::serving(line) {
                    let rssi = serving.signal.rssi_dbm.or(self.state.signal.rssi_dbm);
                    self.state.signal = serving.signal;
                    self.state.signal.rssi_dbm = rssi;
                    self.state.band = serving.band;
                }
            }
            Step::Restart if ok => {
                self.forget("the modem is restarting");
                self.state.phase = Phase::Restarting;
            }
            _ => {}
        }
    }

    fn sim(&mut self, now: Duration, line: &str, cme: Option<u16>) {
        let state = match cme {
            Some(10) => Some(SimState::Absent),
            Some(11) => Some(SimState::Pin),
            Some(12) => Some(SimState::Puk),
            Some(_) => None,
            None => reply::sim_state(line),
        };
        let before = std::mem::replace(&mut self.state.sim, state.clone());
        let (phase, reason) = match state {
            Some(SimState::Ready | SimState::Pin2) => {
                self.sim_waits = 0;
                if self.memory.doubtful_pin.take().is_some() {
                    self.actions.push(Action::Remember(self.memory.clone()));
                }
                if before != state || self.state.registration.is_none() {
                    self.state.phase = Phase::Searching;
                    self.state.reason = None;
                    self.then(SIM_OPEN);
                }
                return;
            }
            Some(SimState::Pin) => {
                // The card's number is readable without the PIN (TS 102 221
                // §13.2) and names the PIN's attempt.
                self.soon(&[Step::Iccid, Step::PinTries]);
                return;
            }
            Some(SimState::Puk) => {
                (Phase::PukNeeded, "the SIM wants its PUK; enter it with a telephone".to_owned())
            }
            Some(SimState::Locked(code)) => (Phase::PukNeeded, format!("the modem wants {code}")),
            Some(SimState::Absent) => (Phase::NoSim, "there is no SIM in the modem".to_owned()),
            None => {
                // Not an error for about a second after boot (CME 13, 14).
                self.sim_waits = self.sim_waits.saturating_add(1);
                let patient = self.sim_waits > SIM_SOON;
                let again = if patient { SIM_LATER } else { SIM_AGAIN };
                self.wake = Some((now.saturating_add(again), &[Step::Radio, Step::Sim]));
                (Phase::SimWait, "the SIM is not ready yet".to_owned())
            }
        };
        self.lose(&reason);
        self.steps.clear();
        self.state.phase = phase;
        self.state.reason = Some(reason);
    }

    /// Decides whether the PIN may be tried.
    fn pin(&mut self, line: &str) {
        let tries = reply::tries(line).map(|tries| tries.pin);
        self.state.pin_tries = tries;
        let iccid = self.state.identity.iccid.clone().unwrap_or_default();
        let reason = match (&self.settings.pin, tries) {
            (None, _) => "the SIM wants its PIN; set it in the configuration".to_owned(),
            (Some(_), None) => {
                "the modem does not tell how many tries are left, so the PIN is not tried"
                    .to_owned()
            }
            (Some(_), Some(left)) if left <= TRIES_TO_KEEP => {
                format!("{left} tries are left for the PIN; the last is not spent")
            }
            (Some(pin), Some(_)) => {
                let name = Memory::name(&iccid, pin);
                if self.memory.doubtful_pin.as_ref() == Some(&name) {
                    "the configured PIN was refused or its outcome is not known; \
                     correct it in the configuration"
                        .to_owned()
                } else {
                    // On disk before it is sent: a crash in between must not
                    // lead to a second attempt.
                    self.memory.doubtful_pin = Some(name);
                    self.actions.push(Action::Remember(self.memory.clone()));
                    self.soon(&[Step::EnterPin]);
                    return;
                }
            }
        };
        self.lose(&reason);
        self.steps.clear();
        self.state.phase = Phase::PinNeeded;
        self.state.reason = Some(reason);
    }

    fn pin_entered(&mut self, now: Duration, ok: bool, cme: Option<u16>) {
        // 16 is "incorrect password". What else it says is no judgement on the
        // PIN, but it stays doubtful: the card may have counted it.
        if ok {
            self.wake = Some((now.saturating_add(SIM_AGAIN), &[Step::Sim]));
        } else {
            self.steps.clear();
            self.state.phase = Phase::PinNeeded;
            let what = if cme == Some(16) { "the PIN is wrong" } else { "the PIN was not taken" };
            self.state.reason = Some(format!("{what}; correct it in the configuration"));
            self.soon(&[Step::PinTries]);
        }
    }

    fn context(&mut self, lines: &[String]) {
        let present = lines.iter().filter_map(|line| reply::context(line));
        let present = present.into_iter().find(|context| context.cid == CID);
        if self.accesses.is_empty() {
            if let Some((mcc, mnc)) = self.home() {
                self.accesses = self.providers.lookup(&mcc, &mnc);
            }
            if self.accesses.is_empty() {
                self.accesses = vec![Access {
                    apn: present.as_ref().map_or(String::new(), |context| context.apn.clone()),
                    user: String::new(),
                    password: Secret::default(),
                    auth: Auth::None,
                    source: Source::Modem,
                }];
            }
        }
        let Some(access) = self.access() else { return };
        let (apn, source) = (access.apn.clone(), access.source);
        let same = source == Source::Modem
            || present.is_some_and(|context| {
                context.apn.eq_ignore_ascii_case(&apn) && context.pdp_type == self.settings.pdp_type
            });
        self.state.apn = Some(apn);
        self.state.apn_source = Some(source);
        // Some firmware forgets it at each restart; twice is enough to see that
        // writing does not help.
        if !same && self.context_writes < 2 {
            self.context_writes += 1;
            self.soon(&[Step::WriteAuth, Step::WriteContext]);
            self.steps.retain(|step| *step != Step::ReadAuth);
        }
    }

    fn auth(&mut self, lines: &[String]) {
        let Some(access) = self.access() else { return };
        let kind = match access.auth {
            Auth::None => 0,
            Auth::Pap => 1,
            Auth::Chap => 2,
        };
        let line = lines.iter().find(|line| reply::auth_type(line, CID).is_some());
        let same = match line {
            // A modem that lists nothing has nothing set.
            None => kind == 0,
            Some(line) => {
                let fields = crate::at::fields(line);
                let has = |text: &str| fields.iter().skip(2).any(|field| field.text == text);
                reply::auth_type(line, CID) == Some(kind)
                    && (kind == 0 || has(&access.user) && has(access.password.reveal()))
            }
        };
        if !same && self.context_writes < 2 {
            self.context_writes += 1;
            self.soon(&[Step::WriteAuth, Step::WriteContext]);
        }
    }

    /// MCC and MNC of the card's home network. Without word from the card an
    /// MNC has three digits in North America (MCC 302 to 356, ITU-T E.212
    /// annex B) and two elsewhere.
    fn home(&self) -> Option<(String, String)> {
        let imsi = self.state.identity.imsi.as_deref()?;
        let mcc = imsi.get(..3)?;
        let american = mcc.parse::<u16>().is_ok_and(|mcc| (302..=356).contains(&mcc));
        let length = self.mnc_length.map_or(if american { 3 } else { 2 }, usize::from);
        Some((mcc.to_owned(), imsi.get(3..3 + length)?.to_owned()))
    }

    pub(super) fn registered(&mut self, now: Duration, name: &str, line: &str, asked: bool) {
        let report = reply::registration(line, asked);
        let stat = report.as_ref().map(|report| report.stat);
        if name == "+CEREG" {
            self.lte = stat
        } else {
            self.gprs = stat
        }
        let best = [self.lte, self.gprs].into_iter().flatten().find(|stat| stat.is_registered());
        let denied = || [self.lte, self.gprs].contains(&Some(Stat::Denied)).then_some(Stat::Denied);
        self.state.registration = best.or_else(denied).or(self.lte).or(self.gprs);
        if let Some(report) = report.filter(|report| report.stat.is_registered()) {
            (self.state.area, self.state.cell) = (report.area, report.cell);
            self.state.technology = report.technology.or(self.state.technology);
        }
        // Without an open SIM a registration is for emergency calls at best.
        if matches!(self.state.sim, Some(SimState::Ready | SimState::Pin2)) {
            self.judge(now);
        }
    }

    /// Whether data may flow in this network.
    fn wanted(&self) -> bool {
        self.settings.roaming || self.state.registration != Some(Stat::Roaming)
    }

    /// Whether the modem shall dial.
    fn dials_itself(&self) -> bool {
        self.wanted() && !self.settings.host_dials
    }

    fn judge(&mut self, now: Duration) {
        let (phase, reason) = match self.state.registration {
            Some(Stat::Home | Stat::Roaming) => {
                let dials = self.dials_itself();
                if self.dials != Some(dials) {
                    let step = match self.traits.dial {
                        Dial::Autodial => Step::ReadDial,
                        Dial::Qcrmcall => Step::Call(dials),
                    };
                    self.then(&[step]);
                }
                if self.wanted() && self.settings.host_dials {
                    return self.leave_dialling();
                }
                if dials {
                    if !self.path {
                        self.state.phase = Phase::Connecting;
                        self.state.reason = None;
                        self.then(&[Step::Address]);
                        self.then(DETAILS);
                    } else if self.state.phase != Phase::Connected {
                        // The port was silent for a while.
                        self.then(&[Step::Address]);
                    }
                    return;
                }
                (Phase::RoamingForbidden, "in a foreign network, and roaming is not allowed")
            }
            Some(Stat::Denied) => (Phase::Denied, "the network refuses the modem (APN or SIM)"),
            Some(Stat::EmergencyOnly) => (Phase::Denied, "the network allows emergency calls only"),
            _ => (Phase::Searching, "no network found yet"),
        };
        self.lose(reason);
        self.state.phase = phase;
        self.state.reason = Some(reason.to_owned());
        self.then(DETAILS);
        if self.state.registration == Some(Stat::Denied) {
            let since = *self.denied.get_or_insert(now);
            if now.saturating_sub(since) >= DENIED && self.next_access() {
                self.denied = None;
            }
        } else {
            self.denied = None;
        }
        // Codes tell of changes; a look now and then is for lost ones.
        self.wake.get_or_insert((now.saturating_add(super::POLL_EVERY), super::POLL));
    }

    /// The modem is as far as it shall come once it leaves dialling to the host.
    fn leave_dialling(&mut self) {
        let phase = if self.dials == Some(false) { Phase::Connected } else { Phase::Connecting };
        self.state.reason = None;
        if std::mem::replace(&mut self.state.phase, phase) != phase {
            self.then(DETAILS);
        }
        if phase == Phase::Connected && !std::mem::replace(&mut self.path, true) {
            self.actions.push(Action::DataPathReady { address: None });
        }
    }

    fn address(&mut self, now: Duration, ok: bool, lines: &[String]) {
        let open = matches!(self.state.sim, Some(SimState::Ready | SimState::Pin2));
        let registered = open && self.state.registration.is_some_and(Stat::is_registered);
        if !registered || !self.dials_itself() || self.dials == Some(false) {
            return;
        }
        let address = lines.iter().find_map(|line| reply::address(line, CID));
        // A modem that refuses the question is asked no further: the lease and
        // the proof will tell.
        if address.is_none() && ok {
            self.lose("the data context has no address");
            self.state.phase = Phase::Connecting;
            self.state.reason = Some("the network has given no address yet".to_owned());
            self.wake = Some((now.saturating_add(ADDRESS_AGAIN), &[Step::Address]));
            return;
        }
        let moved = self.path && self.state.address != address;
        if moved {
            self.lose("the address has changed");
        }
        self.state.address = address;
        self.state.phase = Phase::Connected;
        self.state.reason = None;
        if !std::mem::replace(&mut self.path, true) {
            self.actions.push(Action::DataPathReady { address });
        }
    }
}
