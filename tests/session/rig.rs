//! A session, an emulated modem with its data path and far end, and a kernel, on
//! one virtual clock. Nothing here knows the real time.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use a7670e::at::Command;
use a7670e::modem::catalogue::NetKind;
use a7670e::modem::machine::Phase;
use a7670e::net::model::Observed;
use a7670e::policy::ladder::Rung;
use a7670e::policy::verdict::Verdict;
use a7670e::session::{Action, Clock, Device, Event, Kept, Session, Settings};
use a7670e::sms::desk::News;
use a7670e_emulator::data::DataPath;
use a7670e_emulator::data::far::FarEnd;
use a7670e_emulator::fault::{Effect, FaultScript};
use a7670e_emulator::link::{Framing, LinkFaults};
use a7670e_emulator::modem::Modem;
use a7670e_emulator::profile::Profile;

use crate::kernel::{Kernel, MODEM};
use crate::manager::Manager;
use crate::ppp::Desktop;
use crate::probe::Probe;
use crate::wishes::settings;

/// Power is applied to the modem on 2026-11-21 12:00 UTC.
pub const START: u64 = 1_795_262_400;
/// From an event of the bus to the end of the look at it.
const SETTLE: Duration = Duration::from_millis(50);
/// What reading or changing the kernel's state takes.
const KERNEL: Duration = Duration::from_millis(2);
/// Steps of the loop at one moment before it counts as a busy loop.
const SPINS: u32 = 1000;
/// A device boots in so much time.
const BOOT: Duration = Duration::from_secs(20);

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

enum Due {
    /// For the session of this number; a later one does not hear it.
    Event(u32, Event),
    Observe(u32),
    Start,
}

/// Where to end the service: at the n-th action that it orders, from now on.
pub type Kill = Option<usize>;

pub struct Rig {
    pub now: Duration,
    pub modem: Modem,
    pub kernel: Kernel,
    pub session: Option<Session>,
    pub settings: Settings,
    pub kept: Kept,
    /// Seconds of the epoch when the clock of this rig is 0; may jump.
    pub wall: u64,
    pub kill: Kill,
    /// ModemManager has the AT port, and does not let go of it.
    held: bool,
    /// ModemManager.
    pub manager: Manager,
    /// NetworkManager, where it is there.
    pub desktop: Option<Desktop>,
    /// Actions that the session has ordered.
    pub actions: usize,
    /// What was said, and when.
    pub said: Vec<(Duration, String)>,
    /// What was told of messages.
    pub news: Vec<News>,
    /// No message can be kept; what is kept counts.
    pub full: bool,
    /// Nor can what is kept be read.
    pub unreadable: bool,
    /// Commands sent to the modem.
    pub sent: Vec<(Duration, String)>,
    /// Rungs that the session cannot climb alone.
    pub climbed: Vec<(u64, Rung)>,
    /// Every rung, by the wall clock.
    pub rungs: Vec<(u64, Rung)>,
    /// When IPv6 routers were asked for.
    pub solicited: Vec<Duration>,
    /// When probes were made.
    pub probes: Vec<Duration>,
    /// How often the session was woken.
    pub wakes: u64,
    /// When the port last opened, and when it first was known to be so since.
    pub opened: Option<Duration>,
    pub registered: Option<Duration>,
    pub routed: Option<Duration>,
    epoch: Duration,
    number: u32,
    data: DataPath,
    far: FarEnd,
    queue: BTreeMap<(Duration, u64), Due>,
    entries: u64,
    present: bool,
    port_open: bool,
    listening: bool,
    probe: Option<Probe>,
    spins: (Duration, u32),
    /// Since when a default route has been there that must not be.
    wrong: Option<Duration>,
}

impl Rig {
    pub fn new(profile: &Profile, faults: &str, settings: Settings) -> Rig {
        let modem = Modem::new(profile.clone(), FaultScript::parse(faults).unwrap(), 7);
        let mut rig = Rig {
            now: Duration::ZERO,
            modem,
            kernel: Kernel::new(),
            session: None,
            settings,
            kept: Kept { boot: 1, ..Kept::default() },
            wall: START,
            kill: None,
            actions: 0,
            said: Vec::new(),
            news: Vec::new(),
            full: false,
            unreadable: false,
            sent: Vec::new(),
            climbed: Vec::new(),
            rungs: Vec::new(),
            solicited: Vec::new(),
            probes: Vec::new(),
            wakes: 0,
            held: false,
            manager: Manager::new(),
            desktop: None,
            opened: None,
            registered: None,
            routed: None,
            epoch: Duration::ZERO,
            number: 0,
            data: DataPath::new(7),
            far: FarEnd::new(7),
            queue: BTreeMap::new(),
            entries: 0,
            present: false,
            port_open: false,
            listening: false,
            probe: None,
            spins: (Duration::ZERO, 0),
            wrong: None,
        };
        rig.start();
        rig
    }

    pub fn of(profile: &str) -> Rig {
        Rig::new(&Profile::load(profile).unwrap(), "", settings())
    }

    /// The service starts, with what was kept.
    pub fn start(&mut self) {
        self.stop();
        self.number += 1;
        self.epoch = self.now;
        self.session = Some(Session::new(self.settings.clone(), self.kept.clone()));
        self.present();
    }

    /// ModemManager has the AT port from now on, or lets go of it.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
        self.present();
    }

    /// Tells the session what is plugged in.
    fn present(&mut self) {
        let device = self.present.then(|| self.device());
        self.event(Event::Device(device));
    }

    /// The service is killed: what it has open is closed, nothing else happens.
    pub fn stop(&mut self) {
        self.session = None;
        self.probe = None;
        self.listening = false;
        self.close_port();
        self.kill = None;
    }

    /// Kills the service, and starts it again later.
    pub fn restart_after(&mut self, wait: Duration) {
        self.stop();
        self.later(wait, Due::Start);
    }

    /// The whole device restarts; the modem keeps its power. What the clock says
    /// then is 1970 until it is set.
    pub fn reboot(&mut self) {
        self.stop();
        self.kernel.reboot();
        self.kept.boot += 1;
        self.inflict(Effect::UsbGone { for_ms: BOOT.as_millis() as u64 / 2 });
        self.later(BOOT, Due::Start);
    }

    /// Carries out what a call of the session has left.
    pub fn carry_out(&mut self) {
        self.settle();
    }

    pub fn inflict(&mut self, effect: Effect) {
        self.modem.inflict(self.now, effect);
        self.settle();
    }

    pub fn link_faults(&mut self, faults: LinkFaults) {
        self.inflict(Effect::Link { faults });
    }

    pub fn clock(&self) -> Clock {
        Clock { now: self.now - self.epoch, wall: self.wall.wrapping_add(self.now.as_secs()) }
    }

    pub fn verdict(&self) -> Verdict {
        self.session.as_ref().map_or(Verdict::ComingUp, Session::verdict)
    }

    /// Online, and everybody's packets go there.
    pub fn online(&self) -> bool {
        self.verdict() == Verdict::Online
            && self.kernel.modem_default().is_some()
            && self.modem.link().forwarding
    }

    pub fn describe(&self) -> String {
        let tail = self.sent.len().saturating_sub(20);
        let said = self.said.len().saturating_sub(20);
        let report = self.session.as_ref().map(|session| session.report(self.clock()));
        format!(
            "at {:?}: {report:#?}\nsaid {:#?}\nsent {:?}\nlink {:?}\nkernel {:#?}",
            self.now,
            &self.said[said..],
            &self.sent[tail..],
            self.modem.link(),
            self.kernel.observe(),
        )
    }

    pub fn count(&self, start: &str) -> usize {
        self.sent.iter().filter(|(_, sent)| sent.starts_with(start)).count()
    }

    /// Lets so much time pass.
    pub fn run(&mut self, time: Duration) {
        self.until(time, |_| false);
    }

    /// Lets time pass, at most so much, until it is so; tells whether it is.
    pub fn until(&mut self, time: Duration, is_so: impl Fn(&Rig) -> bool) -> bool {
        let end = self.now + time;
        loop {
            if is_so(self) {
                return true;
            }
            if !self.step(end) {
                self.now = end;
                return is_so(self);
            }
        }
    }

    /// One moment; false when nothing happens until the end.
    pub fn step(&mut self, end: Duration) -> bool {
        let session = self.session.as_ref().map(|session| session.next_event() + self.epoch);
        let queue = self.queue.first_key_value().map(|((at, _), _)| *at);
        let probe = self.probe.as_ref().map(Probe::next_event);
        let all = [session, queue, probe, self.modem.next_event(), self.data.next_event()];
        let next = all.into_iter().flatten().min().filter(|next| *next <= end);
        let Some(next) = next else { return false };
        self.now = self.now.max(next);
        if self.spins.0 != self.now {
            self.spins = (self.now, 0);
        }
        self.spins.1 += 1;
        assert!(self.spins.1 < SPINS, "a busy loop: {}", self.describe());
        while let Some((&(at, entry), _)) = self.queue.first_key_value() {
            if at > self.now {
                break;
            }
            match self.queue.remove(&(at, entry)) {
                Some(Due::Event(number, event)) if number == self.number => self.event(event),
                Some(Due::Observe(number)) if number == self.number => {
                    let observed = self.observe();
                    self.event(Event::Observed(observed));
                }
                Some(Due::Start) => self.start(),
                _ => {}
            }
        }
        self.modem.advance(self.now);
        if session.is_some_and(|due| due <= self.now) {
            let clock = self.clock();
            if let Some(session) = &mut self.session {
                self.wakes += 1;
                session.advance(clock);
            }
        }
        self.settle();
        true
    }

    fn observe(&mut self) -> Observed {
        let mut observed = self.kernel.observe();
        let modem = self.modem_is_shown();
        if let Some(desktop) = &mut self.desktop {
            desktop.show(self.now, modem, &mut observed);
        }
        observed
    }

    fn later(&mut self, after: Duration, due: Due) {
        self.entries += 1;
        self.queue.insert((self.now + after, self.entries), due);
    }

    /// Tells the session what is plugged in, later.
    pub fn tell_device(&mut self, after: Duration) {
        let device = self.present.then(|| self.device());
        self.tell(after, Event::Device(device));
    }

    pub fn port_is_open(&self) -> bool {
        self.port_open
    }

    pub fn tell(&mut self, after: Duration, event: Event) {
        self.later(after, Due::Event(self.number, event));
    }

    /// A person's command.
    pub fn ask(&mut self, command: Command) {
        self.event(Event::Request { id: 1, command });
    }

    fn event(&mut self, event: Event) {
        let clock = self.clock();
        if let Some(session) = &mut self.session {
            session.event(clock, event);
        }
        self.settle();
    }

    fn device(&self) -> Device {
        let kind = match self.modem.link().framing {
            Framing::Ecm => NetKind::Ecm,
            Framing::Rndis => NetKind::Rndis,
            Framing::RawIp => NetKind::Ndis,
        };
        let model = if kind == NetKind::Ndis { "SIM7600" } else { "A76XX" };
        Device {
            model: model.into(),
            kind,
            port: (!self.held && !self.manager.has).then(|| "/dev/ttyUSB1".into()),
            held: self.held,
            link: Some(MODEM.into()),
        }
    }

    /// Carries to and fro until nobody has anything to say now.
    fn settle(&mut self) {
        loop {
            let told = self.modem.take();
            let actions = self.session.as_mut().map(Session::take).unwrap_or_default();
            let idle = told.is_empty() && actions.is_empty();
            for told in told {
                self.told(told);
            }
            let mut silenced = false;
            for action in actions {
                self.actions += 1;
                match action {
                    Action::Write(_) | Action::Tell(_) if silenced => continue,
                    Action::KeepMessage(_) | Action::ForgetMessage(_) if silenced => continue,
                    Action::KeepMessage(_) if self.full => {
                        silenced = true;
                        self.load_messages();
                        continue;
                    }
                    _ => {}
                }
                let killed = self.kill.is_some_and(|at| self.actions >= at);
                self.act(action, killed);
                if killed {
                    self.restart_after(SETTLE);
                    break;
                }
            }
            if !self.carry() && idle {
                break;
            }
        }
        if std::mem::take(&mut self.kernel.changed) {
            self.tell(KERNEL, Event::Hint);
        }
        self.measure();
        let wrong = self.kernel.modem_default().is_some() && self.forbidden();
        self.wrong = self.wrong.filter(|_| wrong).or(wrong.then_some(self.now));
        let patience = Duration::from_millis(3500);
        let over = self.wrong.is_some_and(|since| self.now - since > patience);
        assert!(!over, "a default route that must not be: {}", self.describe());
    }

    /// Whether the modem says that there is no data connection, or the cap is
    /// reached.
    fn forbidden(&self) -> bool {
        let Some(session) = &self.session else { return false };
        let rules = &self.settings.rules;
        let used = session.usage().rx + session.usage().tx;
        let phase = session.modem_state().is_some_and(|state| match state.phase {
            Phase::NoSim
            | Phase::PinNeeded
            | Phase::PukNeeded
            | Phase::Denied
            | Phase::RoamingForbidden => true,
            Phase::Searching => state.registration.is_some_and(|stat| !stat.is_registered()),
            _ => false,
        });
        phase || rules.cap.is_some_and(|cap| used + rules.reserve >= cap)
    }

    fn measure(&mut self) {
        if self.registered.is_some() && self.routed.is_some() {
            return;
        }
        let Some(session) = &self.session else { return };
        let state = session.modem_state();
        if self.registered.is_none()
            && state
                .is_some_and(|state| matches!(state.phase, Phase::Connecting | Phase::Connected))
        {
            self.registered = Some(self.now);
        }
        let set = self.kernel.observe().dns.is_some();
        if self.routed.is_none() && set && self.kernel.modem_default().is_some() {
            self.routed = Some(self.now);
        }
    }
}
