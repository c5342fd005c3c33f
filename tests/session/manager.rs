//! A model of ModemManager, and sessions that give it the modem.

use std::time::Duration;

use a7670e::config::Control;
use a7670e::modem::machine::Phase;
use a7670e::modem::manager::{Call, Event, View};
use a7670e::policy::verdict::Verdict;
use a7670e::session::{Action, ControlReport, Event as Heard, Holder, Settings};
use a7670e::sms::desk::ManagerEvent;
use a7670e_emulator::fault::Effect;
use a7670e_emulator::link::LinkFaults;
use a7670e_emulator::profile::Profile;

use crate::messages;
use crate::rig::{Rig, secs};
use crate::wishes::settings;

/// From being given a modem to showing it, and from `Enable` to registration.
const PROBE: Duration = Duration::from_secs(2);
const ENABLE: Duration = Duration::from_secs(4);
/// From the request to let go to its answer.
const RELEASE: Duration = Duration::from_millis(500);
const BUS: Duration = Duration::from_millis(1);

/// ModemManager, as far as a session sees it.
pub struct Manager {
    /// Its version, while it runs.
    version: Option<&'static str>,
    pub watched: bool,
    /// It has the modem.
    pub has: bool,
    /// `MMModem3gppRegistrationState` of the network around.
    registration: u32,
    enabled: bool,
    /// Which calls it got.
    calls: Vec<Call>,
    /// How often it was given the modem.
    given: u32,
}

impl Manager {
    pub fn new() -> Manager {
        Manager {
            version: Some("1.24.0"),
            watched: false,
            has: false,
            registration: 1,
            enabled: false,
            calls: Vec::new(),
            given: 0,
        }
    }

    fn view(&self) -> View {
        let registered = self.enabled && matches!(self.registration, 1 | 5);
        let state = match (self.enabled, registered) {
            (false, _) => 3,
            (true, true) => 8,
            (true, false) => 7,
        };
        let registration = Some(self.registration);
        View {
            path: format!("/Modem/{}", self.given),
            state,
            lock: 1,
            registration,
            messages: Some(Vec::new()),
            ..View::default()
        }
    }
}

impl Rig {
    /// Does what the session wants of ModemManager.
    pub fn manages(&mut self, action: Action) {
        match action {
            Action::WatchManager(on) => {
                self.manager.watched = on;
                self.presence();
            }
            Action::HandOver => {
                assert!(!self.port_is_open(), "two programs on one port");
                self.manager.has = true;
                self.manager.enabled = false;
                self.manager.given += 1;
                self.shown(PROBE);
            }
            Action::TakeBack => {
                self.manager.has = false;
                self.tell_device(RELEASE);
            }
            Action::Manager(call) => {
                assert!(self.manager.version.is_some(), "{call:?} of one that does not run");
                if matches!(call, Call::Disable { .. }) {
                    self.manager.enabled = false;
                    self.shown(RELEASE);
                }
                if matches!(call, Call::Enable { .. }) {
                    self.manager.enabled = true;
                    self.shown(ENABLE);
                }
                let after = if matches!(call, Call::Enable { .. }) { ENABLE } else { BUS };
                self.tell(after, Heard::Manager(Event::Answered(call.kind(), Ok(()))));
                self.manager.calls.push(call);
            }
            _ => {}
        }
    }

    fn presence(&mut self) {
        let event = match self.manager.version {
            Some(version) => Event::Here(version.to_owned()),
            None => Event::Absent("ModemManager is masked".to_owned()),
        };
        if self.manager.watched {
            self.tell(BUS, Heard::Manager(event));
        }
    }

    /// It shows the modem, which is registered.
    pub fn modem_is_shown(&self) -> bool {
        let manager = &self.manager;
        manager.has && manager.version.is_some() && manager.view().state == 8
    }

    fn shown(&mut self, after: Duration) {
        let there = self.manager.has && self.manager.version.is_some();
        let view = there.then(|| Box::new(self.manager.view()));
        self.tell(after, Heard::Manager(Event::Shown(view)));
    }

    /// ModemManager is started or ends.
    pub fn manager_runs(&mut self, version: Option<&'static str>) {
        self.manager.version = version;
        self.manager.enabled = false;
        self.presence();
        if version.is_some() && self.manager.has {
            self.manager.given += 1;
            self.shown(PROBE);
        }
    }

    fn register(&mut self, registration: u32) {
        self.manager.registration = registration;
        if self.manager.has {
            self.shown(BUS);
        }
    }

    fn control(&mut self, wanted: Control) {
        let clock = self.clock();
        self.session.as_mut().unwrap().control(clock, wanted);
        self.carry_out();
    }

    fn control_report(&self) -> ControlReport {
        self.session.as_ref().unwrap().control_report()
    }

    fn phase(&self) -> Option<Phase> {
        self.session.as_ref().and_then(|session| session.modem_state()).map(|state| state.phase)
    }
}

/// Online, by ModemManager's word.
fn theirs(rig: &Rig) -> bool {
    rig.online()
        && rig.control_report().holder == Holder::ModemManager
        && rig.control_report().settled
        && rig.phase() == Some(Phase::Connected)
}

fn ours(rig: &Rig) -> bool {
    rig.online()
        && rig.control_report().holder == Holder::Service
        && rig.control_report().settled
        && rig.phase() == Some(Phase::Connected)
}

fn rig(version: Option<&'static str>) -> Rig {
    let profile = Profile::load("a7670e-ecm").unwrap();
    let settings = Settings { control: Control::ModemManager, ..settings() };
    let mut rig = Rig::new(&profile, "", settings);
    rig.manager_runs(version);
    rig
}

/// Waits until it is so, and sees to it that it is online all the time.
fn always_online(rig: &mut Rig, time: Duration, is_so: impl Fn(&Rig) -> bool) {
    let is_so = |rig: &Rig| !rig.online() || is_so(rig);
    assert!(rig.until(time, is_so), "{}", rig.describe());
    assert!(rig.online(), "{}", rig.describe());
}

#[test]
fn the_modem_is_set_up_and_handed_over() {
    let mut rig = rig(Some("1.24.0"));
    assert!(rig.until(secs(60), Rig::online), "{}", rig.describe());
    always_online(&mut rig, secs(30), theirs);
    // All that ModemManager would not do is done before.
    assert_eq!(rig.count("AT+CGDCONT="), 1, "{}", rig.describe());
    let sent = rig.sent.len();
    let report = rig.control_report();
    assert_eq!((report.modemmanager.as_deref(), report.note), (Some("1.24.0"), None));
    rig.run(secs(3600));
    assert!(theirs(&rig), "{}", rig.describe());
    assert_eq!(rig.sent.len(), sent, "it speaks on a port that is another's");
    assert_eq!(rig.manager.calls.len(), 2, "{:?}", rig.manager.calls);
    // The access point that it was set up with is still told of.
    let state = rig.session.as_ref().unwrap().modem_state().unwrap();
    assert_eq!(state.apn.as_deref(), Some("safaricom"));

    // Pulled and plugged in again: the same once more.
    rig.inflict(Effect::UsbGone { for_ms: 3000 });
    rig.manager.has = false;
    assert!(rig.until(secs(10), |rig| !rig.online()));
    assert!(rig.until(secs(120), theirs), "{}", rig.describe());
}

#[test]
fn without_modemmanager_the_service_has_the_modem() {
    let mut rig = rig(None);
    assert!(rig.until(secs(60), ours), "{}", rig.describe());
    rig.run(secs(600));
    assert!(ours(&rig), "{}", rig.describe());
    let note = rig.control_report().note.unwrap();
    assert!(note.contains("is masked") && note.contains("the service has the modem"), "{note}");
    rig.manager_runs(Some("1.20.4"));
    always_online(&mut rig, secs(30), theirs);
    let note = rig.control_report().note.unwrap();
    assert!(note.contains("1.20.4 does not know A76XX"), "{note}");
    // One without a way back gets nothing.
    rig.manager_runs(Some("1.8.0"));
    always_online(&mut rig, secs(60), ours);
    assert!(rig.control_report().note.unwrap().contains("too old"));
}

#[test]
fn one_that_is_killed_is_waited_for_and_then_replaced() {
    let mut rig = rig(Some("1.24.0"));
    assert!(rig.until(secs(60), theirs), "{}", rig.describe());
    rig.manager_runs(None);
    rig.run(secs(5));
    rig.manager_runs(Some("1.24.0"));
    always_online(&mut rig, secs(30), theirs);
    assert_eq!(rig.count("AT+CGDCONT?"), 1, "the modem was taken back");
    rig.manager_runs(None);
    always_online(&mut rig, secs(60), ours);
    rig.manager_runs(Some("1.24.0"));
    always_online(&mut rig, secs(60), theirs);
}

#[test]
fn hands_change_at_run_time_while_data_flows() {
    let mut rig = Rig::of("a7670e-ecm");
    assert!(rig.until(secs(60), ours), "{}", rig.describe());
    for _ in 0..5 {
        rig.control(Control::ModemManager);
        always_online(&mut rig, secs(60), theirs);
        rig.control(Control::Direct);
        always_online(&mut rig, secs(60), ours);
        assert_eq!(rig.control_report().note, None);
    }
    assert_eq!(rig.manager.given, 5);
    assert!(rig.climbed.is_empty() && rig.rungs.is_empty(), "{:?}", rig.rungs);
}

/// What became of a message is known by its answer alone.
#[test]
fn the_answer_about_a_message_is_waited_for() {
    let mut rig = rig(Some("1.24.0"));
    assert!(rig.until(secs(60), theirs), "{}", rig.describe());
    let id = messages::send(&mut rig, "yes").unwrap();
    rig.run(secs(1));
    let wall = rig.clock().wall;
    let desk = rig.session.as_ref().unwrap().messages().unwrap();
    assert!(desk.is_sending(wall), "{}", rig.describe());
    // Nor does somebody who changes his mind lose it.
    for wanted in [Control::Direct, Control::ModemManager, Control::Direct] {
        rig.control(wanted);
        rig.run(secs(1));
        assert!(rig.manager.has && rig.manager.watched, "{}", rig.describe());
    }
    let result = Ok(("/SMS/1".to_owned(), Some(7)));
    rig.tell(BUS, Heard::ManagerMessage(ManagerEvent::Sent { id, result }));
    always_online(&mut rig, secs(30), ours);
    assert_eq!(messages::state(&rig, id), "submitted");
    assert!(!rig.manager.watched, "it is watched for nothing");
}

#[test]
fn recovery_takes_the_modem_back_for_its_commands() {
    let mut rig = rig(Some("1.24.0"));
    assert!(rig.until(secs(60), theirs), "{}", rig.describe());
    rig.link_faults(LinkFaults { no_internet: true, ..LinkFaults::default() });
    let dialled = |rig: &Rig| rig.count("AT+DIALMODE=1") > 0 && rig.count("AT+DIALMODE=0") > 0;
    assert!(rig.until(secs(3600), dialled), "{}", rig.describe());
    rig.link_faults(LinkFaults::default());
    assert!(rig.until(secs(3600), theirs), "{}", rig.describe());
}

#[test]
fn abroad_the_modem_is_told_to_dial_no_more() {
    let mut rig = rig(Some("1.24.0"));
    assert!(rig.until(secs(60), theirs), "{}", rig.describe());
    rig.inflict(Effect::Roaming);
    rig.register(5);
    assert!(rig.until(secs(2), |rig| !rig.online()));
    let stopped = |rig: &Rig| rig.count("AT+DIALMODE=1") == 1 && rig.manager.has;
    assert!(rig.until(secs(60), stopped), "{}", rig.describe());
    rig.run(secs(30));
    assert_eq!(rig.phase(), Some(Phase::RoamingForbidden), "{}", rig.describe());
    assert_eq!(rig.verdict(), Verdict::Denied);
    // Home again.
    rig.inflict(Effect::Coverage);
    rig.register(1);
    assert!(rig.until(secs(600), theirs), "{}", rig.describe());
}
