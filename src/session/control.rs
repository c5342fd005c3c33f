//! Who has the AT port: the service, or ModemManager.
//!
//! With `control = "modemmanager"` the service sets the modem up first (access
//! point, PIN, dialling: what ModemManager does not do for a modem that dials by
//! itself), closes the port and gives the modem to ModemManager. It takes it back
//! where its own commands are wanted (recovery, roaming), and for as long as
//! there is no ModemManager to give it to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Action, Clock, Path, Port, Session};
use crate::at::Command;
use crate::config::Control;
use crate::modem::machine::{self, Machine, Memory, Order, Phase, State};
use crate::modem::manager::{self, Manager};

/// How long a modem that gets no further is waited for before it is handed over
/// as it is: as long as a search for a network takes.
const PATIENCE: Duration = Duration::from_secs(100);

/// A port that could not be opened so often is another's.
const TRIES: u32 = 8;

/// How long ModemManager may be away before its modem is taken back. systemd
/// starts one that died within a second; an upgrade takes a few.
const AWAY: Duration = Duration::from_secs(20);

/// How long what was known before a change of hands holds, while the other has yet
/// to look: nothing has happened to the modem.
const KNOWN: Duration = Duration::from_secs(60);

/// Has the modem store messages and tell of them, and bring reports, in the only way
/// that both an A76XX takes (direct codes want mode 1, SIMCom A76XX AT Command Manual
/// V1.09, AT+CNMI) and ModemManager hears. Its own `AT+CNMI=2,1,2,1,0` is refused.
const INDICATIONS: &str = "AT+CNMI=1,1,0,1,0";

/// The number of that command among the desk's, which has given out no such.
const INDICATED: u64 = u64::MAX;

/// Pause between two times that the modem is taken back to set it up: at a border
/// it may change networks every minute.
const AGAIN: Duration = Duration::from_secs(300);

/// How long a message under way may hold up a change of hands.
const SENDING: Duration = Duration::from_secs(60);

/// Who has the modem, and who shall.
pub(super) struct Hands {
    wanted: Control,
    /// ModemManager is watched.
    watched: bool,
    /// ModemManager has it.
    theirs: bool,
    /// Since when it is so.
    since: Duration,
    pub manager: Manager,
    /// Since when ModemManager has been away.
    away: Option<Duration>,
    /// It was connected when it was handed over.
    ready: bool,
    /// What was known of a modem that was connected before it changed hands, and
    /// until when that holds.
    known: Option<(Duration, State)>,
    /// The modem is being told something, which is to be written.
    spoke: bool,
    /// What ModemManager last said of a modem that is connected.
    last: Option<State>,
    /// The modem is told to tell ModemManager of messages.
    indicated: bool,
    /// What to do when the port is ours again.
    errand: Option<Order>,
    /// When it was last taken back to be set up.
    fetched: Option<Duration>,
    /// Since when a message under way has held up a change.
    waiting: Option<Duration>,
}

/// Who has the AT port, in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// The service.
    Service,
    /// ModemManager.
    ModemManager,
}

/// What a report says about control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlReport {
    /// What is wanted: by the configuration, or by `a7670e control` since.
    pub wanted: Control,
    /// Who has the AT port.
    pub holder: Holder,
    /// Whether it has said how the modem is. Until then, for two minutes at most, what
    /// was known before is shown.
    pub settled: bool,
    /// ModemManager's version, where it matters and is known.
    pub modemmanager: Option<String>,
    /// Why it is not as wanted, or what is odd about it.
    pub note: Option<String>,
}

impl Hands {
    pub fn new(wanted: Control, manager: Manager) -> Hands {
        Hands {
            wanted,
            watched: wanted == Control::ModemManager,
            theirs: false,
            since: Duration::ZERO,
            manager,
            away: None,
            ready: false,
            known: None,
            last: None,
            spoke: false,
            indicated: false,
            errand: None,
            fetched: None,
            waiting: None,
        }
    }

    /// A modem was plugged in: it is ours until it is set up.
    pub fn plugged(&mut self, now: Duration) {
        (self.theirs, self.ready, self.errand, self.waiting) = (false, false, None, None);
        (self.known, self.last) = (None, None);
        self.since = now;
        self.manager.taken();
    }

    /// The port was opened: from now on the modem gets its time.
    pub fn opened(&mut self, now: Duration) {
        self.since = now;
        self.indicated = false;
    }

    pub fn theirs(&self) -> bool {
        self.theirs
    }

    pub fn wanted(&self) -> Control {
        self.wanted
    }

    /// Whether the service has the modem, and shall.
    pub fn is_ours_to_keep(&self) -> bool {
        !self.theirs && self.wanted == Control::Direct
    }

    /// Nobody will say for a while how a modem is that was connected.
    pub fn keep_known(&mut self, until: Duration, state: State) {
        self.known = Some((until, state));
    }

    /// What was known before holds until then.
    pub fn know_until(&mut self, until: Duration) {
        if let Some(known) = &mut self.known {
            known.0 = until;
        }
    }

    /// Whether text messages go over the AT port: not while it is only being set
    /// up.
    pub fn speaks(&self) -> bool {
        !self.theirs && (self.wanted == Control::Direct || !self.manager.is_here())
    }

    fn note(&self) -> Option<String> {
        match (self.wanted, self.theirs) {
            (Control::Direct, false) => None,
            (Control::Direct, true) => Some("the service is about to take the modem".to_owned()),
            (Control::ModemManager, false) => Some(match self.manager.missing() {
                Some(why) => format!("{why}; until it is there the service has the modem itself"),
                None => "the modem is set up before ModemManager gets it".to_owned(),
            }),
            (Control::ModemManager, true) => {
                self.manager.missing().or_else(|| self.manager.remark())
            }
        }
    }
}

impl Session {
    /// Who shall have the AT port from now on.
    pub fn control(&mut self, clock: Clock, wanted: Control) {
        if self.hands.wanted != wanted {
            self.hands.wanted = wanted;
            self.hands.since = clock.now;
            self.watch();
        }
        self.settle(clock);
    }

    /// Has ModemManager watched while it has the modem or shall have it: it may yet
    /// tell what became of a message that it is sending.
    pub(super) fn watch(&mut self) {
        let watch = self.hands.theirs || self.hands.wanted == Control::ModemManager;
        if std::mem::replace(&mut self.hands.watched, watch) != watch {
            self.actions.push(Action::WatchManager(watch));
        }
    }

    /// Who has the AT port, and who shall.
    #[must_use]
    pub fn control_report(&self) -> ControlReport {
        let hands = &self.hands;
        let rival = || self.rivalry.version().filter(|_| hands.is_ours_to_keep());
        let version = hands.manager.version().or_else(rival);
        ControlReport {
            wanted: hands.wanted,
            holder: if hands.theirs { Holder::ModemManager } else { Holder::Service },
            settled: hands.known.is_none(),
            modemmanager: version.map(str::to_owned),
            note: hands.note().or_else(|| self.rival_note()),
        }
    }

    /// What is known of the modem, by whoever has it.
    pub(super) fn cellular(&self) -> Option<&State> {
        match &self.hands.known {
            Some((_, known)) => Some(known),
            None => self.told(),
        }
    }

    /// Whether it is known from before a change of hands that the modem is connected.
    pub(super) fn changes_hands(&self) -> bool {
        self.hands.known.is_some()
    }

    /// What whoever has the modem says of it now.
    pub(super) fn told(&self) -> Option<&State> {
        match self.hands.theirs {
            true => Some(self.hands.manager.state()),
            false => self.machine.as_ref().map(Machine::state),
        }
    }

    /// Forgets what was known before a change of hands, once more is known. That
    /// ModemManager ends, or enables the modem anew, is as such a change.
    fn forget_known(&mut self, now: Duration) {
        if self.hands.theirs {
            let state = self.hands.manager.state();
            let looks = matches!(state.phase, Phase::Probing | Phase::Preparing);
            if state.phase == Phase::Connected {
                self.hands.last = Some(state.clone());
            } else if let Some(last) = self.hands.last.take().filter(|_| looks) {
                self.hands.known = Some((now.saturating_add(KNOWN), last));
            }
        }
        let decided = self.told().is_some_and(|state| {
            let undecided = matches!(
                state.phase,
                Phase::NoPort
                    | Phase::Probing
                    | Phase::Preparing
                    | Phase::SimWait
                    | Phase::Searching
                    | Phase::Connecting
            );
            !undecided
        });
        self.hands.known.take_if(|known| decided || now >= known.0);
    }

    /// What the recovery ladder wants of the modem.
    pub(super) fn order(&mut self, now: Duration, order: Order) {
        match self.hands.theirs {
            false => self.tell(now, machine::Event::Order(order)),
            // ModemManager looks at it all the time.
            true if order == Order::Reprobe => {}
            // NetworkManager dials, and is asked to.
            true if order == Order::Redial && self.is_ppp() && !self.may_dial_another() => {}
            true => self.hands.errand = Some(order),
        }
    }

    /// Keeps what must not be forgotten of the PIN.
    pub(super) fn remember(&mut self, memory: Memory) {
        self.kept_memory = memory.clone();
        self.actions.push(Action::Remember(memory));
    }

    /// Does what ModemManager's side wants, and changes hands where that is due;
    /// whether the modem's machine has something to say now.
    pub(super) fn change_hands(&mut self, clock: Clock) -> bool {
        let now = clock.now;
        for action in self.hands.manager.take() {
            match action {
                manager::Action::Call(call) => self.actions.push(Action::Manager(call)),
                manager::Action::Remember(memory) => {
                    if let Some(machine) = &mut self.machine {
                        machine.recall(memory.clone());
                    }
                    self.remember(memory);
                }
            }
        }
        if self.device.is_none() {
            return false;
        }
        self.forget_known(now);
        let here = self.hands.manager.is_here();
        self.hands.away = (!here).then(|| self.hands.away.unwrap_or(now));
        let due = match (self.hands.theirs, self.hands.wanted) {
            (true, wanted) => {
                match self.hands.manager.data() {
                    Some(true) if self.hands.ready => self.path = Path::Up,
                    Some(false) if self.hands.known.is_none() => self.path = Path::Down,
                    _ => {}
                }
                let away = |since| now.saturating_sub(since) >= AWAY;
                wanted == Control::Direct
                    || self.hands.away.is_some_and(away)
                    || self.hands.errand.is_some()
                    || self.is_to_be_fetched(now)
            }
            (false, Control::ModemManager) => self.is_set_up(now),
            (false, Control::Direct) => false,
        };
        let spoke = std::mem::take(&mut self.hands.spoke);
        if !due || self.waits_for_messages(clock) {
            return spoke;
        }
        self.hands.since = now;
        let known = self.cellular().filter(|state| state.phase == Phase::Connected).cloned();
        let until = now.saturating_add(KNOWN);
        self.hands.known = known.map(|state| (until, state));
        self.hands.last = None;
        if self.hands.theirs {
            self.take_back(now)
        } else {
            self.hand_over(now)
        }
        true
    }

    /// Whether a change has to wait for a message under way: its answer would be
    /// lost.
    fn waits_for_messages(&mut self, clock: Clock) -> bool {
        let now = clock.now;
        if !self.messages().is_some_and(|desk| desk.is_sending(clock.wall)) {
            self.hands.waiting = None;
            return false;
        }
        let since = *self.hands.waiting.get_or_insert(now);
        now.saturating_sub(since) < SENDING
    }

    /// Whether the modem is not as it is to be: it was handed over before it was
    /// connected, or has gone abroad or come home since.
    fn is_to_be_fetched(&mut self, now: Duration) -> bool {
        let wrong = match self.hands.manager.state().phase {
            Phase::Connected => !self.hands.ready,
            Phase::RoamingForbidden => self.hands.ready,
            _ => false,
        };
        let soon = self.hands.fetched.is_some_and(|at| now.saturating_sub(at) < AGAIN);
        if !wrong || soon {
            return false;
        }
        self.hands.fetched = Some(now);
        true
    }

    /// Whether the modem can be handed over.
    fn is_set_up(&mut self, now: Duration) -> bool {
        let held = self.device.as_ref().is_some_and(|device| device.held);
        if !self.hands.manager.is_here() || held {
            return false;
        }
        if self.port != Port::Open {
            return self.port_tries >= TRIES;
        }
        let Some(machine) = &self.machine else { return false };
        let settled = matches!(
            machine.state().phase,
            Phase::Connected
                | Phase::NoSim
                | Phase::PinNeeded
                | Phase::PukNeeded
                | Phase::RoamingForbidden
        );
        let settled = settled && machine.is_idle();
        if let Some(order) = self.hands.errand.take_if(|_| settled) {
            self.hands.since = now;
            self.hands.spoke = true;
            self.tell(now, machine::Event::Order(order));
            return false;
        }
        let done = settled || now.saturating_sub(self.hands.since) >= PATIENCE;
        if done && self.messages().is_some() && !self.hands.indicated {
            self.hands.indicated = true;
            self.hands.spoke = true;
            let command = Command::new(INDICATIONS);
            self.tell(now, machine::Event::Request { id: INDICATED, command });
            return false;
        }
        done
    }

    fn hand_over(&mut self, now: Duration) {
        let known = self.told().cloned().unwrap_or_default();
        self.hands.ready = known.phase == Phase::Connected;
        if self.port != (Port::Closed { next: None }) {
            self.actions.push(Action::ClosePort);
        }
        self.note_access();
        self.tell(now, machine::Event::PortClosed);
        self.port = Port::Closed { next: None };
        if let Some(device) = &mut self.device {
            device.port = None;
        }
        self.hands.errand = None;
        self.hands.theirs = true;
        self.hands.manager.given(now, self.kept_memory.clone(), &known);
        self.actions.push(Action::HandOver);
        self.actions.push(Action::Say("ModemManager gets the modem".to_owned()));
    }

    fn take_back(&mut self, now: Duration) {
        self.hands.theirs = false;
        self.hands.manager.taken();
        self.port = Port::Closed { next: None };
        self.port_tries = 0;
        // What runs goes on until the modem itself says otherwise.
        if self.path == Path::Up {
            self.path = Path::Unknown;
            self.adopted = self.lease().map(|lease| lease.address);
        }
        if let Some(device) = &mut self.device {
            (device.port, device.held) = (None, true);
        }
        self.timers.device = now;
        self.actions.push(Action::TakeBack);
        self.watch();
        self.actions.push(Action::Say("the modem is taken from ModemManager".to_owned()));
    }
}
