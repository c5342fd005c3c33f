//! A session whose data goes by PPP: the service sets the modem up and ModemManager
//! gets it, NetworkManager dials by the profile that it is given, and the device of
//! the call is what is looked after.

use std::time::Duration;

use super::{NetworkReport, Path, Session};
use crate::config::Control;
use crate::modem::machine::{Access, Machine, Phase};
use crate::net::model::Observed;
use crate::net::networkmanager::profile::{Gsm, Profile, gsm_uuid};
use crate::net::networkmanager::{self, Call, Device, Dialling, Seen, UNAVAILABLE, Wish};
use crate::net::plan::Step;

/// From a modem that is registered to the address of its call: ModemManager enables
/// and dials, NetworkManager starts pppd (90 s are given by nmcli(1) by default).
const DIAL: Duration = Duration::from_secs(90);

/// From dialling to the next time, where no call came about or none lasted; it doubles
/// up to [`AGAIN_MOST`]. A network that refuses is not mended by asking all the time,
/// and tells modems to wait for minutes (3GPP TS 24.301 §6.5.1.4, timer T3396).
const AGAIN: Duration = Duration::from_secs(10);
const AGAIN_MOST: Duration = Duration::from_secs(300);

/// A call that was up for so long has lasted: the next is dialled at once.
const LASTED: Duration = Duration::from_secs(60);

/// How long NetworkManager may take to show a modem that ModemManager shows.
const SHOW: Duration = Duration::from_secs(30);

/// Why not `a7670e control direct`.
const NEEDED: &str = "with `modem.data = \"ppp\"` ModemManager has to have the modem, as it dials: \
                      write `data = \"usb\"` first";

/// What is known of the call.
#[derive(Debug, Default)]
pub(super) struct Dialled {
    /// Its network device, while there is one.
    link: Option<String>,
    /// The access point that the modem was set up with.
    access: Option<Access>,
    /// Whether there was another then.
    more: bool,
    /// Since when it could have come about.
    since: Duration,
    /// When that was last looked at.
    now: Duration,
    /// Since when it is up.
    up: Option<Duration>,
    /// How often it was dialled without a call that lasted, and when it may be again.
    tries: u32,
    again: Duration,
}

impl Session {
    /// Whether data goes by PPP.
    pub(super) fn is_ppp(&self) -> bool {
        self.settings.ppp
    }

    /// The device of the call.
    pub(super) fn call_link(&self) -> Option<&str> {
        self.call.link.as_deref()
    }

    /// ModemManager's object for the modem that PPP goes through; empty while it
    /// shows none, `None` where data does not go by PPP.
    #[must_use]
    pub fn dialled_modem(&self) -> Option<String> {
        self.is_ppp().then(|| self.hands.manager.modem().unwrap_or_default().to_owned())
    }

    /// Whether the AT port may be in these hands; else why not.
    ///
    /// # Errors
    /// PPP is ModemManager's to dial.
    pub fn may_control(&self, wanted: Control) -> Result<(), &'static str> {
        match wanted {
            Control::Direct if self.is_ppp() => Err(NEEDED),
            _ => Ok(()),
        }
    }

    /// Takes in which device the call has, if it is up.
    pub(super) fn call_seen(&mut self, now: Duration, observed: &Observed) {
        if !self.is_ppp() {
            return;
        }
        let link = match &observed.manager {
            // A call does not outlive it.
            Some(Seen::Absent) | None => None,
            Some(Seen::Running(state)) if state.modem.is_some() => {
                let ours = |modem: &&Device| modem.active.as_ref() == Some(&gsm_uuid());
                let name = state.modem.as_ref().filter(ours).map(|modem| modem.interface.clone());
                name.filter(|name| observed.link_named(name).is_some())
            }
            // Nobody tells, or of a modem that ModemManager does not show at the
            // moment: as long as the call's device is there, so is the call.
            Some(Seen::NoBus(_) | Seen::Silent(_) | Seen::Running(_)) => {
                let before = self.link.as_ref();
                let same = before.filter(|link| {
                    observed.link(link.index).is_some_and(|there| there.name == link.name)
                });
                same.map(|link| link.name.clone())
            }
        };
        if link.is_some() && link != self.call.link {
            self.timers.lease = now;
        }
        self.call.link = link;
    }

    /// Keeps the access point, which the machine forgets with its port.
    pub(super) fn note_access(&mut self) {
        let Some(machine) = &self.machine else { return };
        if let Some(access) = machine.access() {
            self.call.access = Some(access.clone());
            self.call.more = machine.has_next_access();
        }
    }

    /// Whether another access point may be tried, for which the modem has to be set up
    /// anew.
    pub(super) fn may_dial_another(&self) -> bool {
        self.call.more && !self.machine.as_ref().is_some_and(Machine::is_proven)
    }

    /// Keeps since when a call could have come about.
    pub(super) fn note_call(&mut self, now: Duration) {
        self.call.now = now;
        if self.link.is_some() || !self.hands.theirs() || !self.may_pass() {
            self.call.since = now;
        }
        self.call.up = self.link.is_some().then(|| self.call.up.unwrap_or(now));
        let lasted = self.call.up.is_some_and(|up| now.saturating_sub(up) >= LASTED);
        // A modem that was taken back was set up anew.
        if lasted || !self.hands.theirs() {
            (self.call.tries, self.call.again) = (0, Duration::ZERO);
        }
    }

    /// A plan was carried out: the pause after one by which NetworkManager dials.
    pub(super) fn note_dialled(&mut self, now: Duration) {
        let is_dial = |step: &Step| {
            matches!(step, Step::Manager(networkmanager::Step::Modem(_, Dialling::Dial { .. })))
        };
        let asked = self.last_plan.as_ref().is_some_and(|plan| plan.steps.iter().any(is_dial));
        // One that is refused is tried again as every plan is.
        if asked && !self.failures.iter().any(|failure| is_dial(&failure.step)) {
            let wait = AGAIN.saturating_mul(1 << self.call.tries.min(16)).min(AGAIN_MOST);
            self.call.tries = self.call.tries.saturating_add(1);
            self.call.again = now.saturating_add(wait);
        }
    }

    /// Whether the call is up; `None` while it may yet come, or is not to be blamed.
    pub(super) fn call_is_up(&self, now: Duration) -> Option<bool> {
        if self.link.is_some() {
            return Some(true);
        }
        let late = now.saturating_sub(self.call.since) >= DIAL;
        (late && self.trouble().is_none()).then_some(false)
    }

    /// The profile that dials.
    fn gsm(&self) -> Option<Gsm> {
        let mut gsm = Gsm { metric: self.metric(), ..self.settings.gsm.clone()? };
        let access = self.machine.as_ref().and_then(Machine::access);
        let access = access.or(self.call.access.as_ref()).filter(|access| !access.apn.is_empty());
        if let (None, Some(access)) = (&gsm.apn, access) {
            gsm.apn = Some(access.apn.clone());
            gsm.user.clone_from(&access.user);
            gsm.password = access.password.clone();
        }
        Some(gsm)
    }

    /// What NetworkManager is to have.
    pub(super) fn wanted_call(&self) -> Option<Call> {
        let link = self.device.as_ref()?.link.clone().unwrap_or_default();
        let found = self.observed.as_ref().and_then(|observed| observed.link_named(&link));
        Some(Call {
            modem: self.hands.manager.modem().map(str::to_owned),
            may_dial: self.call.now >= self.call.again,
            wish: Wish {
                index: found.map_or(0, |link| link.index),
                link,
                open: false,
                metric: self.metric(),
                ipv6: self.settings.ipv6,
                dns: self.settings.take_dns,
                anew: self.is_to_connect_anew(),
                gsm: self.gsm().filter(|_| self.may_pass()),
            },
        })
    }

    /// What keeps the call from being made, if it is not the modem.
    pub(super) fn call_trouble(&self) -> Option<String> {
        const OTHER: &str = "or write modem.data = \"usb\"";
        if let Some(why) = self.hands.manager.missing() {
            return Some(format!("PPP is dialled through ModemManager: {why}, {OTHER}"));
        }
        let state = match self.manager()? {
            Seen::NoBus(why) => {
                return Some(format!(
                    "NetworkManager, which dials, cannot be reached: there is no D-Bus ({why}), \
                     {OTHER}"
                ));
            }
            Seen::Absent => {
                return Some(format!(
                    "NetworkManager, which dials, does not run: `systemctl start \
                     NetworkManager`, {OTHER}"
                ));
            }
            Seen::Silent(why) => {
                return Some(format!(
                    "NetworkManager, which dials, runs and does not say how the modem is ({why}): \
                     `systemctl restart NetworkManager`, {OTHER}"
                ));
            }
            Seen::Running(state) => state,
        };
        if self.attempts > 0 && !self.failures.is_empty() {
            return self.failures.first().map(|failure| failure.reason.clone());
        }
        let shown = self.hands.manager.modem().is_some() && self.phase() == Phase::Connected;
        if self.link.is_some() || !shown || self.call.now.saturating_sub(self.call.since) < SHOW {
            return None;
        }
        match &state.modem {
            None => Some(format!(
                "NetworkManager does not show the modem that ModemManager has: it lacks its \
                 plug-in for modems (Debian's network-manager has it), {OTHER}"
            )),
            Some(modem) if modem.state == UNAVAILABLE => {
                Some("NetworkManager does not use modems: `nmcli radio wwan on`".to_owned())
            }
            Some(_) => None,
        }
    }

    /// Who dials, in words.
    pub(super) fn who_dials(&self) -> String {
        let device = self.call.link.as_ref().map_or(String::new(), |link| format!(" on {link}"));
        format!("by NetworkManager through ModemManager, profile a7670e-gsm{device}")
    }

    /// What `plan` shows as wanted.
    pub(super) fn call_wanted(&self) -> Vec<String> {
        let Some(call) = self.wanted_call() else { return Vec::new() };
        let state = match &call.wish.gsm {
            Some(gsm) => {
                let profile = Profile::gsm(&call.wish, gsm);
                return vec![
                    format!("NetworkManager profile {profile}"),
                    "dialled by NetworkManager through ModemManager".to_owned(),
                ];
            }
            None => "not dialled",
        };
        vec![state.to_owned()]
    }

    /// The report while there is no device of a call.
    pub(super) fn call_report(&self) -> Option<NetworkReport> {
        let plan = self.pending().map(|plan| plan.steps).unwrap_or_default();
        self.device.as_ref()?;
        Some(NetworkReport {
            link: "ppp".to_owned(),
            carrier: false,
            open: self.path == Path::Up && self.may_pass(),
            lease: None,
            metric: None,
            dns: None,
            dns_left_to: None,
            clash: None,
            manager: self.managed_report(),
            wanted: self.call_wanted(),
            plan: plan.iter().map(ToString::to_string).collect(),
            problems: self.failures.iter().map(|failure| failure.reason.clone()).collect(),
        })
    }
}
